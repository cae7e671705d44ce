"""The error model: what rounding may do to an output, from eps, length, memory, angle and conditioning.

A step rounds every product and every sum once, and what is rounded at one step is seen at all later ones:

    |δy_k| ≤ eps Σ_j |C A^j| ℓ + eps (|C||x_k| + |D||u_k|),   ℓ = max_k (|A||x_k| + |B||u_k|)

by components, with the states x_k that the run has. Σ_j |C A^j| grows with the length L up to what the poles remember,
1/(1 − ρ); |A||x| counts what cancels inside, so that the conditioning of the coordinates is in it. Coefficients that
come from a discretization are known to eps·‖ΔA‖, the angle, which is what a dense e^z can be known to.
The sum is the worst case of all signs; at random they add up to its square root.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.kernels import kernel
from statespace.scan import run
from statespace.structure import Cascade, Dense, Diagonal, DiagonalPlusLowRank, Structure
from statespace.systems import DiscreteSystem

_COARSE = 8  # roundings a sample where nothing is known of the system
_VACUOUS = 1e-3  # of the answer
_DOUBLE = float(np.finfo(float).eps)
_SMALLEST = float(np.finfo(float).smallest_subnormal)


def output_bound(
    system: DiscreteSystem, u: Array, x0: Array | None = None, *, angle: float = 0.0, input_eps: float = _DOUBLE
) -> Array:
    """Largest difference between two ways to run a system on u (..., L, m), for each output, (..., p).

    ``angle`` is ‖ΔA‖ where the coefficients come from two discretizations; ``input_eps`` the rounding of the signal
    where it was computed in single precision.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bound = _bound(system, u, x0, angle, input_eps)
    if not np.isfinite(bound).all():
        raise OverflowError(
            f"the bound overflows: the system grows beyond double precision within {u.shape[-2]} samples; "
            "take a shorter or smaller signal"
        )
    return bound


def _bound(system: DiscreteSystem, u: Array, x0: Array | None, angle: float, input_eps: float) -> Array:
    length = u.shape[-2]
    result = run(system, u, x0, keep=length)
    x, v = np.abs(result.states), np.abs(u) * (input_eps / _DOUBLE)
    moved = _moved(system.A, x) + _times(system.B, v)
    if angle:  # a dense e^z is known in the norm: a zero of it may be 1e-17 of its largest entry
        moved = moved + angle * (
            moved if isinstance(system.A, Diagonal) else moved.max(axis=-1, keepdims=True, initial=0.0)
        )
    c = system.C * (1 + system.stores_pairs)  # y = 2·Re(C x) + D u
    direct = _times(c, x) + _times(system.D, v) + angle * _times(np.abs(c) @ np.abs(system.B), v)
    if angle and isinstance(system.A, Cascade):
        direct = direct + 2 * _of_roots(system, u)
    remembered = _in_quadrature(seen(system, length) * _largest(moved)[..., None, :])
    rounded = _largest(np.abs(result.y)) * float(np.finfo(result.y.dtype).eps)
    double = _roundings(system) * (_DOUBLE * (remembered + _largest(direct)) + _SMALLEST * length)
    return np.asarray(double + (rounded if result.y.dtype.itemsize < 8 * (1 + np.iscomplexobj(result.y)) else 0.0))


def block_bound(system: DiscreteSystem, u: Array, M: int) -> Array:
    """What sums over blocks of M samples add, M·m terms each: 2 √(M m) eps Σ|h||u|, for each output."""
    count = min(M, u.shape[-2])
    if count == 0:
        return np.zeros(system.n_outputs)
    size = np.abs(kernel(system, count)).sum(axis=-3) @ _largest(np.abs(u))[..., None]
    return np.asarray(2 * _DOUBLE * np.sqrt(count * system.n_inputs) * size[..., 0])


def convolution_bound(system: DiscreteSystem, u: Array) -> Array:
    """What an FFT adds: eps·log₂ L of the largest output, and of the spectra at random, ‖h‖‖u‖/√L, for each output.

    The kernel was rounded itself, by what its own run may be off, in each sample that is remembered.
    """
    if u.shape[-2] == 0:
        return np.zeros(system.n_outputs)
    h, length = kernel(system, u.shape[-2]), max(u.shape[-2], 2)
    size = _in_quadrature(np.moveaxis(np.abs(h), -3, -1)) @ _in_quadrature(np.abs(u).swapaxes(-1, -2))[..., None]
    largest = _largest(np.abs(run(system, u).y))
    rounded = _COARSE * _DOUBLE * np.log2(length) * (size[..., 0] / length**0.5 + largest)
    return np.asarray(rounded + np.sqrt(memory(system, length))[..., None] * _of_kernel(system, u))


def _of_kernel(system: DiscreteSystem, u: Array) -> Array:
    """Largest error of a sample of the kernel on the largest input, for each output."""
    impulses = np.eye(system.n_inputs)[:, None, :] * (np.arange(u.shape[-2]) == 0)[:, None]
    parts = [output_bound(system, pulse) * _largest(np.abs(u))[..., j, None] for j, pulse in enumerate(impulses)]
    return np.asarray(sum(parts))


def state_system(system: DiscreteSystem) -> DiscreteSystem:
    """The system whose output is the state of another: C = 1, D = 0."""
    n = system.state_size
    structure: Any = system.A
    if isinstance(system.A, Diagonal):
        structure = Diagonal(system.A.diagonal)  # the stored member of each pair, as it stands
    elif not isinstance(system.A, (Dense, DiagonalPlusLowRank)):
        structure = Dense(np.asarray(system.A), system.A.poles)
    return DiscreteSystem(structure, system.B, np.eye(n), dt=system.dt)


def memory(system: DiscreteSystem, length: int) -> Array:
    """Samples that are remembered, min(L, 1/(1 − ρ)), (...)."""
    radius = np.abs(system.poles).max(axis=-1, initial=0.0)
    return np.asarray(np.minimum(length, 1.0 / np.maximum(1.0 - radius, 1.0 / max(length, 1))))


def coarse_bound(*answers: Array) -> Array:
    """Without a system that says more: each answer rounded to its largest at every sample, 8·eps·L·max|y|, (..., p)."""
    length = max(answers[0].shape[-2], 1)
    eps = max(float(np.finfo(y.dtype).eps) if y.dtype.kind in "fc" else _DOUBLE for y in answers)
    if _COARSE * length * eps > _VACUOUS:
        raise ValueError(
            f"without a system the bound is 8·eps·L = {_COARSE * length * eps:.2g} of the answer, which says nothing; "
            "give system=, what the function should be, or a shorter signal"
        )
    return np.asarray(_COARSE * length * eps * sum(_largest(np.abs(y)) for y in answers))


def seen(system: DiscreteSystem, length: int) -> Array:
    """Σ_j |C A^j| over j < L, (..., p, n), by running the system from its unit states."""
    n, ones = system.state_size, (1,) * len(system.batch_shape)
    unit = np.eye(n).reshape(n, *ones, n)
    starts = np.concatenate([unit, 1j * unit]) if system.stores_pairs else unit
    free = run(system, np.zeros((length, system.n_inputs)), starts).y  # (n or 2n, ..., L, p)
    total = np.moveaxis(np.abs(free).sum(axis=-2), 0, -1)  # (..., p, n or 2n)
    return total[..., :n] + total[..., n:] if system.stores_pairs else total


def _roundings(system: DiscreteSystem) -> float:
    """Roundings of inner products of n + m terms in two answers, half a unit each: at random 2√(n + m + 1) of them.

    For up to four terms that is the worst case as well; a complex product has twice as many.
    """
    terms = system.state_size + system.n_inputs + 1
    return 2.0 * float(np.sqrt(2 * terms if system.is_complex or system.stores_pairs else terms))


def _moved(structure: Structure, x: Array) -> Array:
    """|A||x| for states (..., L, n)."""
    if isinstance(structure, Diagonal):
        return np.abs(structure.diagonal)[..., None, :] * x
    if isinstance(structure, DiagonalPlusLowRank):
        own = np.abs(structure.diagonal)[..., None, :] * x
        return own + _times(np.abs(structure.P), _times(np.abs(structure.Q).swapaxes(-1, -2), x))
    return _times(np.asarray(structure), x)


def _times(matrix: Array, x: Array) -> Array:
    """|M| x at every sample."""
    return x @ np.abs(matrix).swapaxes(-1, -2)


def _of_roots(system: DiscreteSystem, u: Array) -> Array:
    """What a relative change of every pole and zero does: |p| H/(ζ − p) and |z| H/(ζ − z) on the largest input.

    A slow section whose zero is near its pole has a residue, the difference of the two, that is known no better.
    """
    cascade, length, n = system.A, u.shape[-2], system.n_states
    poles = DiscreteSystem(Diagonal(cascade.poles), np.ones((n, 1)), np.eye(n), dt=1.0)
    doubled = np.abs(run(poles, kernel(system, length)[..., 0]).y).sum(axis=-2)  # (..., n)
    total = (np.abs(cascade.poles) * doubled).sum(axis=-1)
    for k in range(n):
        zeros = np.array(cascade.zeros)
        size = np.where(np.isinf(zeros[..., k]), 0.0, np.abs(zeros[..., k]))
        zeros[..., k] = np.inf
        without = DiscreteSystem(Cascade(cascade.poles, zeros, cascade.gains), dt=system.dt)
        total = total + size * np.abs(kernel(without, length)).sum(axis=(-3, -2, -1))
    return np.asarray(total[..., None, None] * _largest(np.abs(u))[..., None, :])


def _in_quadrature(parts: Array) -> Array:
    """√Σ|part|² over the last axis, also where a square would overflow: roundings of different states are unrelated."""
    size = parts.max(axis=-1, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(parts / size[..., None], nan=0.0, posinf=0.0)
    return np.asarray(size * np.sqrt((share**2).sum(axis=-1)))


def _largest(values: Array) -> Array:
    """Largest over time."""
    return values.max(axis=-2, initial=0.0)
