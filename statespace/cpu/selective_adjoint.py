"""The gradient of the selective scan: tiles backward in time, each from the state that it started from.

With the gradient g_k of y_k, and * for the complex conjugate, the gradient s_k of x_k runs backward,

    s_k = C_k* g_k + α_{k+1}* s_{k+1}

and that of v_k = B_k u_k is e_k = γ_k* s_k + β_{k+1}* s_{k+1}. Gradients of B and C are sums over channels: over the
lanes of a unit, then over the units of a chunk in their order. Chunks depend on the shapes alone, so that the sums do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.discretize import IMPULSE, decay, factors, load_vector, slopes
from statespace.cpu.functions import LOG2_E, exponential, logistic, not_too_low
from statespace.cpu.parts import conj, constant, each, get, like, plus, put, scale, times, times_plus
from statespace.cpu.selective import Z, edges_inside, feed_through, hear, levels, onward, tell
from statespace.cpu.simd import (
    add,
    fma,
    lanes_of,
    load,
    load_rows,
    mul,
    number,
    size_of,
    store,
    sub,
    sums,
)
from statespace.cpu.subnormals import with_control, without_subnormals
from statespace.cpu.tiles import aligned, gather, scatter

GRAD_Y, GRAD_DELTA, GRAD_U, GRAD_Z = range(4)


class Gradients(NamedTuple):
    """Where gradients come from and go to; ``back`` and ``back_v`` are those of the last state, then of the first."""

    places: Array  # (units, 4, lanes) addresses of those of y, Δ, u, z
    steps: Array  # (4,)
    chunks: Array  # (chunks, 2) first and last unit
    valid: Array  # (units of a row,) lanes that are not repeats
    back: Array  # (units, n numbers) of x
    back_v: Array  # (units, n numbers) of v, or none
    a: Array  # (units, n numbers), double as all sums over time
    direct: Array  # (units, a number), double
    bias: Array  # (units, lanes), double
    b: Array  # (chunks, L, n, parts), or no samples where B is constant
    c: Array  # (chunks, L, n, parts)
    total_b: Array  # (chunks, n, parts), double, where it is
    total_c: Array


class Tiles(NamedTuple):
    """Room for one tile."""

    dt: Array
    u: Array
    b: Array
    c: Array
    y: Array  # what comes out, before the gate
    out: Array  # gradient of what comes out
    g: Array  # gradient of y
    gate: Array
    before: Array  # x_{k−1}
    after: Array  # x_k
    v: Array  # v_{k−1}
    alpha: Array
    of_u: Array
    of_delta: Array
    rows: Array  # gradients of B, then of C, of one state, lane by lane
    of_b: Array
    of_c: Array
    of_a: Array  # sums over the tile
    of_direct: Array
    of_bias: Array
    edges: Array


@compiled
def room(n: int, span: int, x: Array, kinds: Any) -> Any:
    """Tiles of span samples."""
    vector, parts = span * lanes_of(x), len(kinds.parts)
    held = vector * parts if kinds.rule != IMPULSE else 0
    heard, told, level = vector * len(kinds.heard), vector * len(kinds.told), n * span * parts
    return Tiles(
        aligned(vector, x), aligned(heard, x), aligned(level, x), aligned(level, x), aligned(told, x),
        aligned(told, x), aligned(told, x), aligned(vector, x), aligned(vector * parts, x), aligned(vector * parts, x),
        aligned(held, x), aligned(vector * parts, x), aligned(heard, x), aligned(vector, x),
        aligned(2 * vector * parts, x), aligned(level, x), aligned(level, x),
        aligned(n * parts * lanes_of(x), x), aligned(len(kinds.told) * lanes_of(x), x), aligned(lanes_of(x), x),
        np.empty(span, np.intp),
    )  # fmt: skip


@compiled
def selective_adjoint(
    first: int, last: int, kinds: Any, plan: Any, model: Any, out: Any, n: int, count: int, span: int, marks: Array,
    single: Any,
) -> None:  # fmt: skip
    """Run chunks of units backward over count samples, from the marks that tiles of span samples left."""
    tiles, control = room(n, span, out.back[0], kinds), without_subnormals()
    for chunk in range(first, last):
        start, stop = out.chunks[chunk]
        for tile in range(-(-count // span) - 1, -1, -1):
            begin = tile * span
            samples = min(span, count - begin)
            levels(tiles.b, plan.levels, plan.strides, 0, start, begin, n, samples, span, kinds, single)
            levels(tiles.c, plan.levels, plan.strides, 1, start, begin, n, samples, span, kinds, single)
            tiles.of_b[:] = 0
            tiles.of_c[:] = 0
            for g in range(start, stop):
                _unit(g, tile, begin, samples, span, n, kinds, plan, model, out, marks, tiles, single)
            _flush(tiles.of_b, out.b[chunk], out.total_b[chunk], begin, samples, span, 1.0)
            _flush(tiles.of_c, out.c[chunk], out.total_c[chunk], begin, samples, span, kinds.doubled)
    with_control(control)


@compiled
def _unit(
    g: int, tile: int, begin: int, samples: int, span: int, n: int, kinds: Any, plan: Any, model: Any, out: Any,
    marks: Array, tiles: Any, single: Any,
) -> None:  # fmt: skip
    # one unit over one tile
    row = plan.table[g]
    hear(tiles.dt, tiles.u, plan, model, g, begin, samples, kinds, single)
    many = edges_inside(tiles.edges, plan, g, begin, samples)
    tiles.y[:] = 0
    feed_through(tiles.y, tiles.u, model.direct[row], samples, kinds)
    _hear_gradient(g, begin, samples, kinds, plan, out, tiles, single)
    for sums_ in (tiles.of_u, tiles.of_delta, tiles.of_a, tiles.of_direct, tiles.of_bias):
        sums_[:] = 0
    start = marks[g, tile]
    for i in range(n):
        if kinds.rule == IMPULSE:
            _replay_impulses(i, model, row, start, many, samples, span, kinds, tiles)
            _back_impulses(i, model, row, out.back[g], tiles.of_a, many, samples, span, kinds, tiles)
        else:
            _replay_held(i, n, model, row, start, many, samples, span, kinds, tiles)
            _back_held(i, model, row, out.back[g], out.back_v[g], tiles.of_a, many, samples, span, kinds, tiles)
        _sum_lanes(i, samples, span, kinds, tiles)
    _finish(g, row, samples, kinds, model, out, tiles)
    _add(out.a[g], tiles.of_a)
    _add(out.direct[g], tiles.of_direct)
    _add(out.bias[g], tiles.of_bias)
    _repeat(tiles.of_u, out.valid[row], samples * len(kinds.heard))
    _repeat(tiles.of_delta, out.valid[row], samples)
    _repeat(tiles.gate, out.valid[row], samples)
    tell(tiles.of_u, out, g, GRAD_U, begin, samples, kinds.heard, single)
    scatter(
        tiles.of_delta, 0, 1, out.places[g, GRAD_DELTA], begin * out.steps[GRAD_DELTA], out.steps[GRAD_DELTA],
        samples, single,
    )  # fmt: skip
    if kinds.gated:
        scatter(tiles.gate, 0, 1, out.places[g, GRAD_Z], begin * out.steps[GRAD_Z], out.steps[GRAD_Z], samples, single)


@compiled
def _hear_gradient(g: int, begin: int, samples: int, kinds: Any, plan: Any, out: Any, tiles: Any, single: Any) -> None:
    # the gradient of what comes out, 0 in lanes that repeat others, and behind the gate
    parts, lanes = len(kinds.told), lanes_of(tiles.g)
    for part in range(parts):
        offset = begin * out.steps[GRAD_Y] + part * size_of(single)
        gather(tiles.out, part, parts, out.places[g, GRAD_Y], offset, out.steps[GRAD_Y], samples, single)
    for lane in range(out.valid[plan.table[g]], lanes):
        for k in range(samples * parts):
            tiles.out[k * lanes + lane] = 0
    if kinds.gated:
        gather(tiles.gate, 0, 1, plan.places[g, Z], begin * plan.steps[Z], plan.steps[Z], samples, single)
    for t in range(samples):
        grad = get(tiles.out, t, kinds.told)
        if kinds.gated:
            z = not_too_low(load_vector(tiles.gate, t))
            grad = scale(mul(z, logistic(z)), grad)
        put(tiles.g, t, grad)


# --------------------------------------------------------------- forward again, one state


@compiled
def _replay_impulses(
    i: int, model: Any, row: int, start: Array, many: int, samples: int, span: int, kinds: Any, tiles: Any
) -> None:
    # x_k = e^{ΔA} x_{k−1} + Δ u B
    turns, h, begin = model.turns[row], get(start, i, kinds.parts), 0
    dt, u, b, c, y, edges = tiles.dt, tiles.u, tiles.b, tiles.c, tiles.y, tiles.edges
    before, after, alpha, gated = tiles.before, tiles.after, tiles.alpha, kinds.gated
    for j in range(many + 1):
        end = edges[j] if j < many else samples
        for t in range(begin, end):
            step = load_vector(dt, t)
            s, f = decay(turns, i, step, kinds.parts)
            put(before, t, h)
            put(alpha, t, plus((s,), f))
            drive = times(scale(step, get(u, t, kinds.heard)), each(b, i * span + t, kinds.parts, kinds.shared))
            h = onward(s, f, h, drive)
            put(after, t, h)
            if gated:
                put(y, t, times_plus(each(c, i * span + t, kinds.parts, kinds.shared), h, get(y, t, kinds.told)))
        if j < many:
            h = constant(0.0, h)
        begin = end


@compiled
def _replay_held(
    i: int, n: int, model: Any, row: int, start: Array, many: int, samples: int, span: int, kinds: Any, tiles: Any
) -> None:
    # x_k = α x_{k−1} + Δ (H v_{k−1} + G v_k)
    turns, a, begin = model.turns[row], get(model.a[row], i, kinds.parts), 0
    h, last = get(start, i, kinds.parts), get(start, n + i, kinds.parts)
    dt, u, b, c, y, edges = tiles.dt, tiles.u, tiles.b, tiles.c, tiles.y, tiles.edges
    before, after, v, gated = tiles.before, tiles.after, tiles.v, kinds.gated
    for j in range(many + 1):
        end = edges[j] if j < many else samples
        for t in range(begin, end):
            step = load_vector(dt, t)
            s, f, ahead, behind = factors(kinds.rule, kinds.weight, step, a, turns, i)
            put(before, t, h)
            put(v, t, last)
            now = times(get(u, t, kinds.heard), each(b, i * span + t, kinds.parts, kinds.shared))
            h = onward(s, f, h, scale(step, times_plus(behind, last, times(ahead, now))))
            put(after, t, h)
            last = now
            if gated:
                put(y, t, times_plus(each(c, i * span + t, kinds.parts, kinds.shared), h, get(y, t, kinds.told)))
        if j < many:
            h, last = constant(0.0, h), constant(0.0, h)
        begin = end


# --------------------------------------------------------------- backward, one state


@compiled
def _back_impulses(
    i: int, model: Any, row: int, back: Array, grad_a: Array, many: int, samples: int, span: int, kinds: Any, tiles: Any
) -> None:
    # s_k = C_k* g_k + α_{k+1}* s_{k+1}; of_u gathers Σ B* s, which is still to be multiplied by Δ
    a, of_a = get(model.a[row], i, kinds.parts), get(grad_a, i, kinds.parts)
    carry, end = get(back, i, kinds.parts), samples
    dt, u, b, c, g, edges = tiles.dt, tiles.u, tiles.b, tiles.c, tiles.g, tiles.edges
    before, after, alpha, rows = tiles.before, tiles.after, tiles.alpha, tiles.rows
    of_u, of_delta = tiles.of_u, tiles.of_delta
    for j in range(many, -1, -1):
        begin = edges[j - 1] if j > 0 else 0
        for t in range(end - 1, begin - 1, -1):
            k, step, grad = i * span + t, load_vector(dt, t), get(g, t, kinds.told)
            s = times_plus(conj(each(c, k, kinds.parts, kinds.shared)), grad, carry)
            put(rows, t, times(scale(step, conj(get(u, t, kinds.heard))), s))
            put(rows, span + t, like(times(conj(get(after, t, kinds.parts)), grad), s))
            put(of_u, t, times_plus(conj(each(b, k, kinds.parts, kinds.shared)), s, get(of_u, t, kinds.heard)))
            carry = times(conj(get(alpha, t, kinds.parts)), s)
            turned = times(carry, conj(get(before, t, kinds.parts)))  # the gradient of ΔA
            put(of_delta, t, times_plus(turned, conj(a), (load_vector(of_delta, t),)))
            of_a = plus(of_a, scale(step, turned))
        if j > 0:
            carry = constant(0.0, carry)
        end = begin
    put(back, i, carry)
    put(grad_a, i, of_a)


@compiled
def _back_held(
    i: int, model: Any, row: int, back: Array, back_v: Array, grad_a: Array, many: int, samples: int, span: int,
    kinds: Any, tiles: Any,
) -> None:  # fmt: skip
    # s_k = C_k* g_k + α_{k+1}* s_{k+1}, e_k = γ_k* s_k + β_{k+1}* s_{k+1}
    a, turns, of_a = get(model.a[row], i, kinds.parts), model.turns[row], get(grad_a, i, kinds.parts)
    carry, carry_v, end = get(back, i, kinds.parts), get(back_v, i, kinds.parts), samples
    dt, u, b, c, g, edges = tiles.dt, tiles.u, tiles.b, tiles.c, tiles.g, tiles.edges
    before, after, v, rows, of_u, of_delta = tiles.before, tiles.after, tiles.v, tiles.rows, tiles.of_u, tiles.of_delta
    for j in range(many, -1, -1):
        begin = edges[j - 1] if j > 0 else 0
        for t in range(end - 1, begin - 1, -1):
            k, step, grad, heard = i * span + t, load_vector(dt, t), get(g, t, kinds.told), get(u, t, kinds.heard)
            last, b_k = get(v, t, kinds.parts), each(b, k, kinds.parts, kinds.shared)
            now = times(heard, b_k)
            alpha, turn, ahead, bend, behind, fall = slopes(kinds.rule, kinds.weight, step, a, turns, i)
            s = times_plus(conj(each(c, k, kinds.parts, kinds.shared)), grad, carry)
            e = plus(scale(step, times(conj(ahead), s)), carry_v)
            put(rows, t, times(conj(heard), e))
            put(rows, span + t, like(times(conj(get(after, t, kinds.parts)), grad), s))
            put(of_u, t, times_plus(conj(b_k), e, get(of_u, t, kinds.heard)))
            driven = scale(step, times_plus(bend, now, times(fall, last)))
            turned = times(s, conj(times_plus(turn, get(before, t, kinds.parts), driven)))
            direct = times_plus(s, conj(times_plus(ahead, now, times(behind, last))), (load_vector(of_delta, t),))
            put(of_delta, t, times_plus(turned, conj(a), direct))
            of_a = plus(of_a, scale(step, turned))
            carry, carry_v = times(conj(alpha), s), scale(step, times(conj(behind), s))
        if j > 0:
            carry, carry_v = constant(0.0, carry), constant(0.0, carry)
        end = begin
    put(back, i, carry)
    put(back_v, i, carry_v)
    put(grad_a, i, of_a)


# --------------------------------------------------------------- sums, and what is left of a unit


@compiled
def _sum_lanes(i: int, samples: int, span: int, kinds: Any, tiles: Any) -> None:
    # of_b and of_c [(i·parts + part)·span + t], as many samples at once as there are lanes
    rows, of_b, of_c, parts, lanes = tiles.rows, tiles.of_b, tiles.of_c, len(kinds.parts), lanes_of(tiles.rows)
    for part in range(parts):
        for t in range(0, samples, lanes):
            at = (i * parts + part) * span + t
            own = sums(load_rows(rows, (t * parts + part) * lanes, parts * lanes))
            other = sums(load_rows(rows, ((span + t) * parts + part) * lanes, parts * lanes))
            store(of_b, at, add(load(of_b, at), own))
            store(of_c, at, add(load(of_c, at), other))


@compiled
def _finish(g: int, row: int, samples: int, kinds: Any, model: Any, out: Any, tiles: Any) -> None:
    # D, the bias, and what is behind Δ u, log(1 + e^Δ) and the gate
    of_d, of_bias = get(tiles.of_direct, 0, kinds.told), load_vector(tiles.of_bias, 0)
    d = get(model.direct[row], 0, kinds.told) if model.direct.size else constant(0.0, of_d)
    dt, u, grads, outs, y, gate = tiles.dt, tiles.u, tiles.g, tiles.out, tiles.y, tiles.gate
    of_u, of_delta = tiles.of_u, tiles.of_delta
    for t in range(samples):
        step, heard, grad = load_vector(dt, t), get(u, t, kinds.heard), get(grads, t, kinds.told)
        moved, slowed = get(of_u, t, kinds.heard), load_vector(of_delta, t)
        if kinds.rule == IMPULSE:
            slowed = times_plus(moved, conj(heard), (slowed,))[0]
            moved = scale(step, moved)
        put(of_u, t, times_plus(conj(d), grad, moved))
        of_d = times_plus(grad, conj(heard), of_d)
        if kinds.softened:
            s, f = exponential(mul(step, number(step, -LOG2_E)))  # σ(raw) = 1 − e^{−Δ}
            slowed = mul(slowed, sub(sub(number(step, 1.0), s), f))
        of_bias = add(of_bias, slowed)
        store(of_delta, t * lanes_of(of_delta), slowed)
        if kinds.gated:
            # z σ(z) has the slope σ (1 + z (1 − σ))
            z, zero = not_too_low(load_vector(gate, t)), (number(step, 0.0),)
            right = logistic(z)
            slope = mul(right, fma(z, sub(number(step, 1.0), right), number(step, 1.0)))
            told = times_plus(get(outs, t, kinds.told), conj(get(y, t, kinds.told)), zero)[0]
            store(gate, t * lanes_of(gate), mul(slope, told))
    put(tiles.of_direct, 0, of_d)
    store(tiles.of_bias, 0, of_bias)


@compiled
def _repeat(tile: Array, valid: int, count: int) -> None:
    # lanes that repeat the last channel are written to the same place, and had no gradient
    lanes = lanes_of(tile)
    for lane in range(valid, lanes):
        for k in range(count):
            tile[k * lanes + lane] = tile[k * lanes + valid - 1]


@compiled
def _add(total: Array, tile: Array) -> None:
    for k in range(tile.size):
        total[k] += tile[k]


@compiled
def _flush(tile: Array, grads: Array, total: Array, begin: int, samples: int, span: int, factor: float) -> None:
    # of one chunk, (L, n, parts), or their sum over time
    for k in range(total.size):
        i, part = k // total.shape[1], k % total.shape[1]
        for t in range(samples):
            found = tile[k * span + t] * factor
            if grads.shape[0]:
                grads[begin + t, i, part] = found
            else:
                total[i, part] += found
