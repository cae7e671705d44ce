"""Selective copying: eight tokens among blanks, to be given back in order. A step that counts does it exactly.

    python examples/selective_copying.py [picture.png]

        x_k = e^(Δ_k A) x_{k−1} + Δ_k B u_k        Δ_k = 1 on a token, 0 on a blank        y_k = 2 Re(C x_k)

Where Δ = 0 the state stays and nothing comes in, so blanks do not exist: the system runs in time counted in tokens. In
that time it is an ordinary delay of eight, made of four pairs of poles on the imaginary axis, ±iπ/8 times 1, 3, 5, 7:
eight tokens later each has made an odd number of half turns, x → −x. The eight marks that ask for an answer count as
well, so each finds the token of eight counts before. Nothing is trained: the layer is written down.

A linear time-invariant system cannot skip blanks. It knows a token by its age alone, and the age of the one asked for
depends on how many blanks came in between. The best one in the sense of least squares, with as many states as it likes,
stands beside it; and a better one still, with a kernel for each answer, which is the best linear function of the whole
sequence. Where the tokens have fixed places both are as good as the selective system.

The task is that of A. Gu and T. Dao, "Mamba", 2023, section 3.1. Needs Matplotlib for the picture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import comb

import statespace as ss

HERE = Path(__file__).resolve().parent
TOKENS = 8  # in each sequence, and as many marks after it that ask for them
SYMBOLS = "ABCDEFGH"  # a channel for each, which is 1 at the symbol; one more for the mark; a blank is 0 in all
START, EVEN, RANDOM = "the first eight", "evenly spaced", "at random"
CASES = ((START, 64, 1000), (EVEN, 64, 1000), (RANDOM, 64, 1000), (RANDOM, 4096, 200))  # places, samples, sequences
OFF = 64.0  # a blank has softplus(−64) = 2e-28 for its step,
ON = OFF + np.log(np.e - 1)  # a token softplus(−64 + ON) = 1
SHOWN = 4  # sequence of the third case that is in the picture: a usual one, 3 and 5 of 8 right by LTI
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D1F", "#444444")


class Task(NamedTuple):
    """Sequences to copy from."""

    u: Any  # (sequences, length + 8, 9): the signals
    places: Any  # (sequences, 8): the samples where the tokens are
    symbols: Any  # (sequences, 8): which of the eight each of them is


class Row(NamedTuple):
    """One line of the table."""

    places: str
    length: int
    system: str
    right: Any  # (8,): share of the sequences in which each token is given back
    rms: float  # of the outputs minus the wanted ones, which are 0 or 1


# --------------------------------------------------------------- the task


@cache
def task(places: str, length: int, sequences: int) -> Task:
    """Draw sequences: tokens among `length` samples, then eight marks."""
    rng = np.random.default_rng(length)
    at = np.array([draw_places(places, length, rng) for _ in range(sequences)])
    symbols = rng.integers(len(SYMBOLS), size=(sequences, TOKENS))
    u = np.zeros((sequences, length + TOKENS, len(SYMBOLS) + 1))
    u[np.arange(sequences)[:, None], at, symbols] = 1
    u[:, length:, -1] = 1
    return Task(u, at, symbols)


def draw_places(places: str, length: int, rng: np.random.Generator) -> Any:
    if places == RANDOM:
        return np.sort(rng.choice(length, TOKENS, replace=False))
    return np.arange(TOKENS) * (1 if places == START else length // TOKENS)


def wanted(symbols: Any) -> Any:
    """The outputs at the marks, (..., 8 marks, 8 symbols)."""
    return np.eye(len(SYMBOLS))[symbols]


def decided(y: Any) -> Any:
    """The symbol of the largest output, the first of those that are equal but for rounding."""
    return y.round(9).argmax(axis=-1)


# --------------------------------------------------------------- the selective system


def counter() -> ss.SelectiveSystem:
    """Δ = softplus(−64 + (64 + log(e − 1)) Σ u), 1 for a token or a mark and 0 for a blank; B and C are constant."""
    channels, pairs = len(SYMBOLS) + 1, TOKENS // 2
    turns = 2 * np.arange(pairs) + 1  # half turns in eight steps
    return ss.SelectiveSystem(
        A=np.tile(1j * np.pi * turns / TOKENS, (channels, 1)),
        B=np.ones(pairs),
        C=np.full(pairs, -1 / TOKENS),  # minus: an odd number of half turns
        delta_bias=np.full(channels, -OFF),
        delta_down=np.full((1, channels), ON),
        delta_up=np.ones((channels, 1)),
        pairs=True,
    )


def by_counting(places: str, u: Any) -> Any:
    """Outputs at the marks. The same system wherever the tokens are, and however long it takes."""
    return ss.simulate(counter(), u).y[..., -TOKENS:, : len(SYMBOLS)]


# --------------------------------------------------------------- the best time-invariant systems


def odds(places: str, length: int) -> Any:
    """P[i, t], how likely the i-th token is at sample t: there if i of the eight are before t, the others after it."""
    i, t = np.arange(TOKENS)[:, None], np.arange(length)
    if places == RANDOM:
        return comb(t, i) * comb(length - 1 - t, TOKENS - 1 - i) / comb(length, TOKENS)
    return 1.0 * (t == draw_places(places, length, np.random.default_rng())[:, None])


def best_kernel(places: str, length: int) -> Any:
    """The kernel of least squared error over all sequences there are, not only those that were drawn.

    To give the symbols other names does not change the task, so the best system treats them alike. The mean of the
    wanted outputs is 1/8 at every mark, and the mark itself gives that. What differs from the mean goes through one
    kernel h for all symbols; tokens are drawn independently, so the normal equations are diagonal: h at lag j is how
    often a token of age j is the one asked for, of all times that a token of age j is there when something is asked.
    For random places that is the same for all ages that the token asked for can have, from 8 to `length`: a count.
    """
    asked, there = np.zeros((2, length + TOKENS))
    p = odds(places, length)
    for i in range(TOKENS):
        age = length + i - np.arange(length)
        asked[age] += p[i]
        there[age] += p.sum(axis=0)
    return share(asked, there)


def best_kernels(places: str, length: int) -> Any:
    """The same for each answer apart, (8, length), by the sample: how often a token there is the i-th."""
    p = odds(places, length)
    return share(p, p.sum(axis=0))


def share(part: Any, whole: Any) -> Any:
    """Part over whole, 0 where there is nothing."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def by_age(places: str, u: Any) -> Any:
    """Outputs at the marks, one kernel for all of them."""
    h = best_kernel(places, u.shape[-2] - TOKENS)
    return ss.convolve(unlike(u), h, axis=-2)[..., -TOKENS:, :] + 1 / len(SYMBOLS)


def by_age_each(places: str, u: Any) -> Any:
    """The same with a kernel for each: eight times the outputs, all read when the first mark comes."""
    return best_kernels(places, u.shape[-2] - TOKENS) @ unlike(u)[..., :-TOKENS, :] + 1 / len(SYMBOLS)


def unlike(u: Any) -> Any:
    """The symbols minus their mean."""
    token = u[..., : len(SYMBOLS)]
    return token - token.mean(axis=-1, keepdims=True)


SYSTEMS: dict[str, Callable[[str, Any], Any]] = {
    "selective": by_counting, "LTI, one kernel": by_age, "LTI, eight kernels": by_age_each,
}  # fmt: skip


# --------------------------------------------------------------- what is said


@cache
def table() -> list[Row]:
    """Every system in every case: tokens given back, and the error of the outputs."""
    rows = []
    for places, length, sequences in CASES:
        drawn = task(places, length, sequences)
        for name, run in SYSTEMS.items():
            y = run(places, drawn.u)
            right = np.mean(decided(y) == drawn.symbols, axis=0)
            rms = float(np.sqrt(np.mean((y - wanted(drawn.symbols)) ** 2)))
            rows.append(Row(places, length, name, right, rms))
    return rows


def report() -> str:
    """The table, and what its columns mean."""
    lines = [
        f"{TOKENS} tokens of {len(SYMBOLS)} symbols, then {TOKENS} marks that ask for them in order.",
        "",
        "tokens are            of    " + "".join(f"{name:^22}" for name in SYSTEMS),
        "                 samples    " + "     right       rms  " * len(SYSTEMS),
    ]
    for i, (places, length, _) in enumerate(CASES):
        rows = table()[len(SYSTEMS) * i :][: len(SYSTEMS)]
        numbers = "".join(f"{100 * row.right.mean():8.1f} %{row.rms:10.2g}  " for row in rows)
        lines.append(f"{places:<16}{length:>8}    {numbers}".rstrip())
    n = len(SYMBOLS)
    lines.append(f"{'a guess, always 1/8':<28}{100 / n:8.1f} %{np.sqrt((1 - 1 / n) / n):10.2g}")
    return "\n".join(lines) + MEANING


MEANING = """

Right: tokens that are given back. Rms: error of the outputs, which should be 1 for the symbol asked for and 0 for the
others. The selective system is the same one in all lines, four pairs of poles for each symbol; an LTI system is the
best there is for its line. With one kernel and random places it counts, and gives the commonest symbol.
"""


# --------------------------------------------------------------- the picture


def picture(path: Path) -> None:
    """Save one sequence: what comes in and out, the steps, and what each system listens to; and all, by answer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 10), layout="constrained")
    axes: dict[str, Any] = figure.subplot_mosaic(
        [["strips"] * 2, ["steps"] * 2, *([name] * 2 for name in SYSTEMS), ["outputs", "right"]],
        height_ratios=[1.5, 0.85, 0.85, 0.85, 0.85, 1.6],
    )
    figure.suptitle("Selective copying: eight tokens among blanks, to be given back in order", fontsize=15)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    draw_strips(axes["strips"])
    draw_steps(axes["steps"])
    for name, weights in listening().items():
        draw_weights(axes[name], name, weights)
    axes["LTI, eight kernels"].set_xlabel("sample")
    draw_outputs(axes["outputs"])
    draw_right(axes["right"])
    figure.savefig(path, dpi=100)


@cache
def shown() -> Task:
    """The sequence of the picture."""
    return Task(*(x[SHOWN] for x in task(*CASES[2])))


def listening() -> dict[str, Any]:
    """What each of the eight answers is made of: rows of the matrix from the signal to the outputs."""
    u = shown().u
    end = len(u) - TOKENS
    age = end + np.arange(TOKENS)[:, None] - np.arange(end)
    counted = ss.sequence_matrix(counter(), u)[0, end:, :end]
    matrices = (counted, best_kernel(RANDOM, end)[age], best_kernels(RANDOM, end))
    return dict(zip(SYSTEMS, matrices, strict=True))


def draw_strips(ax: Any) -> None:
    """The tokens, and what is made of them."""
    u, places, symbols = shown()
    marks = np.arange(len(u) - TOKENS, len(u))
    ax.bar(np.arange(len(u)), 0.8, 0.85, bottom=-0.4, color="0.92")
    draw_tokens(ax, places, 0, symbols, symbols >= 0)
    for k in marks:
        ax.text(k, 0, "?", ha="center", va="center", fontsize=9)
    answers = {"wanted": symbols, **{name: decided(run(RANDOM, u)) for name, run in SYSTEMS.items()}}
    for y, (name, given) in enumerate(answers.items(), 1):
        good = given == symbols
        draw_tokens(ax, marks, -y, given, good)
        said = name if name == "wanted" else f"{name}: {good.sum()} of {TOKENS} right"
        ax.text(marks[0] - 1, -y, said, ha="right", va="center", fontsize=10.5)
    entitle(ax, "One sequence: blanks are grey, each ? asks for the next token; answers on white are wrong")
    ax.set(xlim=(-0.7, len(u) - 0.3), ylim=(-len(answers) - 0.5, 0.5))
    ax.set_axis_off()


def draw_tokens(ax: Any, at: Any, y: float, symbols: Any, good: Any) -> None:
    """Cells with letters, filled where they are right."""
    for x, s, right in zip(at, symbols, good, strict=True):
        fill, edge, ink = (COLOURS[s], COLOURS[s], "white") if right else ("white", "0.7", "0.45")
        ax.bar(x, 0.8, 0.8, bottom=y - 0.4, color=fill, edgecolor=edge)
        ax.text(x, y, SYMBOLS[s], color=ink, ha="center", va="center_baseline", fontsize=9)


def draw_steps(ax: Any) -> None:
    """Δ of each sample, as the layer makes it, and its sum."""
    u = shown().u
    step = ss.frozen(counter(), u).dt[:, 0]  # of all channels alike
    ax.bar(np.arange(len(u)), step, 0.85, color=BLUE, label="step Δ, 1 or 0")
    ax.step(np.arange(len(u)), step.cumsum(), where="mid", color=ORANGE, linewidth=1.8, label="its sum: time, counted")
    entitle(ax, "Selective: the step is 1 on a token or a ?, and 0 on a blank")
    ax.set(xlim=(-0.7, len(u) - 0.3), ylim=(0, 17), yticks=(0, 8, 16), xticklabels=())
    ax.legend(frameon=False, loc="upper left", ncols=2)


def draw_weights(ax: Any, name: str, weights: Any) -> None:
    """Dark where an answer listens; the circle is where it should."""
    dark, said = {
        "selective": (1, "each answer listens to its token (circle), wherever it is; weight 1"),
        "LTI, one kernel": (0.25, "the same along every diagonal; the best is a count, weight 0.14"),
        "LTI, eight kernels": (0.5, "each answer listens where its token often is; dark: weight 1/2 and more"),
    }[name]
    entitle(ax, f"{name[0].upper()}{name[1:]}: {said}")
    ax.imshow(weights, cmap="Blues", aspect="auto", vmin=0, vmax=dark)
    ax.plot(shown().places, np.arange(TOKENS), "o", color=ORANGE, markersize=9, markerfacecolor="none")
    ax.set(xlim=(-0.7, len(shown().u) - 0.3), ylabel="answer", yticks=(0, 7), yticklabels=("1", "8"))
    ax.tick_params(labelbottom=name == "LTI, eight kernels")


def draw_outputs(ax: Any) -> None:
    """All outputs at one mark."""
    u, _, symbols = shown()
    for i, (name, run) in enumerate(SYSTEMS.items()):
        y = run(RANDOM, u)[2]
        ax.bar(np.arange(len(y)) + 0.27 * (i - 1), y, 0.25, color=(BLUE, ORANGE, GREEN)[i], label=name)
    entitle(ax, f"The outputs at the third ?, which asks for {SYMBOLS[symbols[2]]}")
    ax.set(ylim=(-0.1, 1.1), ylabel="output", xticks=range(len(SYMBOLS)), xticklabels=SYMBOLS, xlabel="symbol")
    ax.legend(frameon=False, loc="upper left")


def draw_right(ax: Any) -> None:
    """How often each of the eight tokens is given back."""
    rows = [row for row in table() if (row.places, row.length) == CASES[2][:2]]
    for row, colour, marker in zip(rows, (BLUE, ORANGE, GREEN), "os^", strict=True):
        label = f"{row.system}: {100 * row.right.mean():.0f} %"
        ax.plot(np.arange(TOKENS) + 1, 100 * row.right, marker + "-", color=colour, label=label)
    ax.axhline(100 / len(SYMBOLS), color="0.5", linewidth=1, linestyle=":")
    ax.text(TOKENS, 100 / len(SYMBOLS) + 2, f"a guess: {100 / len(SYMBOLS)} %", ha="right", fontsize=9.5, color="0.35")
    entitle(ax, f"Right in {CASES[2][2]} such sequences, by answer")
    ax.set(ylim=(0, 105), ylabel="right (%)", xlabel="answer")
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.93))


def entitle(ax: Any, text: str) -> None:
    ax.set_title(text, loc="left", fontsize=11.5)


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "selective_copying.png"
    print(report())
    if find_spec("matplotlib") is None:
        print("no picture: Matplotlib is not installed")
        return
    picture(target)
    print(f"picture: {target}")


if __name__ == "__main__":
    main()
