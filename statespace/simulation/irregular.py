"""Irregular grids: every interval exact, held (zoh) or joined by lines (foh).

    x_k = α(Δ_k) x_{k−1} + β(Δ_k) v_{k−1} + γ(Δ_k) v_k        v = B u

A diagonal system takes α, β, γ elementwise for each step. Few different steps: one table. All different: dyadic
steps, see `statespace.cpu.varied_steps`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from statespace.arrays import Array
from statespace.discretization.algebra import MATRICES
from statespace.discretization.low_rank import no_exponential
from statespace.discretization.names import Rule
from statespace.discretization.rules import FirstOrderHold, ZeroOrderHold
from statespace.discretization.verbs import with_shift
from statespace.scan import broadcast_batch, flat, refuse_complex_on_pairs, state_and_output_types, systems_of_rows
from statespace.simulation.grids import distinct_steps
from statespace.structure import Diagonal, DiagonalPlusLowRank
from statespace.structure.matrices import balanced, norm1
from statespace.systems import ContinuousSystem, DiscreteSystem

# Walks the stamps of a part: (part of the steps, u, x updated, trace filled)
Advance: TypeAlias = Callable[[slice, Array, Array, Array], None]

_BLOCK = 16384  # stamps at a time: bounds the memory for factors and states


def run_irregular(
    system: ContinuousSystem, u: Array, x0: Array, steps: Array, slack: Array, rule: Rule, *, states: bool
) -> tuple[Array, Array, Array | None]:
    """Output, physical state at the last stamp, and states, for u (..., L, m) and steps (L − 1,)."""
    refuse_complex_on_pairs(system, u)
    batch = broadcast_batch(system, u, x0)
    u = np.broadcast_to(u, (*batch, *u.shape[-2:]))
    kind, out = state_and_output_types(system, u, x0)
    rows = int(np.prod(batch))
    x = np.array(np.broadcast_to(x0, (*batch, x0.shape[-1])).reshape(rows, x0.shape[-1]), dtype=kind)
    y = np.empty((*u.shape[:-1], system.n_outputs), out)
    kept = np.empty((*u.shape[:-1], x.shape[-1]), kind) if states else None
    with np.errstate(over="ignore", invalid="ignore"):  # an unstable system over a long interval is infinite
        advance = _stepper(system, steps, slack, rule, systems_of_rows(system, batch), kind)
        for start in range(0, max(u.shape[-2] - 1, min(u.shape[-2], 1)), _BLOCK):
            part = slice(start, start + _BLOCK + 1)
            piece = u[..., part, :]
            trace = np.empty((rows, piece.shape[-2], x.shape[-1]), kind)
            advance(slice(start, start + piece.shape[-2] - 1), piece.reshape(rows, *piece.shape[-2:]), x, trace)
            trace = trace.reshape(*batch, *trace.shape[1:])
            y[..., part, :] = _read_out(system, trace, piece)
            if kept is not None:
                kept[..., part, :] = trace
    return y, x.reshape(*batch, x.shape[-1]), kept


def _read_out(system: ContinuousSystem, x: Array, u: Array) -> Array:
    """Return y = C x + D u along time; 2·Re(C x) for stored pairs."""
    seen = x @ system.C.swapaxes(-1, -2)
    if system.stores_pairs:
        seen = 2.0 * seen.real
    return seen + u @ system.D.swapaxes(-1, -2)


def _stepper(system: ContinuousSystem, steps: Array, slack: Array, rule: Rule, which: Array, kind: Any) -> Advance:
    if isinstance(system.A, Diagonal):
        return _diagonal(system, steps, rule, which, kind)
    if isinstance(system.A, DiagonalPlusLowRank):
        no_exponential(system.A)
    few = distinct_steps(steps, slack) if len(steps) else (np.ones(1), np.zeros(0, np.int64))
    if few is None:
        return _varied(system, steps, rule, which, kind)
    return _indexed(system, few[0], few[1], rule, which, kind)


def _diagonal(system: ContinuousSystem, steps: Array, rule: Rule, which: Array, kind: Any) -> Advance:
    """Per-step α, β, γ of the poles, then the affine step x_k = a_k x_{k−1} + b_k."""
    from statespace.cpu import affine_steps

    poles = flat(system.A.diagonal, system, system.A.diagonal.dtype, core=1)[:, None]
    b = flat(system.B, system, system.B.dtype)[which]

    def advance(part: slice, u: Array, x: Array, trace: Array) -> None:
        f = rule.factors(poles, steps[part][:, None])
        v = u @ b
        trace[:, 0] = x
        driven = f.beta[which] * v[:, :-1] + f.gamma[which] * v[:, 1:]
        inner = np.empty(trace[:, 1:].shape, kind)
        affine_steps(f.alpha.astype(kind), driven.astype(kind), which, x, inner)
        trace[:, 1:] = inner

    return advance


def _indexed(system: ContinuousSystem, few: Array, index: Array, rule: Rule, which: Array, kind: Any) -> Advance:
    """A table of α, βB, γB for the different steps."""
    from statespace.cpu import indexed_steps

    a, b, _, _ = system
    f, b = rule.factors(a[..., None, :, :], few[:, None, None], MATRICES), b[..., None, :, :]
    alpha, beta, gamma = (_tables(m, system, kind) for m in (f.alpha, f.beta @ b, f.gamma @ b))

    def advance(part: slice, u: Array, x: Array, trace: Array) -> None:
        indexed_steps(alpha, beta, gamma, which, index[part], np.ascontiguousarray(u), x, trace)

    return advance


def _varied(system: ContinuousSystem, steps: Array, rule: Rule, which: Array, kind: Any) -> Advance:
    """Dyadic steps in balanced coordinates, so that ‖A‖ h0 ≤ 1 is as mild a bound as it can be."""
    from statespace.cpu import varied_steps

    a, b, _, _ = system
    a, scale = balanced(a)
    longest = float(steps.max())
    norm = np.broadcast_to(norm1(a), system.batch_shape)
    h0 = np.exp2(np.floor(-np.log2(np.maximum(norm, 0.5 / longest))))
    rungs = max(int(np.floor(np.log2(longest / h0.min()))) + 1, 0)
    sizes = h0[..., None] * np.exp2(np.arange(rungs))
    f = rule.factors(a[..., None, :, :], sizes[..., None, None], MATRICES)
    ladder = (_tables(f.alpha, system, kind), _tables(f.beta, system, kind), _tables(f.gamma, system, kind))
    at, bt = flat(a, system, kind), flat(b / scale[..., :, None], system, b.dtype)[which]
    held = isinstance(rule, ZeroOrderHold)
    units = flat(scale, system, np.float64, core=1)[which]

    def advance(part: slice, u: Array, x: Array, trace: Array) -> None:
        x /= units
        varied_steps(at, ladder, h0.reshape(-1), held, which, steps[part], (u @ bt).astype(kind), x, trace)
        x *= units
        trace *= units[:, None]

    return advance


def _tables(m: Array, system: ContinuousSystem, dtype: Any) -> Array:
    """(..., K, r, c) as (systems, K, c, r), transposed for the loops."""
    batch = system.batch_shape
    tables = np.broadcast_to(m, (*batch, *m.shape[-3:])).reshape(int(np.prod(batch)), *m.shape[-3:])
    return np.ascontiguousarray(tables.swapaxes(-1, -2), dtype=dtype)


HOLDS: dict[str, Rule] = {"zoh": ZeroOrderHold(), "foh": FirstOrderHold()}


def on_a_grid(system: ContinuousSystem, step: Array, hold: str) -> tuple[DiscreteSystem, Array]:
    """The discrete system of an even grid, and its γ B. The last few are kept, with what was worked out for them."""
    return with_shift(system, step, HOLDS[hold]) if step.ndim else _kept(system, float(step), hold)


@lru_cache(maxsize=16)
def _kept(system: ContinuousSystem, step: float, hold: str) -> tuple[DiscreteSystem, Array]:
    return with_shift(system, np.asarray(step), HOLDS[hold])
