"""load and save: a model from a folder, and into one that transformers loads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from statespace.arrays import Array, shorten
from statespace.mamba.config import Architecture, architecture_of, read_json
from statespace.mamba.description import config_of, describe
from statespace.mamba.mamba1 import MambaBlock
from statespace.mamba.mamba2 import Mamba2Block
from statespace.mamba.model import LanguageModel, Layer
from statespace.mamba.names import (
    EMBEDDINGS,
    HEAD,
    NORM,
    PRE_NORM,
    Part,
    check_tensors,
    embedding_of,
    parts_of,
    present_parts,
    tensor_name,
)
from statespace.mamba.tensors import MISSING, SINGLE, Tensor, find_tensors, read_tensors
from statespace.mamba.weights import as_kind


def load(folder: Any, *, dtype: Any = "float32", norm_groups: int | None = None) -> LanguageModel:
    """Load a Mamba or Mamba-2 language model from a folder.

    The folder is one of transformers (`MambaForCausalLM`, `Mamba2ForCausalLM`), or has the names and the config.json of
    state-spaces; the weights are in model.safetensors, or in the files of its index. Weights in float32 are mapped:
    they lie in memory once, for all processes that use them. bfloat16 and float16 are converted once. Biases, and
    whether the head is the embedding, are seen from the tensors.

    Parameters
    ----------
    folder : str or path
        On disk. Nothing is downloaded.
    dtype : "float32" or "float64"
        In which the model works.
    norm_groups : int, optional
        Of Mamba-2: groups of channels that the gated norm is taken over, each by itself. As many as B and C have unless
        given, as in mamba_ssm and in transformers 5; 1 is what transformers did before, which differs where B and C
        have several.

    Returns
    -------
    LanguageModel

    Raises
    ------
    FileNotFoundError
        No such folder (a name of a hub, perhaps), or a file that is missing in it.
    ModuleNotFoundError
        Without the package safetensors (the extra `mamba`).
    TypeError
        What is no path.
    ValueError
        A config that is damaged or names another architecture; files that are cut off; tensors that are missing, too
        many or of another shape; weights that are not finite. Pickles (pytorch_model.bin) are never opened.

    References
    ----------
    The safetensors format: the length of a JSON header in eight bytes, the header, then the numbers.

    Examples
    --------
    >>> import tempfile, numpy as np, statespace as ss
    >>> model = ss.mamba.LanguageModel.initial(100, 16, 2, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ss.mamba.save(model, folder)
    ...     again = ss.mamba.load(folder)
    >>> np.array_equal(again([1, 2, 3]), model([1, 2, 3]))
    True
    """
    kind = as_kind(dtype)
    path, architecture, tensors = open_folder(folder)
    if norm_groups is not None and architecture.kind == "mamba":
        raise ValueError(f"norm_groups is of Mamba-2, this is a model of Mamba-1: leave it out, got {norm_groups!r}")
    try:
        return _model(architecture, read_tensors(tensors, kind), norm_groups)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def as_folder(value: Any) -> Path:
    """A path."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else ""
    if not isinstance(text, str) or not text:
        raise TypeError(f"folder must be a path, got {shorten(value)}")
    return Path(text)


def open_folder(folder: Any) -> tuple[Path, Architecture, dict[str, Tensor]]:
    """What a folder holds, checked, but for the numbers themselves, which are not read."""
    path = as_folder(folder)
    if not path.is_dir():
        raise FileNotFoundError(
            f"there is no folder {shorten(str(folder))}; nothing is downloaded: get it from where it is first, "
            "as by hf download NAME --local-dir FOLDER"
        )
    if not (path / "config.json").is_file():
        raise FileNotFoundError(f"{path} has no config.json, which says what kind of model it is")
    architecture = architecture_of(read_json(path / "config.json"))
    tensors = find_tensors(path)
    check_tensors(architecture, tensors)
    return path, architecture, tensors


def _model(a: Architecture, arrays: dict[str, Array], norm_groups: int | None) -> LanguageModel:
    parts = present_parts(a, arrays)
    layers = [_layer(a, i, parts, arrays, norm_groups) for i in range(a.n_layers)]
    embedding, head = arrays[embedding_of(arrays)], arrays.get(HEAD)
    if head is not None and a.tied is not False and np.array_equal(head, embedding):
        head = None
    return LanguageModel(embedding, tuple(layers), arrays[NORM], head, a.epsilon, _eos(a))


def _layer(a: Architecture, i: int, parts: list[Part], arrays: dict[str, Array], norm_groups: int | None) -> Layer:
    found: dict[str, Any] = {part.field: arrays[tensor_name(i, part)] for part in parts}
    found["conv1d"] = found["conv1d"][:, 0]
    try:
        norm = arrays[tensor_name(i, PRE_NORM)]
        if a.kind == "mamba":
            return Layer(norm, MambaBlock(**found))
        if a.wide_d:
            found["D"] = found["D"].reshape(a.n_heads, -1)
        found |= {"n_groups": a.n_groups, "dt_limit": a.dt_limit, "norm_groups": norm_groups}
        return Layer(norm, Mamba2Block(**found, epsilon=a.epsilon, norm_before_gate=a.norm_before_gate))
    except ValueError as error:
        raise ValueError(f"layer {i}: {error}") from None


def _eos(a: Architecture) -> tuple[int, ...]:
    """Tokens that end a text; some configs name one that the model does not have."""
    return tuple(token for token in a.eos if 0 <= token < a.n_vocabulary)


# --------------------------------------------------------------- the way out


def save(model: LanguageModel, folder: Any) -> None:
    """Write a model into a folder that transformers loads, and `load`: config.json and model.safetensors.

    Parameters
    ----------
    model : LanguageModel
        With blocks of one kind and size.
    folder : str or path
        Made where it does not exist; a model in it is replaced.

    Returns
    -------
    None

    Raises
    ------
    ModuleNotFoundError
        Without the package safetensors (the extra `mamba`).
    TypeError
        What is no LanguageModel, or no path.
    ValueError
        A model that transformers has no words for: blocks that differ, channels inside that are no multiple of those
        outside, of Mamba-2 a norm before the gate, none, or over other groups, or D of every channel.

    References
    ----------
    The safetensors format: the length of a JSON header in eight bytes, the header, then the numbers.

    Examples
    --------
    >>> import os, tempfile, statespace as ss
    >>> model = ss.mamba.LanguageModel.initial(100, 16, 2, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ss.mamba.save(model, folder)
    ...     sorted(os.listdir(folder))
    ['config.json', 'model.safetensors']
    """
    if not isinstance(model, LanguageModel):
        raise TypeError(f"save writes a LanguageModel, got {type(model).__name__}; statespace.save writes a system")
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise ModuleNotFoundError(MISSING) from None
    path, tensors = as_folder(folder), tensors_of(model)
    config = json.dumps(config_of(model), indent=2) + "\n"  # all of it, before anything is written
    path.mkdir(parents=True, exist_ok=True)
    weights, words = (path / f"{name}.new" for name in (SINGLE, "config.json"))
    words.write_text(config, encoding="utf-8")
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(words.stat().st_mode)  # safetensors lets nobody else read it
    weights.replace(path / SINGLE)  # not written over: the old one may be mapped, by this model even
    words.replace(path / "config.json")


def tensors_of(model: LanguageModel) -> dict[str, Array]:
    """The tensors under transformers' names."""
    found = {EMBEDDINGS[0]: model.embedding, NORM: model.norm}
    if model.head is not None:
        found[HEAD] = model.head
    parts = parts_of(describe(model))
    for i, layer in enumerate(model.layers):
        found[tensor_name(i, PRE_NORM)] = layer.norm
        for part in parts:
            array = getattr(layer.mixer, part.field)
            if array is not None:
                found[tensor_name(i, part)] = np.ascontiguousarray(array).reshape(part.shape)
    return found
