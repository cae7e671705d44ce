"""A product of first- and second-order sections: what poles, zeros and gains mean.

A section is kept as its poles, its zeros and a gain; the numbers a recurrence needs follow from
them. The transfer function is never multiplied out, so an order-40 band-pass is as accurate as one
section of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, FrozenArrays, as_coefficients, as_numbers, frozen, refuse_nonfinite

# Below this a pole is at 0 for the units of a section: e^{−693} of a stiff filter must not become 1e301 beside it.
_GONE = 1e-100


class Sections(NamedTuple):
    """Every section as a real 2×2 (or complex triangular) state space, arrays of shape (..., sections).

        x1' = a11 x1 + a12 x2 + b v        y = c1 x1 + c2 x2 + d v
        x2' = a21 x1 + a22 x2

    A complex pair is the coupled form [[Re p, −Im p], [Im p, Re p]], two real poles a lower triangle.
    The last section of an odd cascade has order 1: its x2 never moves and is no state.
    """

    a11: Array
    a12: Array
    a21: Array
    a22: Array
    b: Array
    c1: Array
    c2: Array
    d: Array


@dataclass(frozen=True, eq=False, repr=False)
class Cascade(FrozenArrays):
    """Sections in series; `from_zpk`, `from_tf`, `from_ba`, `from_sos` build it, users need not.

    Parameters
    ----------
    poles : array_like, (..., n)
        Section k holds the poles 2k and 2k+1; an odd last one stands alone. In a real cascade the two
        poles of a section are real or conjugate.
    zeros : array_like, (..., n)
        The zeros of the same sections; ``None`` or ``inf`` where there is none: a zero at infinity.
    gains : array_like, (..., (n + 1) // 2)
        The factor of each section, gain · Π (s − zero) / Π (s − pole).

    Raises
    ------
    ValueError
        The three do not have matching shapes, or a pole or gain is not finite.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.from_zpk([], [-1.0, -2.0], 2.0).A
    Cascade([(-2+0j), (-1+0j)], [None, None], [2.0])
    """

    known_poles: Any
    zeros: Any
    gains: Any

    def __init__(self, poles: Any, zeros: Any, gains: Any) -> None:
        p, g = as_coefficients(poles, "poles").astype(complex), as_coefficients(gains, "gains")
        z = _with_infinity(zeros)
        n = p.shape[-1] if p.ndim else 0
        if n == 0 or z.shape != p.shape or g.shape != (*p.shape[:-1], (n + 1) // 2):
            raise ValueError(
                "a Cascade needs n ≥ 1 poles, n zeros (None where there is none) and (n + 1) // 2 gains, "
                f"got shapes {p.shape}, {z.shape}, {g.shape}"
            )
        for name, value in (("known_poles", p), ("zeros", z), ("gains", g)):
            object.__setattr__(self, name, frozen(value))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes."""
        return self.known_poles.shape[:-1]

    @property
    def n_states(self) -> int:
        """Number of poles."""
        return self.known_poles.shape[-1]

    @property
    def state_size(self) -> int:
        """Numbers that a state vector holds."""
        return self.known_poles.shape[-1]

    @property
    def n_sections(self) -> int:
        """Number of sections; the last has order 1 when the number of poles is odd."""
        return self.gains.shape[-1]

    @property
    def poles(self) -> Array:
        """The poles that were given, (..., n), section by section."""
        return self.known_poles

    @cached_property
    def is_complex(self) -> bool:
        """Whether a section has poles or zeros that are neither real nor conjugate."""
        mates = in_sections(self.known_poles, np.nan), in_sections(self.zeros, np.nan)
        return self.gains.dtype.kind == "c" or not all(_is_conjugate(pair) for pair in mates)

    @property
    def gain(self) -> Array:
        """Product of the gains, (...), in the wider range: parts of it may overflow."""
        wide = np.clongdouble if self.gains.dtype.kind == "c" else np.longdouble
        return np.asarray(self.gains.astype(wide).prod(-1).astype(self.gains.dtype))

    def sections(self) -> Sections:
        """The state space of each section, scaled so that its state is as large as its output."""
        values = _sections(in_sections(self.known_poles, np.nan), in_sections(self.zeros, np.inf), self.gains)
        return Sections(*values) if self.is_complex else Sections(*(v.real for v in values))

    @cached_property
    def table(self) -> Array:
        """Numbers that a recurrence takes, (..., sections, 8) = a11 a12 a21 a22 b c1 c2 d; worked out once."""
        numbers = np.stack([np.broadcast_to(m, self.gains.shape) for m in self.sections()], axis=-1)
        numbers.setflags(write=False)
        return numbers

    def transfer(self, s: Array) -> Array:
        """Π gain (s − zero)/(s − pole) at s (...): to relative accuracy wherever it is evaluated."""
        p, z = in_sections(self.known_poles, np.inf), in_sections(self.zeros, np.inf)
        s = s[..., None, None]
        on_pole, on_zero = s == p, s == z
        # One pole with one zero at a time, so that nothing overflows on the way.
        ratio = np.where(np.isinf(z) | on_zero, 1.0, s - z) / np.where(np.isinf(p) | on_pole, 1.0, s - p)
        value = (self.gains * ratio[..., 0] * ratio[..., 1]).prod(axis=-1)
        order = on_pole.sum((-2, -1)) - on_zero.sum((-2, -1))
        return np.where(order > 0, complex(np.inf), np.where(order < 0, 0.0, value))

    def realization(self) -> tuple[Array, Array, Array, Array]:
        """The block-triangular A and the B, C, D that belong to it."""
        q, n = self.sections(), self.n_states
        dtype = q.a11.dtype
        a = np.zeros((*self.batch_shape, n + 1, n + 1), dtype)  # one spare state for an odd last section
        b, row = np.zeros((*self.batch_shape, n + 1), dtype), np.zeros((*self.batch_shape, n + 1), dtype)
        through = np.ones(self.batch_shape, dtype)
        for k in range(self.n_sections):
            i, j = 2 * k, 2 * k + 1
            # The input of section k is y of the sections before it: v = row·x + through·u.
            a[..., i, :], b[..., i] = q.b[..., k, None] * row, q.b[..., k] * through
            a[..., i, i], a[..., i, j], a[..., j, i], a[..., j, j] = (m[..., k] for m in q[:4])
            row, through = q.d[..., k, None] * row, q.d[..., k] * through
            row[..., i], row[..., j] = q.c1[..., k], q.c2[..., k]
        return a[..., :n, :n], b[..., :n, None], row[..., None, :n], through[..., None, None]

    def resolvent(self, s: Array, b: Array) -> Array:
        """(s − A)⁻¹ b for b = B u of this cascade's own B, section by section, (..., n, m)."""
        q = self.sections()
        v = _input_of(b, q)
        x = []
        for k in range(self.n_sections):
            a11, a12, a21, a22, bk, c1, c2, d = (m[..., k, None] for m in q)
            e1, e2 = s[..., None] - a11, s[..., None] - a22
            single = 2 * k + 1 == self.n_states
            x1 = bk * v / e1 if single else bk * v * e2 / (e1 * e2 - a12 * a21)
            x2 = np.zeros_like(x1) if single else bk * v * a21 / (e1 * e2 - a12 * a21)
            x += [x1, x2]
            v = c1 * x1 + c2 * x2 + d * v
        return np.stack(x[: self.n_states], axis=-2)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.realization()[0], dtype=dtype)

    def __repr__(self) -> str:
        zeros = np.array(self.zeros, dtype=object)
        zeros[np.isinf(self.zeros)] = None
        return f"Cascade({self.known_poles.tolist()}, {zeros.tolist()}, {self.gains.tolist()})"


def _with_infinity(zeros: Any) -> Array:
    """Zeros as complex numbers, inf where there is none; NaN is refused."""
    if zeros is None or isinstance(zeros, list):
        objects = np.asarray(zeros, dtype=object)
        zeros = np.where(objects == None, np.inf, objects).tolist()  # noqa: E711, elementwise
    z = as_numbers(zeros, "zeros").astype(complex)
    absent = np.isinf(z)
    refuse_nonfinite(np.where(absent, 0.0, z), "zeros")
    return np.where(absent, complex(np.inf), z)


def in_sections(values: Array, fill: complex) -> Array:
    """(..., n) as (..., sections, 2); an odd last section is filled up."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.full((*values.shape[:-1], 1), fill, values.dtype)], axis=-1)
    return values.reshape(*values.shape[:-1], -1, 2)


def _is_conjugate(pair: Array) -> bool:
    """Whether both members of each (..., 2) are real, or the second is the conjugate of the first."""
    first, second = pair[..., 0], pair[..., 1]
    real = (first.imag == 0) & ((second.imag == 0) | np.isnan(second))
    return bool(np.all(real | (first == second.conj())))


def _sections(p: Array, z: Array, gain: Array) -> tuple[Array, ...]:
    """Coefficients of each section from its two poles, two zeros (nan, inf where absent) and gain.

    With e(s) = num(s) − d/gain · den(s) = n1 s + n0, a partial fraction in the basis
    b (s − a22)/den(s), b a21/den(s) gives c1 = gain n1/b and c2 = gain e(a22)/(b a21).
    """
    single, finite = np.isnan(p[..., 1]), np.isfinite(z)
    zero = np.where(finite, z, 0.0)
    pair = ~single & (p[..., 0].imag != 0) & (p[..., 0] == p[..., 1].conj()) & (np.abs(p[..., 0]) > _GONE)
    p1, p2 = p[..., 0], np.where(single, 0.0, p[..., 1])
    omega = np.abs(p1.imag)
    both, one = finite.all(-1), finite.sum(-1) == 1

    a11, a22 = np.where(pair, p1.real, p1), np.where(pair, p1.real, p2)
    rate = np.where(np.abs(p2) > _GONE, np.abs(p2), np.where(np.abs(p1) > _GONE, np.abs(p1), 1.0))
    turn = np.maximum(omega, _GONE)  # ω itself but where two poles are as good as one: c2 has it in its denominator
    a21 = np.where(single, 0.0, np.where(pair, turn, rate)).astype(complex)
    a12 = np.where(pair, -omega * (omega / turn), 0.0).astype(complex)

    n1 = np.where(both, (p1 - zero[..., 0]) + (p2 - zero[..., 1]), np.where(one, 1.0, 0.0))
    num = np.where(finite, a22[..., None] - zero, 1.0).prod(-1)
    e = np.where(both & pair, _residual(a22, omega, zero), num)
    # A single section: gain (s − z)/(s − p) = gain + gain (p − z)/(s − p).
    has_zero = single & finite[..., 0]
    n1 = np.where(single, np.where(has_zero, p1 - zero[..., 0], 1.0), n1)
    d = np.where(both | has_zero, gain, 0.0)

    r1, r2 = gain * n1, np.where(single, 0.0, gain * e / np.where(single, 1.0, a21))
    b = np.maximum(np.abs(r1), np.abs(r2))
    b = np.where(b > 1e-290, b, 1.0).astype(complex)  # 1/b of a subnormal number overflows in a complex quotient
    return a11, a12, a21, a22, b, r1 / b, r2 / b, d


def _residual(sigma: Array, omega: Array, zero: Array) -> Array:
    """num(σ) − ω² for poles σ ± jω; for zeros ζ ± jη as (σ − ζ)² + (η − ω)(η + ω), without cancellation."""
    eta = np.abs(zero[..., 0].imag)
    conjugate = (sigma - zero[..., 0].real) ** 2 + (eta - omega) * (eta + omega)
    plain = (sigma - zero[..., 0]) * (sigma - zero[..., 1]) - omega**2
    return np.where((eta > 0) & (zero[..., 0] == zero[..., 1].conj()), conjugate, plain)


def _input_of(b: Array, q: Sections) -> Array:
    """The u in b = B u, read from the first state, which only the input reaches."""
    return b[..., 0, :] / q.b[..., 0, None]
