"""The recurrence of chunks.py on a GPU: many chunks at once, and one small step from chunk to chunk.

A card wants few and large products: the chunks of a stretch of time become one more batch axis, and `take`, `complete`
and `gradients_of` do them all. Only the state goes from one to the next,

R_{k+1} = E_k R_k + U_k        R̄_k = E_k R̄_{k+1} + Ū_k

A stretch is as long as its decay matrices, Q numbers a sample and head, are meant to take memory.

Nothing is asked of the device, so that nothing waits for it. Where x, B or a step is NaN or infinite 0 is put, and
afterwards NaN into every answer that may have heard it: a product would send it to earlier samples and over resets.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import NamedTuple

import numpy as np

from statespace.arrays import Array, library_of
from statespace.selective.chunk_gradients import Gradients, carried_back, gradients_of, nothing, write
from statespace.selective.chunks import (
    Piece,
    Recurrence,
    as_heads,
    by_head,
    complete,
    decays,
    from_groups,
    heard_at,
    take,
    to_groups,
    weighted,
)

_ENTRIES = 1 << 25  # of the decay matrices that are there at once: 256 MB, and a few times that in all


class Stretch(NamedTuple):
    """Whole chunks of time, one after the other."""

    part: slice
    chunk: int  # samples of each

    @property
    def chunks(self) -> int:
        """How many."""
        return (self.part.stop - self.part.start) // self.chunk


class Tape(NamedTuple):
    """What the way back needs of the way there."""

    stretches: list[Stretch]
    marks: list[Array]  # the state before each


# --------------------------------------------------------------- the runs


def run_many(r: Recurrence, start: Array, chunk: int) -> tuple[Array, Array, Tape]:
    """Answer y, the final R as `to_rows` has it, and what `backward_many` takes; batch axes are those of ``start``."""
    xp, batch = library_of(r.x), start.shape[:-3]
    y = xp.empty((*batch, *r.x.shape[-3:]), r.x.dtype)
    tape = Tape(_stretches(r, prod(batch), chunk), [])
    state = start
    with np.errstate(all="ignore"):
        for stretch in tape.stretches:
            tape.marks.append(state)
            folded, spoiled = _without_nan(_folded(r, stretch))
            piece = take(folded, slice(0, stretch.chunk))
            spoiled = _spread(spoiled, piece)
            states, state = _states(piece, state, spoiled[..., -1, :, :])
            fold(y, stretch, -3)[...] = xp.where(spoiled, y.dtype.type(np.nan), _answers(piece, states))
    return y, state, tape


def backward_many(r: Recurrence, tape: Tape, grad_y: Array, grad_final: Array) -> Gradients:
    """All gradients, as `chunk_gradients.backward` gives them."""
    grads, bar = nothing(r, grad_y, grad_final), grad_final
    with np.errstate(all="ignore"):
        for stretch, mark in reversed(list(zip(*tape, strict=True))):
            folded = _folded(r, stretch)
            piece, grad = take(folded, slice(0, stretch.chunk)), fold(grad_y, stretch, -3)
            decay, states = decays(piece), _states(piece, mark, None)[0]
            heard = grad * decay.since[..., None]  # E_i ȳ_i
            bars, bar = _bars(piece, carried_back(piece, heard), bar)
            found = gradients_of(piece, decay, heard, states, grad, bars)
            write(_views(grads, stretch), folded, slice(0, stretch.chunk), piece, found)
    return grads._replace(start=bar)


def _stretches(r: Recurrence, rows: int, chunk: int) -> list[Stretch]:
    length, h, p = r.x.shape[-3:]
    if not rows * h * p:  # nothing to do, and CuPy has no sums of nothing
        return []
    whole = length - length % chunk
    step = chunk * max(1, _ENTRIES // max(rows * h * chunk * chunk, 1))
    stretches = [Stretch(slice(k, min(k + step, whole)), chunk) for k in range(0, whole, step)]
    return stretches if whole == length else [*stretches, Stretch(slice(whole, length), length - whole)]


def fold(array: Array, stretch: Stretch, axis: int) -> Array:
    """A view of a stretch of time as (..., chunks, samples of a chunk, ...); (..., 1, 1, ...) of a constant."""
    axis += array.ndim
    constant = array.shape[axis] == 1
    index = (slice(None),) * axis + (slice(None) if constant else stretch.part,)
    sizes = (1, 1) if constant else (stretch.chunks, stretch.chunk)
    return array[index].reshape(*array.shape[:axis], *sizes, *array.shape[axis + 1 :])


def _folded(r: Recurrence, stretch: Stretch) -> Recurrence:
    later = fold(r.later, stretch, -2)
    return Recurrence(
        fold(r.x, stretch, -3),
        fold(r.exponent, stretch, -2),
        later,
        later if r.now is r.later else fold(r.now, stretch, -2),
        fold(r.B, stretch, -3),
        fold(r.C, stretch, -3),
        r.D,
        None if r.reset is None else fold(r.reset, stretch, -1),
        None if r.theta is None else fold(r.theta, stretch, -3),
    )


def _views(grads: Gradients, stretch: Stretch) -> Gradients:
    """The places of a stretch in all gradients."""
    x, b, c = (fold(array, stretch, -3) for array in (grads.x, grads.B, grads.C))
    exponent, later, now = (fold(array, stretch, -2) for array in grads[1:4])
    theta = None if grads.theta is None else fold(grads.theta, stretch, -3)
    return grads._replace(x=x, exponent=exponent, later=later, now=now, B=b, C=c, theta=theta)


# --------------------------------------------------------------- from chunk to chunk


def _states(piece: Piece, first: Array, spoiled: Array | None) -> tuple[Array, Array]:
    """R before each chunk, (..., chunks, g, n, h/g·p), and after the last one; NaN from where something is spoiled."""
    decay, g = decays(piece), piece.B.shape[-3]
    made = piece.B.swapaxes(-1, -2) @ to_groups(weighted(piece, decay), g)
    if spoiled is not None:
        xp = library_of(made)
        made = xp.where(to_groups(spoiled[..., None, :, :], g), made.dtype.type(np.nan), made)
    gone = None if piece.segment is None else piece.segment[..., -1, None, None, None] > 0
    return _chained(piece, first, (decay.total, made, gone), range(made.shape[-4]))


def _bars(piece: Piece, made: Array, last: Array) -> tuple[Array, Array]:
    """R̄ after each chunk, and before the first one; a reset is a decay of 0."""
    return _chained(piece, last, (decays(piece).total, made, None), reversed(range(made.shape[-4])))


def _chained(
    piece: Piece, state: Array, steps: tuple[Array, Array, Array | None], order: Iterable[int]
) -> tuple[Array, Array]:
    """S ← E_k S + U_k in some order of the chunks k: all S on the way, and the last one."""
    total, made, gone = steps
    xp, left = library_of(state), by_head(total, state.shape[-3])
    states = xp.empty((*state.shape[:-3], made.shape[-4], *state.shape[-3:]))
    for k in order:
        states[..., k, :, :, :] = state
        kept = (as_heads(state, piece) * left[..., k, :, :, :, :]).reshape(state.shape)
        if gone is not None:  # not by their decay of 0: 0·NaN would cross the reset
            kept = xp.where(gone[..., k, :, :, :], 0.0, kept)
        state = kept + made[..., k, :, :, :]
    return states, state


def _answers(piece: Piece, states: Array) -> Array:
    y = from_groups(piece.C @ states.astype(piece.x.dtype), piece.x.shape[-2])
    complete(piece, y)
    return y


# --------------------------------------------------------------- NaN


def _without_nan(r: Recurrence) -> tuple[Recurrence, Array]:
    """The recurrence with 0 in the place of NaN and infinity, and where those were, (..., Q, h, p).

    Not of C, which only its own sample hears, nor of D.
    """
    xp, h = library_of(r.x), r.x.shape[-2]
    x, b, later, now = (xp.isfinite(array) for array in (r.x, r.B, r.later, r.now))
    groups = xp.repeat(b.all(axis=-1), h // b.shape[-2], axis=-1)
    lost = xp.isnan(r.exponent)
    clean_later = xp.where(later, r.later, 0.0)
    sound = Recurrence(
        xp.where(x, r.x, r.x.dtype.type(0)),
        xp.where(lost, 0.0, r.exponent),
        clean_later,
        clean_later if r.now is r.later else xp.where(now, r.now, 0.0),
        xp.where(b, r.B, r.B.dtype.type(0)),
        *r[5:],
    )
    return sound, ~(x & (groups & now & ~lost)[..., None])


def _spread(spoiled: Array, piece: Piece) -> Array:
    """Which answers may have heard what was spoiled, (..., Q, h, p)."""
    heard = heard_at(piece).astype(np.float32)
    counts = heard @ spoiled.reshape(*spoiled.shape[:-2], prod(spoiled.shape[-2:])).astype(np.float32)
    return (counts > 0.5).reshape(*counts.shape[:-1], *spoiled.shape[-2:])
