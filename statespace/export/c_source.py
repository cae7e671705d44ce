"""A discrete system as a C header: what is refused, what rounding does to it, and the text."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from textwrap import wrap
from typing import Any

import numpy as np

from statespace.arrays import Array, check_choice, shorten, warn_of_loss
from statespace.export.c_steps import NUMBERS, Number, Step, is_scalar, literal, loop, step_of
from statespace.structure import Cascade, DelayLine, Diagonal, DiagonalPlusLowRank, Structure
from statespace.systems import ContinuousSystem, DiscreteSystem

# Of C up to C23 and of C++, since the header may be included there.
_KEYWORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class
    co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype
    default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline
    int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
    reinterpret_cast requires restrict return short signed sizeof static static_assert static_cast struct switch
    template this thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned using
    virtual void volatile wchar_t while xor xor_eq
"""


def to_c(system: DiscreteSystem, name: str, dtype: str = "float32") -> str:
    """Write a discrete system as a self-contained C99 header, for a microcontroller or any other program.

    The header defines a state ``NAME_state``, ``NAME_reset(&s)``, which zeroes it, and ``NAME_step``, which takes
    one sample and returns one: ``y = NAME_step(&s, u)`` for one input and one output, ``NAME_step(&s, u, y)`` with
    arrays for more. It includes nothing, allocates nothing, and C++ reads it too. The step is that of the structure:
    section by section for a Cascade, mode by mode for a Diagonal, a shift register for a DelayLine.

    Parameters
    ----------
    system : DiscreteSystem
        One real system, no batch.
    name : str
        What every name in the header starts with: a C identifier.
    dtype : {"float32", "float64"}
        C float or double, for coefficients, state and signals. Every coefficient is written with the digits that
        give exactly its rounded value back.

    Returns
    -------
    str
        The text of the header, ASCII only.

    Raises
    ------
    TypeError
        The system is continuous, or no system.
    ValueError
        The system is complex, a batch, a DiagonalPlusLowRank, or has no input or no output; the name is no C
        identifier; the dtype is not one of the two; a coefficient is beyond the range of float32.

    Warns
    -----
    AccuracyWarning
        Rounding the coefficients moves a pole of a stable system onto the unit circle or out of it.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.8 (what rounding the
    coefficients does to the poles, and why sections in coupled form suffer least).

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.discretize(ss.from_zpk([], [-1.0], 1.0), 0.1, "bilinear")
    >>> header = ss.to_c(lag, "lag")
    >>> print(*(line for line in header.splitlines() if "lag_step(lag" in line))
    static inline float lag_step(lag_state *s, float u)
    >>> from pathlib import Path
    >>> size = Path("lag.h").write_text(header)
    """
    _check(system, name, dtype)
    number = NUMBERS[dtype]
    step = step_of(system, number)
    reach = math.prod(_largest(step, key) for key in "bac")
    tables = {key: _rounded(table, key, number, reach) for key, table in step.tables.items()}
    state_matrix = [key for key in tables if key.startswith("a")]
    if any((tables[key] != step.tables[key]).any() for key in state_matrix):
        _warn_of_lost_stability(system, number)
    lines = [
        *_remarks(system, name, number),
        f"#ifndef STATESPACE_{name}_H",
        f"#define STATESPACE_{name}_H",
        "",
        *_state_and_reset(step, name, number),
        "",
        *_step_function(system, name, number, tables, step.lines),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


# --------------------------------------------------------------- checks


def _check(system: Any, name: Any, dtype: Any) -> None:
    if isinstance(system, ContinuousSystem):
        raise TypeError("to_c needs a DiscreteSystem, got a ContinuousSystem; discretize first: discretize(system, dt)")
    if not isinstance(system, DiscreteSystem):
        raise TypeError(f"to_c needs a DiscreteSystem first, got {type(system).__name__}")
    if not (isinstance(name, str) and re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)) or name in _KEYWORDS.split():
        raise ValueError(
            "name must be a C identifier that starts with a letter and is no keyword of C or C++, such as 'lowpass', "
            f"got {shorten(name)}"
        )
    check_choice(dtype, tuple(NUMBERS), "dtype")
    if system.batch_shape:
        raise ValueError(
            f"to_c writes one system, got a batch of shape {system.batch_shape}; pick one: "
            "A, B, C, D = system, then DiscreteSystem(A[i], B[i], C[i], D[i], dt=...)"
        )
    if system.is_complex:
        raise ValueError(
            "to_c writes real systems, got a complex one, whose poles have no conjugate partners; give both poles of "
            "each pair, or store one of each with Diagonal(poles, pairs=True)"
        )
    if isinstance(system.A, DiagonalPlusLowRank):
        raise ValueError(
            "to_c has no step for a DiagonalPlusLowRank; give its dense matrix: DiscreteSystem(*system, dt=system.dt)"
        )
    if not (system.n_inputs and system.n_outputs):
        raise ValueError(
            "to_c needs a system with at least one input and one output, "
            f"got {system.n_inputs} inputs and {system.n_outputs} outputs"
        )


def _largest(step: Step, key: str) -> float:
    """The largest entry of the tables whose names begin so; 1 at least."""
    return max([1.0, *(float(np.abs(t).max(initial=0.0)) for name, t in step.tables.items() if name.startswith(key))])


def _rounded(table: Array, name: str, number: Number, reach: float) -> Array:
    """A table in the type of the header; what would overflow or lose digits to underflow is refused.

    But for an entry of a state matrix, such as a mode that has decayed to e^−100 over one step, from which the largest
    entries of b, a and c, their product being ``reach``, make less than the type holds to all its digits: it is 0.
    """
    with np.errstate(over="ignore", under="ignore"):
        rounded = table.astype(number.numpy)
    limits = np.finfo(number.numpy)
    tiny = (np.abs(rounded) < limits.tiny) & (rounded != table)
    gone = tiny & name.startswith("a") & (np.abs(table) < float(limits.tiny) / float(limits.eps) / reach)
    rounded = np.where(gone, np.zeros((), rounded.dtype), rounded)
    lost = ~np.isfinite(rounded) | (tiny & ~gone)
    if lost.any():
        first = tuple(int(i) for i in np.argwhere(lost)[0])
        raise ValueError(
            f"the coefficient {name}{list(first) or ''} = {float(table[first])!r} is beyond the range of "
            f"{number.numpy}, {limits.tiny:.2g} to {limits.max:.2g}; use dtype='float64', or scale the system"
        )
    return rounded


def _warn_of_lost_stability(system: DiscreteSystem, number: Number) -> None:
    """Warn when a stable system has a pole on the unit circle or beyond it in rounded coefficients."""
    before = np.abs(system.poles).max(initial=0.0)
    after = np.abs(_rounded_poles(system.A, number)).max(initial=0.0)
    if system.is_stable and after >= 1 - 4 * np.finfo(float).eps:
        warn_of_loss(
            f"coefficients rounded to {number.numpy} make the stable system unstable: its largest pole moves from "
            f"radius {before:.12g} to {after:.12g}; use dtype='float64'"
        )


def _rounded_poles(structure: Structure, number: Number) -> Array:
    """Poles of the rounded state matrix, found in double precision: of each section, mode or block by itself."""

    def cast(matrix: Array) -> Array:
        return matrix.astype(number.numpy).astype(np.float64)

    if isinstance(structure, DelayLine):
        return structure.poles
    if isinstance(structure, Diagonal):
        return cast(structure.diagonal.real) + 1j * cast(structure.diagonal.imag)
    if isinstance(structure, Cascade):
        q = structure.sections()
        return np.linalg.eigvals(cast(np.stack(q[:4], axis=-1).reshape(-1, 2, 2))).ravel()
    return np.concatenate([np.linalg.eigvals(block).ravel() for block in _diagonal_blocks(cast(np.asarray(structure)))])


def _diagonal_blocks(a: Array) -> list[Array]:
    """The blocks on the diagonal of a block-triangular matrix, which have its eigenvalues.

    A discretized cascade is one. The eigenvalues of the whole would feel rounding errors that the zeros beside the
    diagonal keep out: repeated poles would scatter by a root of eps.
    """
    n = len(a)
    cuts = [k for k in range(1, n) if not (a[:k, k:].any() and a[k:, :k].any())]
    return [a[i:j, i:j] for i, j in pairwise([0, *cuts, n])]


# --------------------------------------------------------------- the text


def _remarks(system: DiscreteSystem, name: str, number: Number) -> list[str]:
    """The comment at the head: what the system is and how to use the header."""
    scalar, m, p = is_scalar(system), system.n_inputs, system.n_outputs
    method = "not known" if system.method is None else shorten(system.method)
    what = (
        f"Structure {type(system.A).__name__}; states: {system.n_states}, inputs: {m}, outputs: {p}; "
        f"dt = {system.dt!r} {shorten(system.time_unit)[1:-1]}, method {method}, arithmetic in {number.word}."
    )
    use = [
        f'#include "{name}.h"',
        f"{name}_state s;",
        f"{name}_reset(&s);",
        f"y = {name}_step(&s, u);" if scalar else f"{name}_step(&s, u, y);",
    ]
    notes = ["the file this text is in", "one for each signal", "before the first sample", "for each sample, dt apart"]
    width = max(map(len, use)) + 4
    lines = [
        f"{name}: a linear system in discrete time, made by statespace (to_c).",
        "",
        *wrap(_harmless(what), 100, break_on_hyphens=False),
        "",
        *(f"    {line:{width}}{note}" for line, note in zip(use, notes, strict=True)),
    ]
    if not scalar:
        lines += ["", f"u holds {m} and y {p} numbers; the two arrays may overlap."]
    return ["/*", *(f" * {line}".rstrip() for line in lines), " */"]


def _harmless(text: str) -> str:
    """ASCII without what could end a comment, continue a line or form a trigraph; µs becomes us."""
    return re.sub(r"[^A-Za-z0-9_ .,:;=()'\[\]+^%-]", "_", text.replace("µ", "u").replace("μ", "u"))


def _state_and_reset(step: Step, name: str, number: Number) -> list[str]:
    zeroed = [loop("i", length, f"s->{array}[i] = {literal(0.0, number)};") for array, length in step.state.items()]
    return [
        "typedef struct {",
        *(f"    {number.word} {array}[{length}];" for array, length in step.state.items()),
        f"}} {name}_state;",
        "",
        f"static inline void {name}_reset({name}_state *s)",
        "{",
        *("    " + line for lines in zeroed for line in lines),
        "}",
    ]


def _step_function(
    system: DiscreteSystem, name: str, number: Number, tables: dict[str, Array], body: list[str]
) -> list[str]:
    real = number.word
    if is_scalar(system):
        head = f"static inline {real} {name}_step({name}_state *s, {real} u)"
    else:
        arrays = f"const {real} u[{system.n_inputs}], {real} y[{system.n_outputs}]"
        head = f"static inline void {name}_step({name}_state *s, {arrays})"
    declared = [line for key, table in tables.items() for line in _table(key, table, number)]
    return [head, "{", *("    " + line for line in declared), "", *("    " + line for line in body), "}"]


def _table(name: str, table: Array, number: Number) -> list[str]:
    """A static const number, row or matrix."""
    size = "".join(f"[{length}]" for length in table.shape)
    declared = f"static const {number.word} {name}{size} ="
    if table.ndim == 0:
        return [f"{declared} {literal(table, number)};"]
    rows = [", ".join(literal(value, number) for value in row) for row in np.atleast_2d(table)]
    if table.ndim == 1:
        return _braced(f"{declared} ", rows[0], ";")
    return [f"{declared} {{", *(f"    {line}" for row in rows for line in _braced("", row, ",")), "};"]


def _braced(head: str, row: str, tail: str) -> list[str]:
    """{...} on one line where it fits, else indented over several."""
    one = f"{head}{{{row}}}{tail}"
    if len(one) <= 100:
        return [one]
    numbers = wrap(row, 96, break_on_hyphens=False)  # 1e-05 is one word
    return [f"{head}{{", *(f"    {line}" for line in numbers), f"}}{tail}"]
