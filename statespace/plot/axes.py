"""Axes: those that are given or new ones, how new ones look, and what is written on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.plot.lines import COLOURS, GREY, nothing


def grid_of_axes(axes: Any, shape: tuple[int, int], name: str, square: bool = False) -> tuple[Array, bool]:
    """A grid of axes, those given or new ones, and whether they are new."""
    rows, columns = shape
    if axes is None:
        size = (4.8, 4.8) if square else (2.0 + 4.4 * columns, 1.4 + 2.2 * rows)
        _, grid = _pyplot().subplots(rows, columns, squeeze=False, sharex=True, layout="constrained", figsize=size)
        for ax in grid.flat:
            _clean(ax)
        return grid, True
    grid = np.asarray(axes, dtype=object)
    if not all(hasattr(ax, "plot") and hasattr(ax, "axvline") for ax in grid.flat):
        raise TypeError(
            f"{name} must be matplotlib axes, got {type(axes).__name__}; write figure, {name} = plt.subplots()"
        )
    if grid.size != rows * columns:
        raise ValueError(
            f"{name} must hold {rows * columns} axes, {rows} × {columns}, got {grid.size}; "
            f"write figure, {name} = plt.subplots({rows}, {columns})"
        )
    return grid.reshape(rows, columns), False


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        raise ImportError("statespace.plot needs matplotlib: python -m pip install matplotlib") from error
    return pyplot


def _clean(ax: Any) -> None:
    """A quiet look, for this axes alone."""
    ax.set_prop_cycle(color=COLOURS)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)


def name_channels(grid: Array, rows_each: int, ylabel: str | None) -> None:
    """Columns are inputs, rows are outputs; a name that is there already stays."""
    rows, columns = grid.shape
    quantities = ["magnitude (dB)", "phase (°)"] if rows_each == 2 else [ylabel or ""]
    several = rows > rows_each or columns > 1
    for i in range(rows):
        words = [f"output {i // rows_each}"] if several else []
        words += [word for word in [quantities[i % rows_each]] if word]
        name_axis(grid[i, 0], "\n".join(words), "y")
    for j in range(columns if several else 0):
        if not grid[0, j].get_title():
            grid[0, j].set_title(f"input {j}", fontsize="medium")


def name_axis(ax: Any, name: str, which: str) -> None:
    if not getattr(ax, f"get_{which}label")():
        getattr(ax, f"set_{which}label")(name)


def finish(grid: Array, xlabel: str, new: bool, *, above: bool = False) -> None:
    """Name the axis below, and draw a legend where something has a name: where there is room, or above."""
    for ax in grid[-1]:
        name_axis(ax, xlabel, "x")
        _write_dates(ax)
    if grid[0, 0].get_legend_handles_labels()[1]:
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 3} if above else {}
        grid[0, 0].legend(frameon=False, fontsize="small", **place)
    if new:
        grid[0, 0].figure.align_ylabels()


def _write_dates(ax: Any) -> None:
    """Short dates on a new axis of datetime64 stamps, the day or year that they share beside it."""
    from matplotlib.dates import AutoDateFormatter, ConciseDateFormatter

    if isinstance(ax.xaxis.get_major_formatter(), AutoDateFormatter):
        ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


def note(ax: Any, text: str, *, x: float | None = None, y: float | None = None) -> None:
    """A thin line at an x, its name beside the top, or at a y, its name below the right end; once on an axes."""
    if text in [there.get_text() for there in ax.texts]:
        return
    line: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "linestyle": ":", "zorder": 1}
    beside: dict[str, Any] = {"textcoords": "offset points", "va": "top", "fontsize": "small"}
    if x is not None:
        ax.axvline(x, **line)
        ax.annotate(text, (x, 1.0), xycoords=ax.get_xaxis_transform(), xytext=(3, -2), rotation=90, **beside)
    if y is not None:
        ax.axhline(y, **line)
        ax.annotate(text, (1.0, y), xycoords=ax.get_yaxis_transform(), xytext=(-2, -4), ha="right", **beside)


def scale_log(ax: Any, sizes: list[Array], dtype: Any, new: bool) -> None:
    """A logarithmic axis of sizes relative to 1; where some lie at its lower end, that is written there."""
    ax.set_yscale("log")
    end = nothing(dtype)
    if any(np.any(size <= end) for size in sizes):
        note(ax, f"{end:.0e} or less", y=end)
    if new:
        ax.margins(y=0.08)
        rounding = 10.0 * float(np.finfo(dtype).eps)
        if not any(np.any(size > rounding) for size in sizes):
            ax.update_datalim([(0.0, rounding)], updatex=False)
            ax.autoscale_view()
