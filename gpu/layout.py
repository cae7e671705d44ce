"""How a selective scan is laid over a card: lanes of a channel, tiles, blocks of time. One rule for each, in one place.

A block of threads has THREADS/TPC channels, each with its n states on TPC lanes. What decides is how many lanes keep a
multiprocessor busy: its exponentials are 16 a clock, and three warps on each of its four parts hide their latency.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import library_of

_BUSY = 352  # lanes of a multiprocessor: nearly three warps on each of its four parts
_FEW = 40  # channels of a multiprocessor below which more lanes are not enough, and time is cut
_LONG = 1024  # samples from which on it is
_SHORTEST = 256  # samples of a block of time, where not the whole is shorter
_TILE = 32  # samples of a tile at most; shorter ones are a half, a quarter, … of it
_WARPS = 28  # of a multiprocessor, that blocks of time are to fill: seven on each part
_SHARED = 48 * 1024  # bytes of shared memory that a block has without being asked for more
_HELD = 16  # registers that the states of a lane fill in the scan; poles and what is made of them take as many again
_HELD_BACK = 8  # and in the adjoint at most, half of it where a warp has lanes enough: a sub-tile takes many more
_WIDEST = 32  # lanes of a channel: a warp


class Sizes(NamedTuple):
    """What a kernel is compiled for."""

    tpc: int  # lanes of a channel
    threads: int  # of a block
    span: int  # samples between the states that are kept
    tile: int  # samples of a tile; of a sub-tile in the adjoint
    shared: int  # bytes of shared memory


class Scene(NamedTuple):
    """What the sizes follow from."""

    rows: int
    length: int
    d: int
    groups: int
    n: int
    parts: int  # real numbers of a state
    heard: int  # of u
    told: int  # of y
    real: int  # bytes of a real number
    signal: int  # bytes of one in a signal
    simple: bool  # the rule is `Impulse`, whose step needs fewer registers
    processors: int  # multiprocessors of the card


def lanes_of_a_channel(scene: Scene, held: int) -> int:
    """Take the smallest power of two that keeps the card busy and leaves the states of a lane ``held`` registers.

    8 at most for the sake of the card alone: with more lanes than that, what all do alike costs more than they gain.
    """
    wanted = _BUSY * scene.processors
    lanes = 1
    while lanes < min(8, scene.n) and scene.rows * scene.d * lanes < wanted:
        lanes *= 2
    while lanes < _WIDEST and -(-scene.n // lanes) * registers_of_a_state(scene) > held:
        lanes *= 2
    return lanes


def registers_of_a_state(scene: Scene) -> int:
    """1 for a real number in single precision, up to 4."""
    return scene.parts * scene.real // 4


def most_states(scene: Scene) -> int:
    """States of a channel that the lanes of a warp can hold: 256 real ones in single precision, 64 complex doubles."""
    return _WIDEST * _HELD_BACK // registers_of_a_state(scene)


def blocks_of_time(scene: Scene, tpc: int) -> tuple[int, int]:
    """Cut time where channels are few and the signal is long: how many blocks, and the samples of each.

    What they are follows from the shapes and the card, and with them the last digits of the answer. They are of whole
    tiles, but for the last.
    """
    length = max(scene.length, 1)
    if scene.rows * scene.d >= _FEW * scene.processors or length < _LONG:
        return 1, -(-length // _TILE) * _TILE
    wanted = _WARPS * 32 * scene.processors // max(scene.rows * scene.d * tpc, 1)
    blocks = max(1, min(wanted, length // _SHORTEST, 65_535))
    samples = -(-length // blocks)
    samples = -(-samples // _TILE) * _TILE
    return -(-length // samples), samples


def threads_of_a_block(scene: Scene, tpc: int) -> int:
    """128, or what the channels of one group of B and C fill: those of a block are of one group."""
    return next(t for t in (32, 64, 128) if t == 128 or scene.d // scene.groups * tpc <= t)


def forward_sizes(scene: Scene, span: int | None = None) -> Sizes:
    """Sizes of the scan; ``span`` is given where states are kept for the adjoint."""
    tpc = lanes_of_a_channel(scene, 2 * _HELD if scene.simple and scene.parts == 1 else _HELD)
    threads, tile = threads_of_a_block(scene, tpc), min(_TILE, span or _TILE)
    while tile > 1 and _forward_bytes(scene, tpc, threads, tile) > _SHARED:
        tile //= 2
    return Sizes(tpc, threads, span or tile, tile, _forward_bytes(scene, tpc, threads, tile))


def adjoint_sizes(scene: Scene) -> Sizes:
    """Sizes of the adjoint: sub-tiles are the shorter, the more registers a sample takes."""
    tpc, each = lanes_of_a_channel(scene, _HELD_BACK // 2), registers_of_a_state(scene)
    sub = 8 if scene.simple and each == 1 else 4 // each
    sub = sub if -(-scene.n // tpc) * each <= _HELD_BACK // 2 else 1
    threads = threads_of_a_block(scene, tpc)
    while _adjoint_bytes(scene, tpc, threads, sub) > _SHARED:
        sub, threads = (sub // 2, threads) if sub > 1 else (1, threads // 2)
    return Sizes(tpc, threads, 4 * sub, sub, _adjoint_bytes(scene, tpc, threads, sub))


def _forward_bytes(scene: Scene, tpc: int, threads: int, tile: int) -> int:
    """As selective.cu takes them: two stages of u, Δ, z, B and C, then Δ, y and where sequences begin."""
    signal, level = tile * threads // tpc, tile * _level(scene, tpc)
    stage = [signal * scene.heard, signal, signal, level, level]
    return 2 * _bytes(stage, scene.signal) + _bytes([signal, signal * scene.told], scene.real) + _bytes([tile], 4)


def _adjoint_bytes(scene: Scene, tpc: int, threads: int, sub: int) -> int:
    """As selective_adjoint.cu takes them."""
    span, channels, level = 4 * sub, threads // tpc, _level(scene, tpc)
    signal = span * channels
    came = [(span + 1) * channels * scene.heard, signal, signal, signal * scene.told, (span + 1) * level, span * level]
    made = [signal, signal * scene.told, signal * scene.heard, signal, signal * scene.told]
    level_sums = [2 * (threads // 32) * sub * level]
    sums = 2 * sub * level
    bytes_ = _bytes([sums], 8) + _bytes(came, scene.signal) + _bytes(made + level_sums, scene.real) + _bytes([span], 4)
    return max(bytes_, _bytes([sums], 8) + 8 * threads * (1 + scene.told))  # sums over time, in the end


def _level(scene: Scene, tpc: int) -> int:
    return -(-scene.n // tpc) * tpc * scene.parts


def _bytes(counts: list[int], each: int) -> int:
    """Of arrays that begin at full sixteens."""
    return sum(-(-count * each // 16) * 16 for count in counts)


def rows_of(array: Any, batch: tuple[int, ...], core: int) -> tuple[Any, bool]:
    """An array (..., core axes) as contiguous (rows, …), or (1, …) and True where all rows of the batch share it."""
    xp = library_of(array)
    own, last = array.shape[: array.ndim - core], array.shape[array.ndim - core :]
    if int(np.prod(own)) == 1:
        return xp.ascontiguousarray(array.reshape(1, *last)), True
    if own != batch:
        array = xp.broadcast_to(array, (*batch, *last))
    return xp.ascontiguousarray(array.reshape(int(np.prod(batch)), *last)), False
