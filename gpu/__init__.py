"""Floor 1: the CUDA twins of `statespace.cpu`, by the same names, and what they need: CuPy, a driver, a card, NVRTC.

What is imported here compiles nothing: a kernel is compiled for a card on the first call that needs it.
"""

from statespace.gpu.adjoint import selective_adjoint
from statespace.gpu.affine import affine_steps
from statespace.gpu.cascade import cascade_steps, delay_steps
from statespace.gpu.dense import carry, complex_dense_steps, dense_steps, low_rank_steps, tiled
from statespace.gpu.diagonal import diagonal_steps, pair_steps
from statespace.gpu.faults import require_cupy, require_device
from statespace.gpu.loader import kernel, launch, multiprocessors
from statespace.gpu.selective import selective_scan

__all__ = [
    "affine_steps",
    "carry",
    "cascade_steps",
    "complex_dense_steps",
    "delay_steps",
    "dense_steps",
    "diagonal_steps",
    "kernel",
    "launch",
    "low_rank_steps",
    "multiprocessors",
    "pair_steps",
    "require_cupy",
    "require_device",
    "selective_adjoint",
    "selective_scan",
    "tiled",
]
