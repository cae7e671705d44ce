"""What a step is in C, for each structure: the arrays of its state, its tables and its lines.

The steps are those of the loops in Python, under the same equations; tables have the names of the matrices, and the
state has its layout, so the `final_state` of a run can be copied into the state of the header.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.structure import Cascade, DelayLine, Diagonal
from statespace.systems import DiscreteSystem


class Number(NamedTuple):
    """A type of number: its name in NumPy, its word in C, the suffix of its literals."""

    numpy: str
    word: str
    suffix: str


NUMBERS = {"float32": Number("float32", "float", "f"), "float64": Number("float64", "double", "")}


class Step(NamedTuple):
    """What a structure puts into the header: arrays of the state, tables, and the lines from u to y."""

    state: dict[str, int]
    tables: dict[str, Array]
    lines: list[str]


def literal(value: Any, number: Number) -> str:
    """The shortest decimal that reads back as exactly this number; NumPy's print options have no say."""
    x = np.dtype(number.numpy).type(value)
    if x == 0 or 1e-4 <= abs(x) < 1e16:
        text = np.format_float_positional(x, unique=True, trim="0")
    else:
        text = np.format_float_scientific(x, unique=True, trim="-")
    return text + number.suffix


def step_of(system: DiscreteSystem, number: Number) -> Step:
    """The step of a real system: of its structure, or plain sums over the whole matrix."""
    a = system.A
    if system.state_size == 0:
        return _static_gain(system, number)
    if isinstance(a, Cascade):
        return _cascade(a, number)
    if isinstance(a, Diagonal):
        return _pairs(system, number) if a.pairs else _diagonal(system, number)
    newest_first = np.eye(system.state_size, 1)
    if isinstance(a, DelayLine) and np.array_equal(system.B, newest_first):
        return _delay_line(system, number)
    return _dense(system, number)


def _cascade(a: Cascade, number: Number) -> Step:
    """Section by section; an odd last one has a single state, x[n − 1]."""
    n, pairs, real = a.n_states, a.n_states // 2, number.word
    names = ("a11", "a12", "a21", "a22", "b", "c1", "c2", "d") if pairs else ("a11", "b", "c1", "d")
    tables = {name: getattr(a.sections(), name) for name in names}
    lines = [f"{real} v = u; /* the input of a section, then its output: the input of the next */"]
    if pairs:
        lines += loop("k", pairs, f"const {real} x1 = s->x[2 * k], x2 = s->x[2 * k + 1];", *_SECTION)
    if n % 2:
        k = pairs
        lines += [
            "/* the last section has order 1: x1+ = a11 x1 + b v,  v <- c1 x1 + d v */",
            f"const {real} x1 = s->x[{n - 1}];",
            f"s->x[{n - 1}] = a11[{k}] * x1 + b[{k}] * v;",
            f"v = c1[{k}] * x1 + d[{k}] * v;",
        ]
    return Step({"x": n}, tables, [*lines, "return v;"])


_SECTION = (
    "/* x1+ = a11 x1 + a12 x2 + b v,  x2+ = a21 x1 + a22 x2,  v <- c1 x1 + c2 x2 + d v */",
    "s->x[2 * k] = a11[k] * x1 + a12[k] * x2 + b[k] * v;",
    "s->x[2 * k + 1] = a21[k] * x1 + a22[k] * x2;",
    "v = c1[k] * x1 + c2[k] * x2 + d[k] * v;",
)


def _diagonal(system: DiscreteSystem, number: Number) -> Step:
    n = system.state_size
    update = [
        "/* x+ = a x + B u */",
        *loop("i", n, "s->x[i] *= a[i];", *_input_terms("s->x[i]", "b[i]", system)),
    ]
    tables = {"a": system.A.diagonal, **_matrices(system)}
    return Step({"x": n}, tables, _with_output(system, number, _sum_over_states(system), update))


def _pairs(system: DiscreteSystem, number: Number) -> Step:
    """One of each conjugate pair, in real arithmetic; y = 2 Re(C x) + D u."""
    n, b, c = system.state_size, system.B, system.C
    target, row = _target(system), _row(system)
    output = [
        *loop("j", n, f"{target} += c_re{row}[j] * s->re[j] - c_im{row}[j] * s->im[j];"),
        f"{target} *= {literal(2.0, number)};",
    ]
    update = [
        "/* x+ = a x + B u */",
        *loop(
            "i",
            n,
            f"const {number.word} re = s->re[i], im = s->im[i];",
            "s->re[i] = a_re[i] * re - a_im[i] * im;",
            "s->im[i] = a_im[i] * re + a_re[i] * im;",
            *_input_terms("s->re[i]", "b_re[i]", system),
            *_input_terms("s->im[i]", "b_im[i]", system),
        ),
    ]
    a = system.A.diagonal
    real, imag = _matrices(system, b.real, c.real), _matrices(system, b.imag, c.imag)
    tables = {"a_re": a.real, "a_im": a.imag, "b_re": real["b"], "b_im": imag["b"]}
    tables |= {"c_re": real["c"], "c_im": imag["c"], "d": real["d"]}
    return Step({"re": n, "im": n}, tables, _with_output(system, number, output, update, "y = 2 Re(C x) + D u"))


def _delay_line(system: DiscreteSystem, number: Number) -> Step:
    """A shift register, newest input first; reading it costs as much as moving it."""
    n = system.state_size
    update = [
        "/* x+ = (u, x[0], ..., x[n - 2]) */",
        f"for (int i = {n - 1}; i > 0; i--) {{",
        "    s->x[i] = s->x[i - 1];",
        "}",
        f"s->x[0] = u{'' if is_scalar(system) else '[0]'};",
    ]
    tables = _matrices(system)
    del tables["b"]
    return Step({"x": n}, tables, _with_output(system, number, _sum_over_states(system), update))


def _dense(system: DiscreteSystem, number: Number) -> Step:
    n = system.state_size
    update = [
        "/* x+ = A x + B u */",
        f"{number.word} next[{n}];",
        *loop(
            "i",
            n,
            f"next[i] = {literal(0.0, number)};",
            *loop("j", n, "next[i] += a[i][j] * s->x[j];"),
            *_input_terms("next[i]", "b[i]", system),
        ),
        *loop("i", n, "s->x[i] = next[i];"),
    ]
    tables = {"a": np.asarray(system.A), **_matrices(system)}
    return Step({"x": n}, tables, _with_output(system, number, _sum_over_states(system), update))


def _static_gain(system: DiscreteSystem, number: Number) -> Step:
    """No states; but C knows no empty struct."""
    lines = _with_output(
        system, number, [], ["(void)s; /* no state: x stands in because C has no empty struct */"], "y = D u"
    )
    return Step({"x": 1}, {"d": _matrices(system)["d"]}, lines)


# --------------------------------------------------------------- lines that structures share


def is_scalar(system: DiscreteSystem) -> bool:
    """Whether u and y are plain numbers in C, not arrays."""
    return system.n_inputs == system.n_outputs == 1


def _row(system: DiscreteSystem) -> str:
    return "" if is_scalar(system) else "[i]"


def _target(system: DiscreteSystem) -> str:
    return "y" if is_scalar(system) else "out[i]"


def _matrices(system: DiscreteSystem, b: Array | None = None, c: Array | None = None) -> dict[str, Array]:
    """B, C and D; as rows and a number where there is one input and one output."""
    b, c, d = system.B if b is None else b, system.C if c is None else c, system.D
    return {"b": b[:, 0], "c": c[0], "d": d[0, 0]} if is_scalar(system) else {"b": b, "c": c, "d": d}


def loop(index: str, count: int, *body: str) -> list[str]:
    """Lines of a for loop over 0 … count − 1."""
    return [f"for (int {index} = 0; {index} < {count}; {index}++) {{", *("    " + line for line in body), "}"]


def _input_terms(target: str, row: str, system: DiscreteSystem) -> list[str]:
    """Lines for target += row · u."""
    if is_scalar(system):
        return [f"{target} += {row} * u;"]
    return loop("j", system.n_inputs, f"{target} += {row}[j] * u[j];")


def _sum_over_states(system: DiscreteSystem) -> list[str]:
    return loop("j", system.state_size, f"{_target(system)} += c{_row(system)}[j] * s->x[j];")


def _with_output(
    system: DiscreteSystem,
    number: Number,
    from_states: list[str],
    update: list[str],
    equation: str = "y = C x + D u",
) -> list[str]:
    """The output from the state before the update, then the update.

    Arrays go through a copy: the update still needs u where y is the same array.
    """
    feed = _input_terms(_target(system), f"d{_row(system)}", system)
    real, zero, p = number.word, literal(0.0, number), system.n_outputs
    if is_scalar(system):
        return [f"{real} y = {zero};", f"/* {equation} */", *from_states, *feed, *update, "return y;"]
    rows = loop("i", p, f"out[i] = {zero};", *from_states, *feed)
    return [f"{real} out[{p}];", f"/* {equation} */", *rows, *update, *loop("i", p, "y[i] = out[i];")]
