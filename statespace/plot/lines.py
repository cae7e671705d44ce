"""Colours, signals over time as lines or dots, and the names that members of a batch have in the legend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from statespace.arrays import Array

# Okabe and Ito's colours, told apart by colour-blind readers too; their yellow is too faint for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#9a9a9a"

_FEW = 100  # up to here samples are drawn as dots, so that one sees what was computed and what was not
_MOST_NAMED = 10  # a legend longer than this helps nobody


def few(length: int) -> bool:
    """Whether samples are drawn as dots."""
    return length <= _FEW


def draw_signal(ax: Any, t: Any, y: Array, names: list[str | None], *, stems: bool = False) -> None:
    """One line for each member of the batch, (..., L); dots are joined, or stand on stems."""
    stamps = np.broadcast_to(t, y.shape)
    draw = _draw_line if not few(y.shape[-1]) else _draw_stems if stems else _draw_dots
    for index, name in members(y.shape[:-1], names):
        line = draw(ax, stamps[index], y[index].real, label=name)
        if y.dtype.kind == "c":
            of = None if name is None else f"{name}, imaginary"
            draw(ax, stamps[index], y[index].imag, label=of, linestyle="--", color=line.get_color())


def _draw_line(ax: Any, t: Array, y: Array, **style: Any) -> Any:
    return ax.plot(t, y, linewidth=1.5, **style)[0]


def _draw_dots(ax: Any, t: Array, y: Array, **style: Any) -> Any:
    return ax.plot(t, y, marker="o", markersize=3.5, linewidth=0.8, **style)[0]


def _draw_stems(ax: Any, t: Array, y: Array, *, linestyle: str = "-", **style: Any) -> Any:
    """Dots on thin stems; those of an imaginary part are hollow on dashes."""
    face = {"markerfacecolor": "white"} if linestyle == "--" else {}
    (line,) = ax.plot(t, y, marker="o", markersize=3.5, linestyle="none", **face, **style)
    ax.vlines(t, 0.0, y, color=line.get_color(), linewidth=0.8, linestyle=linestyle, alpha=0.6, zorder=1.9)
    return line


def members(batch: tuple[int, ...], names: list[str | None]) -> Iterator[tuple[tuple[int, ...], str | None]]:
    """Index and legend of each member of a batch; a large batch is not named."""
    many = int(np.prod(batch)) > _MOST_NAMED
    for k, index in enumerate(np.ndindex(batch)):
        member = [] if not batch or many else [f"batch {', '.join(map(str, index))}"]
        words = [word for word in [*names, *member] if word]
        yield index, ", ".join(words) if words and not (many and k) else None


def above_nothing(size: Array, dtype: Any = np.float64) -> Array:
    """Sizes relative to 1 for a logarithmic axis: what rounding cannot make, 0 among it, lies at its lower end."""
    return np.maximum(size, nothing(dtype), dtype=np.float64)


def nothing(dtype: Any) -> float:
    """The power of ten a hundredth of eps or less: 1e-18 in double, 1e-9 in single precision."""
    return float(10.0 ** np.floor(np.log10(float(np.finfo(dtype).eps)) - 2))
