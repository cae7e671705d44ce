"""Floor 5: Mamba blocks and models, of seeded weights or from a checkpoint, in NumPy."""

from statespace.mamba.block import BlockState
from statespace.mamba.checkpoint import load, save
from statespace.mamba.inspection import inspect
from statespace.mamba.layers import causal_convolution, rms_norm
from statespace.mamba.mamba1 import MambaBlock
from statespace.mamba.mamba2 import Mamba2Block
from statespace.mamba.model import LanguageModel, Layer

__all__ = [
    "BlockState",
    "LanguageModel",
    "Layer",
    "Mamba2Block",
    "MambaBlock",
    "causal_convolution",
    "inspect",
    "load",
    "rms_norm",
    "save",
]
