"""Systems from systems: series, parallel, feedback, append, channels.

Structure and known poles are kept where the mathematics keeps them; elsewhere the result is dense.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from statespace.arrays import Array, as_coefficients, refuse_foreign, same_step, shorten, warn_of_loss
from statespace.structure import Cascade, Dense, Diagonal, DiagonalPlusLowRank, knows_poles
from statespace.structure.matrices import blocks
from statespace.systems.properties import realization

if TYPE_CHECKING:
    from statespace.systems.types import _System

S = TypeVar("S", bound="_System")


def series(first: S, second: Any, *others: Any) -> S:
    """Connect systems one after another: the output of ``first`` drives ``second``.

    Parameters
    ----------
    first, second, *others : systems of one type, or constant matrices
        At least one of them a system.

    Returns
    -------
    system
        Two cascades give a Cascade of all their sections, single poles last. Otherwise the states of
        ``first`` lead, in a dense block-triangular system that keeps the poles of its parts.

    Raises
    ------
    TypeError
        Continuous and discrete systems are mixed.
    ValueError
        The sizes do not fit, or the steps differ by more than 1e-9 relative.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.3.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> ss.series(lag, lag).poles
    array([-1.+0.j, -1.+0.j])
    """
    result = _series(first, second)
    for other in others:
        result = _series(result, other)
    return result


def _series(first: Any, second: Any) -> Any:
    first, second = _both(first, second, "series")
    if first.n_outputs != second.n_inputs:
        raise ValueError(
            f"series: the first system has {first.n_outputs} outputs, the second {second.n_inputs} inputs; "
            "they must be equal (G2 * G1 is series(G1, G2))"
        )
    if isinstance(first.A, Cascade) and isinstance(second.A, Cascade):
        return _with(first, second, _joined(first.A, second.A), sampled=True)
    (a1, b1, c1, d1), (a2, b2, c2, d2) = realization(first), realization(second)
    dynamic = first.n_states > 0 and second.n_states > 0
    a = blocks(a1, None, b2 @ c1, a2)
    b, c = _stack(b1, b2 @ d1, axis=-2), _stack(d2 @ c1, c2, axis=-1)
    return _with(first, second, _dense(a, first, second), b, c, d2 @ d1, sampled=dynamic)


def _joined(first: Cascade, second: Cascade) -> Cascade:
    """Sections of both, in order; single poles go to the end, two of them make a section."""
    batch = np.broadcast_shapes(first.batch_shape, second.batch_shape)

    def halves(values: Array, count: int) -> tuple[Array, Array]:
        values = np.broadcast_to(values, (*batch, values.shape[-1]))
        return values[..., :count], values[..., count:]

    parts = []
    for name in ("known_poles", "zeros"):
        pairs = (halves(getattr(c, name), c.n_states - c.n_states % 2) for c in (first, second))
        parts.append(np.concatenate([x for half in zip(*pairs, strict=True) for x in half], axis=-1))
    (sections1, single1), (sections2, single2) = (halves(c.gains, c.n_states // 2) for c in (first, second))
    both = first.n_states % 2 and second.n_states % 2
    single = [single1 * single2] if both else [single1, single2]
    return Cascade(parts[0], parts[1], np.concatenate([sections1, sections2, *single], axis=-1))


def parallel(first: S, second: Any, *others: Any) -> S:
    """Add the outputs of systems that share their input.

    Parameters
    ----------
    first, second, *others : systems of one type, or constant matrices
        At least one of them a system. A plain number adds to a single-input single-output system.

    Returns
    -------
    system
        The states of ``first`` lead; diagonal systems stay diagonal, diagonal plus low-rank ones are that too, their
        ranks added, and known poles are kept.

    Raises
    ------
    TypeError, ValueError
        As `series`.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.3.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> float(ss.parallel(lag, lag).dc_gain[0, 0])
    2.0
    """
    result = _parallel(first, second)
    for other in others:
        result = _parallel(result, other)
    return result


def _parallel(first: Any, second: Any) -> Any:
    first, second = _both(first, second, "parallel")
    if (first.n_outputs, first.n_inputs) != (second.n_outputs, second.n_inputs):
        raise ValueError(
            "parallel: both systems need as many outputs and inputs, got "
            f"{first.n_outputs}×{first.n_inputs} and {second.n_outputs}×{second.n_inputs}"
        )
    structure, (b1, c1, b2, c2) = _side_by_side(first, second)
    return _with(first, second, structure, _stack(b1, b2, axis=-2), _stack(c1, c2, axis=-1), first.D + second.D)


def append(first: S, second: Any, *others: Any) -> S:
    """Put systems side by side without connecting them: inputs and outputs are stacked.

    Parameters
    ----------
    first, second, *others : systems of one type, or constant matrices

    Returns
    -------
    system
        Block diagonal; the first system's inputs, outputs and states lead.

    Raises
    ------
    TypeError, ValueError
        As `series`.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.3.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> both = ss.append(lag, lag)
    >>> both.n_outputs, both.n_inputs
    (2, 2)
    """
    result = _append(first, second)
    for other in others:
        result = _append(result, other)
    return result


def _append(first: Any, second: Any) -> Any:
    first, second = _both(first, second, "append")
    structure, (b1, c1, b2, c2) = _side_by_side(first, second)
    return _with(first, second, structure, blocks(b1, None, None, b2), blocks(c1, None, None, c2),
                 blocks(first.D, None, None, second.D))  # fmt: skip


def feedback(system: S, other: Any = None, *, sign: int = -1) -> S:
    """Close a loop: u = r + sign · other(y), seen from r to y.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        The forward path.
    other : system or constant matrix, optional
        The return path; the identity when omitted.
    sign : {-1, 1}
        Negative feedback by default.

    Returns
    -------
    system
        The closed loop, dense, the states of ``system`` first.

    Raises
    ------
    ValueError
        The sizes do not fit, or the loop is algebraic: I − sign·D_other·D_system is singular.
    TypeError
        Continuous and discrete systems are mixed.

    Warns
    -----
    AccuracyWarning
        The loop is nearly algebraic: more than eight digits cancel in I − sign·D_other·D_system.

    References
    ----------
    K. Zhou, J. Doyle, K. Glover, *Robust and Optimal Control*, Prentice-Hall 1996, section 5.2.

    Examples
    --------
    >>> import statespace as ss
    >>> integrator = ss.from_zpk([], [0.0], 3.0)
    >>> ss.feedback(integrator).poles
    array([-3.+0.j])
    """
    if not (isinstance(sign, (int, float)) and sign in (-1, 1)):
        raise ValueError(f"sign must be -1 or 1, got {shorten(sign)}")
    if other is None:
        other = np.eye(getattr(system, "n_outputs", 1))
    first, second = _both(system, other, "feedback")
    if (first.n_outputs, first.n_inputs) != (second.n_inputs, second.n_outputs):
        raise ValueError(
            f"feedback: a system of {first.n_outputs} outputs and {first.n_inputs} inputs needs a return path of "
            f"{first.n_inputs} outputs and {first.n_outputs} inputs, got {second.n_outputs} and {second.n_inputs}"
        )
    (a1, b1, c1, d1), (a2, b2, c2, d2) = realization(first), realization(second)
    # u = E (r + sign (C2 x2 + D2 C1 x1)),  E = (I − sign D2 D1)⁻¹
    one = np.eye(first.n_inputs)
    e = _loop_inverse(one - sign * d2 @ d1, one + np.abs(d2) @ np.abs(d1))
    u_x1, u_x2 = sign * e @ d2 @ c1, sign * e @ c2
    y_x1, y_x2 = c1 + d1 @ u_x1, d1 @ u_x2
    a = blocks(a1 + b1 @ u_x1, b1 @ u_x2, b2 @ y_x1, a2 + b2 @ y_x2)
    b, c = _stack(b1 @ e, b2 @ d1 @ e, axis=-2), _stack(y_x1, y_x2, axis=-1)
    return _with(first, second, Dense(a), b, c, d1 @ e, sampled=True)


def _loop_inverse(loop: Array, terms: Array) -> Array:
    """Inverse of I − sign·D2·D1, refused where the loop is algebraic.

    The entries are sums whose terms have the size I + |D2||D1|, known to eps of that: rows and columns are
    measured by it, so that the units of the channels do not matter.
    """
    rows = terms.max(axis=-1, initial=0.0)[..., :, None]
    columns = (terms / rows).max(axis=-2, initial=0.0)[..., None, :]
    smallest = float(np.min(np.linalg.svd(loop / rows / columns, compute_uv=False), initial=1.0))
    if smallest < 4 * np.finfo(float).eps:
        raise ValueError(
            "feedback: the loop is algebraic, I − sign·D_other·D_system is singular; "
            "remove the direct feedthrough from one of the two paths"
        )
    if smallest < 1e-8:
        warn_of_loss(f"feedback: the loop is nearly algebraic, about {-round(np.log10(smallest))} digits are lost")
    return np.linalg.inv(loop)


def scaled(system: S, factor: Any) -> S:
    """Multiply the output by a number."""
    refuse_foreign(factor, "factor")
    try:
        number = complex(factor) if np.iscomplexobj(factor) else float(factor)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise ValueError(f"a system cannot be multiplied by {shorten(factor)}; the factor must be finite")
    if isinstance(system.A, Cascade):
        gains = system.A.gains * np.r_[np.ones(system.A.n_sections - 1), number]
        return replace(system, A=Cascade(system.A.known_poles, system.A.zeros, gains), B=None, C=None, D=None)
    if system.stores_pairs and isinstance(number, complex):
        raise ValueError("a system stored as conjugate pairs is real and cannot be multiplied by a complex number")
    return replace(system, C=system.C * number, D=system.D * number)


def channels(system: S, key: Any) -> S:
    """``system[outputs, inputs]`` with integers or slices; both stay as axes."""
    if not (isinstance(key, tuple) and len(key) == 2):
        raise IndexError(f"a system takes two indices, system[outputs, inputs], got {key!r}")
    outputs, inputs = (_kept(k, size) for k, size in zip(key, (system.n_outputs, system.n_inputs), strict=True))
    if isinstance(system.A, Cascade):
        a, b, c, d = system.A, *realization(system)[1:]
        if len(outputs) == len(inputs) == 1:
            return system
        return replace(
            system,
            A=Dense(np.asarray(a), a.poles),
            B=b[..., inputs],
            C=c[..., outputs, :],
            D=d[..., outputs, :][..., inputs],
        )
    return replace(
        system, B=system.B[..., inputs], C=system.C[..., outputs, :], D=system.D[..., outputs, :][..., inputs]
    )


def _kept(key: Any, size: int) -> list[int]:
    """Indices that a key selects, in order."""
    try:
        return [int(i) for i in np.atleast_1d(np.arange(size)[key])]
    except (IndexError, TypeError, ValueError) as error:
        raise IndexError(f"{shorten(key)} does not select from {size} channels: {error}") from None


# --------------------------------------------------------------- what the verbs share


def _both(first: Any, second: Any, verb: str) -> tuple[Any, Any]:
    """Two systems of one type and step; a constant becomes a system without states."""
    known = next((s for s in (first, second) if hasattr(s, "time_unit")), None)
    if known is None:
        raise TypeError(f"{verb} needs at least one system, got {type(first).__name__} and {type(second).__name__}")
    first, second = (s if hasattr(s, "time_unit") else _constant(s, known, verb) for s in (first, second))
    if type(first) is not type(second):
        raise TypeError(
            f"{verb} cannot mix a {type(first).__name__} with a {type(second).__name__}; "
            "discretize the continuous one first"
        )
    if hasattr(first, "dt") and not same_step(first.dt, second.dt):
        raise ValueError(f"{verb} needs systems of one step, got dt={first.dt} and dt={second.dt}; rediscretize one")
    if first.time_unit != second.time_unit:
        raise ValueError(f"{verb} needs one unit of time, got {first.time_unit!r} and {second.time_unit!r}")
    return first, second


def as_gain(value: Any) -> Array:
    """A constant that stands beside a system, as finite numbers."""
    return as_coefficients(value, "gain")


def _constant(value: Any, like: S, verb: str) -> S:
    """A system without states, of the type and step of another one."""
    gain = as_gain(value)
    if gain.ndim == 0 and not (like.n_inputs == like.n_outputs == 1):
        raise ValueError(
            f"{verb}: a number is added to a single-input single-output system only, "
            f"this one is {like.n_outputs}×{like.n_inputs}; give a matrix"
        )
    gain = gain[None, None] if gain.ndim == 0 else gain
    if gain.ndim < 2:
        raise ValueError(f"{verb}: a constant must be a number or a matrix (..., p, m), got shape {gain.shape}")
    p, m = gain.shape[-2:]
    return replace(like, A=np.zeros((0, 0)), B=np.zeros((0, m)), C=np.zeros((p, 0)), D=gain)


def _with(
    first: S, second: S, structure: Any, b: Any = None, c: Any = None, d: Any = None, *, sampled: bool = False
) -> S:
    """A system of the same type and step; its method is the one that both parts agree on.

    Where one part gets the samples of another the method is kept only if it puts f(ζ) for s: the zoh of two systems in
    series is not the series of their zohs.
    """
    changes = {"A": structure, "B": b, "C": c, "D": d}
    if hasattr(first, "method"):
        agreed = first.method == getattr(second, "method", None)
        kept = agreed and (not sampled or getattr(first.method, "substitutes", False))
        changes["method"] = first.method if kept else None
    return replace(first, **changes)


def _side_by_side(first: Any, second: Any) -> tuple[Any, tuple[Array, Array, Array, Array]]:
    """Block-diagonal structure of two systems and their B and C."""
    diagonal = isinstance(first.A, Diagonal) and isinstance(second.A, Diagonal)
    if diagonal and first.A.pairs == second.A.pairs:
        poles = _stack(first.A.diagonal, second.A.diagonal, axis=-1, core=1)
        return Diagonal(poles, first.A.pairs), (first.B, first.C, second.B, second.C)
    if _is_low_rank(first.A, second.A):
        return _both_ranks(first, second), (first.B, first.C, second.B, second.C)
    (a1, b1, c1, _), (a2, b2, c2, _) = realization(first), realization(second)
    return _dense(blocks(a1, None, None, a2), first, second), (b1, c1, b2, c2)


def _is_low_rank(first: Any, second: Any) -> bool:
    """Whether two structures, one of them diagonal plus low rank, are so together; stored pairs are not."""
    fits = [isinstance(a, DiagonalPlusLowRank) or (isinstance(a, Diagonal) and not a.pairs) for a in (first, second)]
    return all(fits) and not (isinstance(first, Diagonal) and isinstance(second, Diagonal))


def _both_ranks(first: Any, second: Any) -> DiagonalPlusLowRank:
    """Block-diagonal factors beside the diagonals of both; a Diagonal has rank 0."""
    none = [np.zeros((s.n_states, 0)) for s in (first, second)]
    p, q = ([getattr(s.A, name, zero) for s, zero in zip((first, second), none, strict=True)] for name in "PQ")
    diag = _stack(first.A.diagonal, second.A.diagonal, axis=-1, core=1)
    return DiagonalPlusLowRank(
        diag, blocks(p[0], None, None, p[1]), blocks(q[0], None, None, q[1]), _known_poles(first, second)
    )


def _dense(a: Array, first: Any, second: Any) -> Dense:
    """A block-triangular matrix has the poles of its blocks."""
    return Dense(a, _known_poles(first, second))


def _known_poles(first: Any, second: Any) -> Array | None:
    """The poles of both, where they were given."""
    known = [knows_poles(s.A) or s.n_states == 0 for s in (first, second)]
    return _stack(first.poles, second.poles, axis=-1, core=1) if all(known) else None


def _stack(first: Array, second: Array, axis: int, core: int = 2) -> Array:
    """Concatenate along one of the ``core`` trailing axes, batch axes broadcast."""
    batch = np.broadcast_shapes(first.shape[:-core], second.shape[:-core])
    return np.concatenate([np.broadcast_to(x, batch + x.shape[-core:]) for x in (first, second)], axis=axis)
