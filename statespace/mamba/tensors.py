"""Tensors in safetensors files: where each lies, and the way into memory. Single precision is mapped, not read."""

from __future__ import annotations

import json
import math
import mmap
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, shorten
from statespace.mamba.config import read_json

KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"

MISSING = "checkpoints need the package safetensors; write pip install 'statespace-toolkit[mamba]'"


class Tensor(NamedTuple):
    """Where a tensor lies."""

    path: Path
    kind: str  # F32, BF16, …
    shape: tuple[int, ...]
    begin: int  # bytes from the start of the file


def find_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a folder, by name; headers are read only."""
    if (folder / SINGLE).is_file():
        return tensors_in(folder / SINGLE)
    if not (folder / _INDEX).is_file():
        raise FileNotFoundError(_what_is_there(folder))
    index = read_json(folder / _INDEX).get("weight_map")
    if not isinstance(index, dict) or not all(isinstance(name, str) for name in index.values()) or not index:
        raise ValueError(f"{folder / _INDEX} must have a weight_map from names to files, got {shorten(index)}")
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(index.values())):
        if Path(shard).name != shard or not os.path.isfile(folder / shard):  # False of a name that no file can have
            raise FileNotFoundError(f"{folder / _INDEX} names the file {shorten(shard)}, which is not in the folder")
        found = tensors_in(folder / shard)
        tensors |= {name: tensor for name, tensor in found.items() if index.get(name, shard) == shard}
    lost = sorted(set(index) - set(tensors))
    if lost:
        raise ValueError(f"{folder / _INDEX} names {len(lost)} tensors that their files do not have: {shorten(lost)}")
    return tensors


def _what_is_there(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    pickled = [name for name in names if name.startswith("pytorch_model") or name.endswith((".bin", ".pt", ".pth"))]
    if pickled:
        return (
            f"{folder} has {pickled[0]}, a pickle, which can run any code and is never opened; convert it where "
            "PyTorch is installed: from transformers import AutoModelForCausalLM; "
            "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder)"
        )
    other = [name for name in names if name.endswith(".safetensors")]
    hint = f"; {shorten(other)} must be called {SINGLE}, or be named by an index" if other else ""
    return f"{folder} has neither {SINGLE} nor {_INDEX}{hint}"


def tensors_in(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, which the safetensors package has looked over."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ModuleNotFoundError(MISSING) from None
    try:
        with safe_open(path, framework="np"):
            pass
        header, start = _header_of(path)
        return {name: _tensor(path, start, entry) for name, entry in header.items() if name != "__metadata__"}
    except (SafetensorError, ValueError, RecursionError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is no whole safetensors file ({shorten(str(error))}); it may be cut off or damaged: get it again"
        ) from None


def _header_of(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and where the data begin: eight bytes say how long it is."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return dict(json.loads(file.read(length))), 8 + length


def _tensor(path: Path, start: int, entry: dict[str, Any]) -> Tensor:
    shape, (first, last) = tuple(entry["shape"]), entry["data_offsets"]
    kind, size = str(entry["dtype"]), path.stat().st_size - start
    fits = kind not in KINDS or math.prod(shape) * np.dtype(KINDS[kind]).itemsize == last - first
    if not (fits and 0 <= first <= last <= size):
        raise ValueError(f"{last - first} bytes at {first} of {size} for a tensor {shape} of {kind}")
    return Tensor(path, kind, shape, start + first)


def read_tensors(tensors: dict[str, Tensor], dtype: np.dtype[Any]) -> dict[str, Array]:
    """Read-only arrays: of the files themselves where the type is the same, converted once where it is not."""
    maps = {path: _map(path) for path in {tensor.path for tensor in tensors.values()}}
    return {name: _read(tensor, dtype, maps[tensor.path]) for name, tensor in tensors.items()}


def _map(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read(tensor: Tensor, dtype: np.dtype[Any], data: mmap.mmap) -> Array:
    kind, count = np.dtype(KINDS[tensor.kind]), math.prod(tensor.shape)
    if kind == dtype and tensor.begin % kind.itemsize == 0:
        return np.frombuffer(data, kind, count, tensor.begin).reshape(tensor.shape)
    raw = np.fromfile(tensor.path, kind, count, offset=tensor.begin)  # not mapped: its pages would stay in memory
    if tensor.kind == "BF16":  # the upper half of a float32
        raw = np.left_shift(raw, 16, dtype=np.uint32).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused with its name
        array: Array = raw.astype(dtype, copy=False).reshape(tensor.shape)
    array.setflags(write=False)
    return array
