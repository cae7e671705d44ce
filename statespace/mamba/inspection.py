"""What a checkpoint is made of, as text; headers are read, numbers are not."""

from __future__ import annotations

import math
from typing import Any

from statespace.mamba.checkpoint import open_folder
from statespace.mamba.config import Architecture
from statespace.mamba.names import HEAD, layer_of
from statespace.mamba.tensors import Tensor


def inspect(folder: Any) -> str:
    """Layers, shapes and number of parameters of a checkpoint that `load` takes.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    str
        Some lines: the architecture, a table of the tensors with those of all layers in one row, the total.

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, ValueError
        As `load` does, but for weights that are not finite, which it does not read.

    References
    ----------
    The safetensors format: the length of a JSON header in eight bytes, the header, then the numbers.

    Examples
    --------
    >>> import tempfile, statespace as ss
    >>> model = ss.mamba.LanguageModel.initial(100, 16, 2, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ss.mamba.save(model, folder)
    ...     print(ss.mamba.inspect(folder).splitlines()[0])
    Mamba-1: 2 layers, 16 channels, 32 inside, 16 states, 100 tokens, head tied to the embedding
    """
    path, a, tensors = open_folder(folder)
    rows: dict[str, list[Tensor]] = {}
    for name, tensor in tensors.items():
        i = layer_of(name)
        rows.setdefault(name if i is None else name.replace(f".{i}.", ".*.", 1), []).append(tensor)
    table = [("tensor", "shape", "type", "parameters"), *(_row(name, found) for name, found in sorted(rows.items()))]
    widths = [max(len(row[k]) for row in table) for k in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    total = sum(math.prod(tensor.shape) for tensor in tensors.values())
    files = {tensor.path for tensor in tensors.values()}
    size = sum(file.stat().st_size for file in files) / 1e6
    end = f"{total:,} parameters, {size:,.1f} MB in {len(files)} file{'s' if len(files) > 1 else ''} of {path}"
    return "\n".join([_headline(a, tensors), "", *lines, "", end])


def _headline(a: Architecture, tensors: dict[str, Tensor]) -> str:
    heads = f"{a.n_heads} heads in {a.n_groups} group{'s' if a.n_groups > 1 else ''}, " if a.kind == "mamba2" else ""
    return (
        f"{'Mamba-1' if a.kind == 'mamba' else 'Mamba-2'}: {a.n_layers} layers, {a.d_model} channels, {a.d_inner} "
        f"inside, {heads}{a.d_state} states, {a.n_vocabulary} tokens, "
        + ("a head of its own" if HEAD in tensors else "head tied to the embedding")
    )


def _row(name: str, found: list[Tensor]) -> tuple[str, str, str, str]:
    count = f"{math.prod(found[0].shape):,}"
    kinds = "/".join(sorted({tensor.kind for tensor in found}))
    return name, " × ".join(map(str, found[0].shape)), kinds, count if ".*." not in name else f"{len(found)} × {count}"
