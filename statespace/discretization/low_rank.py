"""Diagonal plus low rank under rational rules: a Möbius map of X = Λ − P Qᴴ has that form again, and its rank.

    (aX + b)(cX + d)⁻¹ = (aΛ + b)N − (ad − bc) N P (I − c Qᴴ N P)⁻¹ Qᴴ N,   N = (cΛ + d)⁻¹

It serves both directions: the rules, which state their formulas in terms of an algebra, and their way back are given
`LOW_RANK`, whose numbers are such maps and products of them. What is multiplied by B is applied to its columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Never

import numpy as np

from statespace.arrays import Array
from statespace.discretization.algebra import Algebra, Factors
from statespace.discretization.names import Rule
from statespace.structure import DiagonalPlusLowRank
from statespace.structure.low_rank import adjoint


@dataclass(frozen=True)
class Moebius:
    """(aX + b)(cX + d)⁻¹ of one X; a to d are numbers, or (...), one for each system of a batch."""

    x: DiagonalPlusLowRank
    a: Any = 1.0
    b: Any = 0.0
    c: Any = 0.0
    d: Any = 1.0

    __array_ufunc__ = None  # so that NumPy leaves `step * x` to us

    def __rmul__(self, factor: Any) -> Moebius:
        return replace(self, a=factor * self.a, b=factor * self.b)

    def __truediv__(self, factor: Any) -> Moebius:
        return replace(self, a=self.a / factor, b=self.b / factor)

    def __add__(self, other: Moebius) -> Moebius:  # of one denominator, which is all that rules ask for
        return replace(self, a=self.a + other.a, b=self.b + other.b)

    def __sub__(self, other: Moebius) -> Moebius:
        return self + -1.0 * other

    def inverse(self) -> Moebius:
        """(cX + d)(aX + b)⁻¹."""
        return Moebius(self.x, self.c, self.d, self.a, self.b)

    def structure(self, poles: Array | None = None) -> DiagonalPlusLowRank:
        """The value, diagonal plus low rank; raises LinAlgError where it has none."""
        a, b, c, d = (np.asarray(v)[..., None] for v in (self.a, self.b, self.c, self.d))
        free = 1.0 / _denominator(c * self.x.diagonal, d)
        n = free[..., None]
        with np.errstate(over="ignore", invalid="ignore"):
            inner = np.eye(self.x.rank) - c[..., None] * (adjoint(self.x.Q) @ (n * self.x.P))
            left = (a * d - b * c)[..., None] * n * _from_the_right(self.x.P, inner)
            parts = (a * self.x.diagonal + b) * free, left, n.conj() * self.x.Q
        if not all(np.isfinite(part).all() for part in parts):
            raise ValueError("a DiagonalPlusLowRank overflows under this method and step; take another dt")
        return DiagonalPlusLowRank(*parts, poles)


@dataclass(frozen=True)
class Composed:
    """A product of Möbius maps of one X, which commute."""

    parts: tuple[Moebius, ...]

    __array_ufunc__ = None

    def __rmul__(self, factor: Any) -> Composed:
        return Composed((factor * self.parts[0], *self.parts[1:]))

    def inverse(self) -> Composed:
        """The product of the inverses."""
        return Composed(tuple(part.inverse() for part in self.parts))


def apply(function: Any, b: Array) -> Array:
    """The value of a Möbius map or a product of them, times b (..., n, m), in O(n r m)."""
    for part in function.parts if isinstance(function, Composed) else (function,):
        b = part.structure().product(b)
    return b


def factors_of(structure: DiagonalPlusLowRank, step: Array, rule: Rule) -> Factors:
    """α, β, γ, δ of a rational rule, as functions of A; the others have no values of this structure."""
    a: Any = Moebius(structure)
    return rule.factors(a, step, LOW_RANK)


def undone(structure: DiagonalPlusLowRank, step: Array, rule: Rule) -> tuple[Any, Factors]:
    """A as a function of A_d, and the factors that belong to it, as functions of A_d too."""
    a_d: Any = Moebius(structure)
    return rule.undo(a_d, step, LOW_RANK)


# --------------------------------------------------------------- the algebra


def _product(first: Any, second: Any) -> Any:
    """A Möbius map where one factor is linear and the other the inverse of one, else the two side by side."""
    if np.all(first.c == 0.0) and np.all(second.a == 0.0):
        k, d = second.b, first.d
        return Moebius(first.x, k * first.a, k * first.b, d * second.c, d * second.d)
    return Composed((first, second))


def _quotient(left: Any, right: Any) -> Any:
    return _product(right, left.inverse())


def _one(z: Any) -> Any:
    return Moebius(z.x, 0.0, 1.0)


def _size(z: Any) -> Array:
    """The largest magnitudes of both terms, a bound of the entries: inf where there is no value."""
    try:
        value = z.structure()
    except np.linalg.LinAlgError:
        return np.full(z.x.batch_shape, np.inf)
    term = [np.linalg.norm(m, axis=-1).max(axis=-1, initial=0.0) for m in (value.P, value.Q)]
    return np.asarray(np.abs(value.diagonal).max(axis=-1, initial=0.0) + term[0] * term[1])


def no_exponential(z: Any) -> Never:
    """Raise in place of e^z and of its logarithm; the rules that need them have no values of this structure."""
    raise ValueError(
        "a system whose A is a DiagonalPlusLowRank was to be run or discretized by e^(A·dt), or back, which is not "
        "diagonal plus low rank: discretize it by a rational method such as 'bilinear', or make it dense, "
        "ContinuousSystem(*system) or DiscreteSystem(*system, dt=system.dt)"
    )


def _inverse(z: Any) -> Any:
    return z.inverse()


LOW_RANK = Algebra(no_exponential, no_exponential, _product, _inverse, _quotient, _one, _size)


# --------------------------------------------------------------- small parts


def _denominator(first: Array, second: Array) -> Array:
    """cΛ + d, in which nothing may vanish: A may have no pole there, and yet the map has no such form."""
    value = first + second
    if np.any(np.abs(value) <= 10 * np.finfo(float).eps * np.abs(second)):
        raise ValueError(
            "an entry of diag of a DiagonalPlusLowRank lies where the rational method sends it to infinity; take "
            "another dt, or make the system dense, ContinuousSystem(*system) or DiscreteSystem(*system, dt=system.dt)"
        )
    return value


def _from_the_right(left: Array, matrix: Array) -> Array:
    """Return left · matrix⁻¹."""
    return np.linalg.solve(matrix.swapaxes(-1, -2), left.swapaxes(-1, -2)).swapaxes(-1, -2)
