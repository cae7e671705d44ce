"""Irregular grids: every interval exact, held (zoh) or joined by lines (foh).

    x_k = α(Δ_k) x_{k−1} + β(Δ_k) v_{k−1} + γ(Δ_k) v_k        v = B u

A diagonal system takes α, β, γ elementwise for each step. Few different steps: one table. All different: dyadic
steps, see `statespace.cpu.varied_steps`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.discretization.rules import MATRICES, FirstOrderHold, Method, ZeroOrderHold
from statespace.scan import flat, refuse_complex_on_pairs, systems_of_rows
from statespace.simulation.grids import distinct_steps
from statespace.structure import Diagonal
from statespace.structure.matrices import balancing, norm1
from statespace.systems import ContinuousSystem

_BLOCK = 16384  # stamps at a time: bounds the memory for factors and states


def run_irregular(
    system: ContinuousSystem, u: Array, x0: Array, steps: Array, slack: Array, rule: Method, *, states: bool
) -> tuple[Array, Array, Array | None]:
    """Output, physical state at the last stamp, and states, for u (..., L, m) and steps (L − 1,)."""
    refuse_complex_on_pairs(system, u)
    batch = np.broadcast_shapes(system.batch_shape, u.shape[:-2], x0.shape[:-1])
    u = np.broadcast_to(u, (*batch, *u.shape[-2:]))
    pairs = isinstance(system.A, Diagonal) and system.A.pairs
    kind = np.complex128 if pairs or system.is_complex or "c" in (u.dtype.kind, x0.dtype.kind) else np.float64
    rows = int(np.prod(batch))
    x = np.array(np.broadcast_to(x0, (*batch, x0.shape[-1])).reshape(rows, x0.shape[-1]), dtype=kind)
    advance = _stepper(system, steps, slack, rule, systems_of_rows(system, batch))
    out = np.result_type(u.dtype, np.complex64 if kind == np.complex128 and not pairs else np.float32)
    y = np.empty((*u.shape[:-1], system.n_outputs), out)
    kept = np.empty((*u.shape[:-1], x.shape[-1]), kind) if states else None
    for start in range(0, max(u.shape[-2] - 1, min(u.shape[-2], 1)), _BLOCK):
        part = slice(start, start + _BLOCK + 1)
        piece = u[..., part, :]
        trace = np.empty((x.shape[0], piece.shape[-2], x.shape[-1]), kind)
        advance(slice(start, start + piece.shape[-2] - 1), piece.reshape(rows, *piece.shape[-2:]), x, trace)
        trace = trace.reshape(*batch, *trace.shape[1:])
        y[..., part, :] = _read_out(system, trace, piece)
        if kept is not None:
            kept[..., part, :] = trace
    return y, x.reshape(*batch, x.shape[-1]), kept


def _read_out(system: ContinuousSystem, x: Array, u: Array) -> Array:
    """Y = C x + D u along time; 2·Re(C x) for stored pairs."""
    seen = x @ system.C.swapaxes(-1, -2)
    if isinstance(system.A, Diagonal) and system.A.pairs:
        seen = 2.0 * seen.real
    return seen + u @ system.D.swapaxes(-1, -2)


def _stepper(system: ContinuousSystem, steps: Array, slack: Array, rule: Method, which: Array) -> Any:
    if isinstance(system.A, Diagonal):
        return _diagonal(system, steps, rule, which)
    few = distinct_steps(steps, slack) if len(steps) else (np.ones(1), np.zeros(0, np.int64))
    if few is None:
        return _varied(system, steps, rule, which)
    return _indexed(system, few[0], few[1], rule, which)


def _diagonal(system: ContinuousSystem, steps: Array, rule: Method, which: Array) -> Any:
    """Per-step α, β, γ of the poles, then the affine step x_k = a_k x_{k−1} + b_k."""
    from statespace.cpu import affine_steps

    poles = flat(system.A.diagonal, system, system.A.diagonal.dtype, core=1)[:, None]
    b = flat(system.B, system, np.complex128 if np.iscomplexobj(system.B) else np.float64)

    def advance(part: slice, u: Array, x: Array, trace: Array) -> None:
        f = rule.factors(poles, steps[part][:, None])
        v = u @ b[which]
        trace[:, 0] = x
        driven = f.beta[which] * v[:, :-1] + f.gamma[which] * v[:, 1:]
        inner = np.empty(trace[:, 1:].shape, trace.dtype)
        affine_steps(f.alpha.astype(x.dtype), driven.astype(x.dtype), which, x, inner)
        trace[:, 1:] = inner

    return advance


def _indexed(system: ContinuousSystem, few: Array, index: Array, rule: Method, which: Array) -> Any:
    """A table of α, βB, γB for the different steps."""
    from statespace.cpu import indexed_steps

    a, b, _, _ = system
    with np.errstate(over="ignore", invalid="ignore"):  # an unstable system over a long interval is infinite
        f = rule.factors(a[..., None, :, :], few[:, None, None], MATRICES)
    products = (f.alpha, f.beta @ b[..., None, :, :], f.gamma @ b[..., None, :, :])

    def advance(part: slice, u: Array, x: Array, trace: Array) -> None:
        alpha, beta, gamma = (_tables(m, system, x.dtype) for m in products)
        indexed_steps(alpha, beta, gamma, which, index[part], np.ascontiguousarray(u), x, trace)

    return advance


def _varied(system: ContinuousSystem, steps: Array, rule: Method, which: Array) -> Any:
    """Dyadic steps in balanced coordinates, so that ‖A‖ h0 ≤ 1 is as mild a bound as it can be."""
    from statespace.cpu import varied_steps

    a, b, _, _ = system
    scale = balancing(a)
    a, b = a * (scale[..., None, :] / scale[..., :, None]), b / scale[..., :, None]
    longest = float(steps.max())
    norm = np.broadcast_to(norm1(a), system.batch_shape)
    h0 = np.exp2(np.floor(-np.log2(np.maximum(norm, 0.5 / longest))))
    rungs = max(int(np.floor(np.log2(longest / h0.min()))) + 1, 0)
    sizes = h0[..., None] * np.exp2(np.arange(rungs))
    with np.errstate(over="ignore", invalid="ignore"):  # rungs that only another system of the batch reaches
        f = rule.factors(a[..., None, :, :], sizes[..., None, None], MATRICES)
    held = isinstance(rule, ZeroOrderHold)
    one = flat(scale, system, np.float64, core=1)[which]

    def advance(part: slice, u: Array, x: Array, trace: Array) -> None:
        ladder = (
            _tables(f.alpha, system, x.dtype),
            _tables(f.beta, system, x.dtype),
            _tables(f.gamma, system, x.dtype),
        )
        v = (u @ flat(b, system, b.dtype)[which]).astype(x.dtype)
        x /= one
        varied_steps(flat(a, system, x.dtype), ladder, h0.reshape(-1), held, which, steps[part], v, x, trace)
        x *= one
        trace *= one[:, None]

    return advance


def _tables(m: Array, system: ContinuousSystem, dtype: Any) -> Array:
    """(..., K, r, c) as (systems, K, c, r), transposed for the loops."""
    batch = system.batch_shape
    tables = np.broadcast_to(m, (*batch, *m.shape[-3:])).reshape(int(np.prod(batch)), *m.shape[-3:])
    return np.ascontiguousarray(tables.swapaxes(-1, -2), dtype=dtype)


HOLDS: dict[str, Method] = {"zoh": ZeroOrderHold(), "foh": FirstOrderHold()}
