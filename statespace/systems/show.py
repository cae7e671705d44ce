"""How a system shows itself: an evaluatable repr when small, a capped table in notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.structure import Cascade, Dense

if TYPE_CHECKING:
    from statespace.systems.types import _System

_LARGEST_REPR = 64  # numbers, in all matrices together
_LARGEST_TABLE = 8  # rows and columns of one matrix


def text(system: _System) -> str:
    """A line that evaluates to the system with the public names imported; a summary when large."""
    size = sum(m.size for m in (system.B, system.C, system.D))
    large = size + system.n_states**2 * int(np.prod(system.A.batch_shape)) > _LARGEST_REPR
    return f"<{summary(system)}>" if large else constructor(system)


def constructor(system: _System) -> str:
    """A line that evaluates to the system with the public names imported, however large."""
    arguments = [] if isinstance(system.A, Cascade) else [_nested(m) for m in (system.B, system.C, system.D)]
    plain = isinstance(system.A, Dense) and system.A.known_poles is None
    arguments.insert(0, _nested(system.A.matrix) if plain else repr(system.A))
    if system.n_states == 0 and system.batch_shape:  # the batch is in D: an empty list has no axes
        arguments[:3] = ["[]"] * 3
    dt = getattr(system, "dt", None)
    if dt is not None:
        arguments.append(f"dt={np.asarray(dt).tolist()}")
    method = getattr(system, "method", None)
    if method is not None:
        arguments.append(f"method={method!r}")
    if system.time_unit != "s":
        arguments.append(f"time_unit={system.time_unit!r}")
    return f"{type(system).__name__}({', '.join(arguments)})"


def _nested(matrix: Any) -> str:
    return repr(matrix.tolist())


def summary(system: _System) -> str:
    """One line: type, structure, sizes, step."""
    batch = f", batch {system.batch_shape}" if system.batch_shape else ""
    step = getattr(system, "dt", None)
    dt = "" if step is None else (f", dt={step:g}" if np.ndim(step) == 0 else f", dt of shape {np.shape(step)}")
    sizes = ((system.n_states, "state"), (system.n_inputs, "input"), (system.n_outputs, "output"))
    counted = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in sizes)
    kind = f"{type(system).__name__}: {type(system.A).__name__}"
    return f"{kind}, {counted}{batch}{dt}, time in {system.time_unit}"


def html(system: _System) -> str:
    """A heading and the four matrices, each cut to a few rows and columns."""
    large = system.n_states > _LARGEST_REPR  # its dense A would be made only to be cut
    matrices = zip("BCD", (system.B, system.C, system.D), strict=True) if large else zip("ABCD", system, strict=True)
    cells = []
    for name, matrix in matrices:
        first = matrix[(0,) * (matrix.ndim - 2)] if matrix.size else matrix.reshape(matrix.shape[-2:])
        cells.append(f"<td><b>{name}</b> {matrix.shape}<br>{_table(first)}</td>")
    return f"<div><p>{escape(summary(system))}</p><table><tr>{''.join(cells)}</tr></table></div>"


def _table(matrix: Any) -> str:
    rows = ["".join(f"<td>{value:.4g}</td>" for value in row[:_LARGEST_TABLE]) for row in matrix[:_LARGEST_TABLE]]
    cut = "<br>…" if max(matrix.shape, default=0) > _LARGEST_TABLE else ""
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + f"</table>{cut}"
