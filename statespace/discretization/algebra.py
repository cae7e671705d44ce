"""What a rule needs to know about numbers, or about matrices: one formula serves both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, phi1, phi1_minus_phi2, phi2
from statespace.structure.matrices import Exponentials, balanced, exponentials, identity_like, logarithm, solve


class Factors(NamedTuple):
    """α, β, γ of the two-tap recurrence and δ = αγ + β."""

    alpha: Any
    beta: Any
    gamma: Any
    delta: Any


class Algebra(NamedTuple):
    """What a rule needs to know about numbers, or about matrices."""

    exponentials: Callable[[Array], Exponentials]
    logarithm: Callable[[Array], Array]
    product: Callable[[Array, Array], Array]
    inverse: Callable[[Array], Array]
    solve: Callable[[Array, Array], Array]  # of left and right, left⁻¹ right; left must not be singular
    one: Callable[[Array], Array]
    size: Callable[[Array], Array]  # largest magnitude, whatever the units of the states


def _elementwise(z: Array) -> Exponentials:
    return Exponentials(np.exp(z), phi1(z), phi2(z), phi1_minus_phi2(z))


def _reciprocal(m: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1.0 / m


def _quotient(left: Array, right: Array) -> Array:
    return right / left


def _inverse(m: Array) -> Array:
    try:
        return solve(m, identity_like(m))
    except np.linalg.LinAlgError:
        return np.full(m.shape, np.inf)


def _balanced_size(m: Array) -> Array:
    return np.abs(balanced(m)[0]) if np.isfinite(m).all() else np.abs(m)


ELEMENTWISE = Algebra(_elementwise, np.log, np.multiply, _reciprocal, _quotient, np.ones_like, np.abs)
MATRICES = Algebra(exponentials, logarithm, np.matmul, _inverse, solve, identity_like, _balanced_size)
