"""Polynomials: their roots, and how much of a transfer function their coefficients still know."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import PROMISED, Array, as_coefficients, warn_of_loss
from statespace.structure import Cascade
from statespace.structure.cascade import in_sections
from statespace.structure.pairing import axis_points, is_clear

_EPS = float(np.finfo(float).eps)


def as_polynomial(value: Any, name: str) -> Array:
    """One row of finite coefficients."""
    array = np.atleast_1d(as_coefficients(value, name))
    if array.ndim != 1 or array.size == 0:
        rows = f"; take one row, {name}[0]" if array.ndim == 2 and array.size else ""
        raise ValueError(f"{name} must be one row of coefficients, got shape {array.shape}{rows}")
    return array


def improper(zeros: int, poles: int) -> str:
    """Say what is wrong with more zeros than poles."""
    return (
        f"the transfer function is improper, {zeros} zeros and {poles} poles; a state space needs at least as many "
        "poles. Numerator or zeros come first; a derivative, as in PID, needs a pole of its own, far to the left; for "
        "a digital filter in powers of z⁻¹, where b may be longer than a, use from_ba"
    )


def section_roots(num: Array, den: Array) -> tuple[list[complex], list[complex], complex]:
    """Poles, zeros and gain of one biquad; a factor z that both polynomials share is cancelled."""
    while num[-1] == 0 and den[-1] == 0 and len(den) > 1:
        num, den = num[:-1], den[:-1]
    num, den = without_leading_zeros(num), without_leading_zeros(den)
    if den.size == 0:
        raise ValueError("sos has a row with a0 = a1 = a2 = 0, which is no section")
    if num.size > den.size:
        raise ValueError(improper(num.size - 1, den.size - 1))
    if num.size == 0:
        return _quadratic_roots(den), [], 0.0
    return _quadratic_roots(den), _quadratic_roots(num), num[0] / den[0]


def _quadratic_roots(c: Array) -> list[complex]:
    """Roots of a polynomial of degree ≤ 2, the discriminant in extended precision where there is one.

    For a pole pair at angle θ the discriminant is about θ² of a1²/4: at fs/fc = 1000, in double
    precision, it would lose five digits.
    """
    if len(c) < 3:
        return [-c[1] / c[0]] if len(c) == 2 else []
    wide = c.astype(np.clongdouble if np.iscomplexobj(c) else np.longdouble)
    half = -wide[1] / wide[0] / 2
    root = np.sqrt(np.clongdouble(half * half - wide[2] / wide[0]))
    if np.iscomplexobj(c) or root.imag == 0:
        first = half + root if (half * np.conj(root)).real >= 0 else half - root
        second = wide[2] / wide[0] / first if first != 0 else first
        return [complex(first), complex(second)]
    return [complex(half + root), complex(half - root)]


def roots_of(c: Array) -> Array:
    """Roots of a polynomial in descending powers, in a variable scaled to unit geometric mean."""
    if c.size == 0:
        return np.zeros(0, complex)
    ends = np.nonzero(c)[0]
    at_zero, c = len(c) - 1 - ends[-1], c[: ends[-1] + 1]
    n = len(c) - 1
    scale = np.exp2(np.round(np.log2(np.abs(c[-1] / c[0])) / n)) if n else 1.0
    scaled = c / c[0] / scale ** np.arange(n + 1.0)
    roots = np.array(_quadratic_roots(scaled)) if n <= 2 else np.roots(scaled)
    return np.concatenate([roots * scale, np.zeros(at_zero)]).astype(complex)


def without_leading_zeros(c: Array) -> Array:
    return np.trim_zeros(c, "f")


# --------------------------------------------------------------- what coefficients know


def warn_of_coefficients(num: Array, den: Array, structure: Any, *, discrete: bool, what: str) -> None:
    """Warn where a cascade made of num/den is not known to 1e-10 of the peak.

    Rounding of the coefficients, before they came here, has moved the response by up to

        |δH| ≤ eps/2 (Σ|b_k||s|^k + |H| Σ|a_k||s|^k) / |a(s)|,    a(s) = a_0 Π(s − p)

    and finding the roots by what the cascade misses. Extended precision is for its range too: s^40 overflows a double.
    """
    if not isinstance(structure, Cascade):
        return
    points = points_of_interest(structure, discrete=discrete)
    got, size = structure.transfer(points), np.abs(points).astype(np.longdouble)
    distances = np.abs(points[:, None] - structure.known_poles).astype(np.longdouble)
    terms = np.polyval(np.abs(num), size) + np.abs(got) * np.polyval(np.abs(den), size)
    before = _EPS / 2 * terms / np.abs(den[0]) / distances.prod(axis=-1)
    want = _quotient([num], [den], points)
    _warn_beyond_promise(before + np.abs(got - want), np.abs(want), what)


def warn_of_rounding(numerators: Array, denominators: Array, cascade: Cascade, *, discrete: bool, what: str) -> None:
    """Warn where coefficients (sections, order + 1), now in double precision, miss a cascade by more than 1e-10."""
    points = points_of_interest(cascade, discrete=discrete)
    want = cascade.transfer(points)
    _warn_beyond_promise(np.abs(_quotient(numerators, denominators, points) - want), np.abs(want), what)


def _quotient(numerators: Any, denominators: Any, points: Array) -> Array:
    """Π num/den in extended precision, so that what is seen of coefficients is their rounding alone."""
    wide, h = points.astype(np.clongdouble), np.ones(points.shape, np.clongdouble)
    for num, den in zip(numerators, denominators, strict=True):
        h *= np.polyval(num, wide) / np.polyval(den, wide)
    return h


def _warn_beyond_promise(error: Array, h: Array, what: str) -> None:
    error, h = error[np.isfinite(h)], h[np.isfinite(h)]
    peak = h.max(initial=0.0)
    loss = float(error.max(initial=0.0) / peak) if peak > 0 else 0.0
    if loss > PROMISED:
        known = f"fix this response to about {loss:.0e} of its peak only" if loss < 0.5 else "do not fix this response"
        warn_of_loss(
            f"{what}: coefficients in double precision {known}; zeros and poles (from_zpk, to_zpk) know it better"
        )


def points_of_interest(cascade: Cascade, *, discrete: bool) -> Array:
    """Points of the frequency axis near each pole, where the response is finite."""
    p, z = in_sections(cascade.known_poles, np.inf), in_sections(cascade.zeros, np.inf)
    points = axis_points(p, z, discrete=discrete).ravel()
    points = points[is_clear(points, cascade.known_poles, discrete=discrete, margin=1e-10)]
    return points[np.isfinite(cascade.transfer(points))]
