"""Tiles: a piece of eight signals side by side, tile[8 t + lane], small enough for the nearest cache.

Whatever the order of a signal in memory, the loops see tiles only. Signals whose samples are neighbours, forward or
backward in time, are transposed in registers, eight samples at a time (0.14 ns a number); channels that are neighbours
are read as they lie; all else goes number by number. A tile of singles holds sixteen signals instead of eight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.simd import (
    lanes_of,
    load,
    load_at,
    load_rows,
    load_rows_at,
    prefetch,
    read_at,
    size_of,
    splat,
    store,
    store_at,
    transposed,
    write_at,
)

TILE = 128  # samples: 8 kB for the lanes of one channel
_AHEAD = 32  # samples: the lines they will be written to are asked for early, 1.2 for 1.5 ns a sample in all


@compiled
def aligned(count: int, like: Array) -> Array:
    """An array that begins with a line of the cache: vectors that lie across two are half as quick."""
    lanes = lanes_of(like)
    room = np.zeros(count + lanes, like.dtype)
    first = -(room.ctypes.data // room.itemsize) % lanes
    return room[first : first + count]


# --------------------------------------------------------------- one channel of eight signals


@compiled
def gather(
    tile: Array, first: int, apart: int, sources: Array, offset: int, step: int, count: int, like: float
) -> None:
    """tile[(first + t·apart)·8 + lane] = the number at sources[lane] + offset + t·step, for t < count."""
    size, lanes = size_of(like), lanes_of(tile)
    done = 0
    if _neighbours(sources, np.intp(0)):  # one signal
        for t in range(count):
            number = tile.dtype.type(read_at(sources[0] + offset + t * step, like))
            store(tile, (first + t * apart) * lanes, splat(number))
        done = count
    elif abs(step) == size:
        done = count - count % lanes
        for t in range(0, done, lanes):
            _gather_square(tile, first + t * apart, apart, sources, offset + t * step, step < 0, like)
    elif _neighbours(sources, size):
        for t in range(count):
            store(tile, (first + t * apart) * lanes, load_at(sources[0] + offset + t * step, like, tile))
        done = count
    for lane in range(lanes):
        for t in range(done, count):
            tile[(first + t * apart) * lanes + lane] = read_at(sources[lane] + offset + t * step, like)


@compiled
def _gather_square(tile: Array, first: int, apart: int, sources: Array, o: int, back: bool, like: float) -> None:
    # as many samples as lanes
    lanes = lanes_of(tile)
    last = (lanes - 1) * (1 if back else 0)  # backward in time the last sample has the lowest address
    at, on = (first + last * apart) * lanes, (-apart if back else apart) * lanes
    for column in transposed(load_rows_at(sources, o - last * size_of(like), like, tile)):
        store(tile, at, column)
        at += on


@compiled
def scatter(
    tile: Array, first: int, apart: int, targets: Array, offset: int, step: int, count: int, like: float
) -> None:
    """Write tile[(first + t·apart)·8 + lane] at targets[lane] + offset + t·step, for t < count."""
    size, lanes = size_of(like), lanes_of(tile)
    done = 0
    if _neighbours(targets, np.intp(0)):
        for t in range(count):
            write_at(targets[0] + offset + t * step, like, tile[(first + t * apart) * lanes])
        done = count
    elif abs(step) == size:
        done = count - count % lanes
        for t in range(0, done, lanes):
            _scatter_square(tile, first + t * apart, apart, targets, offset + t * step, step < 0, like)
    elif _neighbours(targets, size):
        for t in range(count):
            store_at(targets[0] + offset + t * step, like, load(tile, (first + t * apart) * lanes))
        done = count
    for lane in range(lanes):
        for t in range(done, count):
            write_at(targets[lane] + offset + t * step, like, tile[(first + t * apart) * lanes + lane])


@compiled
def _scatter_square(tile: Array, first: int, apart: int, targets: Array, o: int, back: bool, like: float) -> None:
    lanes = lanes_of(tile)
    last = (lanes - 1) * (1 if back else 0)
    at, on, o = (first + last * apart) * lanes, (-apart if back else apart) * lanes, o - last * size_of(like)
    ahead = o + (-_AHEAD if back else _AHEAD) * size_of(like)
    for lane, row in enumerate(transposed(load_rows(tile, at, on))):
        prefetch(targets[lane] + ahead, 1)
        store_at(targets[lane] + o, like, row)


@compiled
def _neighbours(addresses: Array, size: Any) -> bool:
    """Whether each lane lies a size after the one before; with size 0, whether all are one signal."""
    near = True
    for lane in range(1, addresses.shape[0]):
        near = near and addresses[lane] == addresses[lane - 1] + size
    return near


# --------------------------------------------------------------- all channels of eight signals


@compiled
def gather_all(tile: Array, m: int, sources: Array, begin: int, steps: Any, count: int, like: float) -> None:
    """tile[(t·m + j)·8 + lane] = channel j of sample begin + t; steps from sample to sample, channel to channel."""
    one_row = steps[1] == size_of(like) and steps[0] == m * steps[1]
    apart, step, count = (1, steps[1], count * m) if one_row else (m, steps[0], count)
    for j in range(apart):
        gather(tile, j, apart, sources, begin * steps[0] + j * steps[1], step, count, like)


@compiled
def scatter_all(tile: Array, p: int, targets: Array, begin: int, steps: Any, count: int, like: float) -> None:
    """Write channel i of sample begin + t from tile[(t·p + i)·8 + lane]."""
    one_row = steps[1] == size_of(like) and steps[0] == p * steps[1]
    apart, step, count = (1, steps[1], count * p) if one_row else (p, steps[0], count)
    for i in range(apart):
        scatter(tile, i, apart, targets, begin * steps[0] + i * steps[1], step, count, like)


# --------------------------------------------------------------- several groups of eight, channels side by side


@compiled
def side_by_side(addresses: Array, first: int, last: int, step: int, size: int) -> bool:
    """Whether the lanes of groups first to last − 1 are neighbours at each sample, and samples are not."""
    beside = last - first > 1 and abs(step) != size
    for g in range(first, last):
        beside = beside and _neighbours(addresses[g], size)
    return beside


@compiled
def gather_channels(
    tiles: Array, span: int, sources: Array, first: int, last: int, offset: int, step: int, count: int, like: float
) -> None:
    """A tile for each group, sample by sample, as they lie in memory: 2.3 for 7.6 ns a number of 64 channels."""
    lanes = lanes_of(tiles)
    for t in range(count):
        at = offset + t * step
        for g in range(first, last):
            store(tiles, ((g - first) * span + t) * lanes, load_at(sources[g, 0] + at, like, tiles))


@compiled
def scatter_channels(
    tiles: Array, span: int, targets: Array, first: int, last: int, offset: int, step: int, count: int, like: float
) -> None:
    """And back."""
    lanes = lanes_of(tiles)
    for t in range(count):
        at = offset + t * step
        for g in range(first, last):
            store_at(targets[g, 0] + at, like, load(tiles, ((g - first) * span + t) * lanes))
