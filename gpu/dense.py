"""Dense and low-rank systems on the device, and states that go from block to block; see dense.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, library_of
from statespace.gpu.affine import parts_of, real_name, systems_on_device
from statespace.gpu.loader import kernel, launch
from statespace.gpu.signals import numbers

_THREADS = 128
_SHARED = 48 * 1024  # bytes of a block


def tiled(a: Array, b: Array, c: Array, d: Array) -> Array:
    """[[A, B], [C, D]] transposed, as (..., (n + m)·(n + p)): what neighbouring threads read lies side by side."""
    n, m, p = a.shape[-1], b.shape[-1], c.shape[-2]
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in (a, b, c, d)))
    whole = np.empty((*batch, n + p, n + m), np.result_type(a, b, c, d))
    whole[..., :n, :n], whole[..., :n, n:], whole[..., n:, :n], whole[..., n:, n:] = a, b, c, d
    return np.ascontiguousarray(whole.swapaxes(-1, -2)).reshape(*batch, (n + m) * (n + p))


def dense_steps(tiles: Array, which: Array, u: Any, x: Any, y: Any, states: Any) -> None:
    """Run [x_{k+1}; y_k] = [[A, B], [C, D]] [x_k; u_k]; x is updated, y and the last states are filled.

    tiles (systems, (n + m)·(n + p)), as `tiled` lays them out, and which (rows,) are of the host; on the device u is
    (rows, L, m), x (rows, n), y (rows, L, p), states (rows, S, n), all C-contiguous.
    """
    (rows, length, m), n, p = u.shape, x.shape[1], y.shape[2]
    counts = (np.int64(rows), np.int64(length), np.int64(states.shape[1]))
    matrix = library_of(u).asarray(np.ascontiguousarray(tiles, x.dtype))
    arguments = (matrix, systems_on_device(which, tiles, u), numbers(u), x, numbers(y), states, *counts)
    _launch("dense_steps", u.dtype, x.dtype, rows, n + p, 2 * (n + m), arguments, (n, m, p))


def complex_dense_steps(mt: Array, which: Array, u: Any, x: Any, y: Any, states: Any) -> None:
    """Run the same in complex arithmetic; mt (systems, columns, rows) is the matrix transposed, u is complex too."""
    dense_steps(mt.reshape(len(mt), mt.shape[1] * mt.shape[2]), which, u, x, y, states)


def low_rank_steps(
    a: Array, pt: Array, qt: Array, bt: Array, ct: Array, dt: Array,
    which: Array, u: Any, x: Any, y: Any, states: Any,
) -> None:  # fmt: skip
    """Run x_{k+1} = a x_k − P (Qᴴ x_k) + B u_k, y_k = C x_k + D u_k; x is updated, y and states are filled.

    pt (systems, r, n) is P transposed, qt Q conjugated and transposed; all arrays as in `dense_steps`, of one kind.
    """
    xp, (rows, length, m), n, p, r = library_of(u), u.shape, x.shape[1], y.shape[2], pt.shape[1]
    counts = (np.int64(rows), np.int64(length), np.int64(states.shape[1]))
    matrices = [xp.asarray(np.ascontiguousarray(matrix, x.dtype)) for matrix in (a, pt, qt, bt, ct, dt)]
    arguments = (*matrices, systems_on_device(which, a, u), numbers(u), x, numbers(y), states, *counts)
    _launch("low_rank_steps", u.dtype, x.dtype, rows, max(n, r + p), n + m + r, arguments, (n, r, m, p))


def carry(power: Array, which: Array, v: Any, x: Any) -> None:
    """x[:, j + 1] = A^S x[:, j] + v[:, j]: the start of each block from that of the one before.

    power (systems, n, n), A^S transposed, and which are of the host; on the device v is (rows, blocks, n) and x (rows,
    blocks + 1, n), of one type; x begins with the state before the first block and is filled.
    """
    rows, blocks, n = v.shape
    matrix = library_of(v).asarray(np.ascontiguousarray(power, v.dtype))
    arguments = (matrix, systems_on_device(which, power, v), v, x, np.int64(rows), np.int64(blocks))
    _launch("carry", v.dtype, v.dtype, rows, n, 2 * n, arguments, (n,))


def _launch(
    entry: str, signal: Any, kind: Any, rows: int, outputs: int, numbers: int, arguments: tuple[Any, ...], sizes: Any
) -> None:
    """Launch with so many threads for a row as a step has sums, and so many numbers of a row in shared memory."""
    each = numbers * np.dtype(kind).itemsize
    if each > _SHARED:
        raise ValueError(
            f"a state and an input of {each} bytes do not fit the {_SHARED} bytes of a block of threads on the GPU; "
            "run it on the host: write cupy.asnumpy(u)"
        )
    width = 1
    while width < min(outputs, _THREADS) or _THREADS // width * each > _SHARED:
        width *= 2
    run = kernel("dense.cu", entry, (("SIGNAL", real_name(signal)), ("PARTS", parts_of(kind))))
    shared = _THREADS // width * each
    places = (np.int32(size) for size in (*sizes, width))
    launch(run, (-(-rows // (_THREADS // width)), 1, 1), _THREADS, (*arguments, *places), shared)
