"""The selective scan on the device: from checked arrays to launches of selective.cu, and blocks of time joined."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import library_of
from statespace.gpu.affine import parts_of, real_name
from statespace.gpu.layout import Scene, Sizes, adjoint_sizes, blocks_of_time, forward_sizes, most_states, rows_of
from statespace.gpu.loader import kernel, launch, multiprocessors
from statespace.rule_numbers import EXP_TRAPEZOIDAL, FOH, GBT, IMPULSE, ZOH

# Axes of an argument behind those of the batch, its bit in `common` of selective.cuh where all rows share it, and that
# of being constant in time.
_ARGUMENTS = {
    "u": (2, 1, 0), "delta": (2, 2, 0), "z": (2, 4, 0), "A": (2, 0, 0), "B": (3, 8, 256), "C": (3, 16, 512),
    "D": (1, 0, 0), "delta_bias": (1, 0, 0), "x0": (2, 32, 0), "v0": (2, 64, 0), "reset": (1, 128, 0),
}  # fmt: skip
_LONGEST = 2**31 - 64  # samples that are counted in 32 bits
_OF_STATES = ("A", "B", "C", "x0", "v0")


class Kinds(NamedTuple):
    """Types of what a scan reads and writes."""

    real: Any  # of all arithmetic
    scalar: Any  # of Δ and z: real, or half precision
    heard: Any  # of u
    level: Any  # of B and C
    state: Any
    told: Any  # of D and y before it is written


class Prepared(NamedTuple):
    """A scan as kernels take it: contiguous rows on the device, None where an argument was not given."""

    arrays: dict[str, Any]
    common: int
    scene: Scene
    kinds: Kinds
    rule: int
    weight: float
    softened: bool
    doubled: float

    @property
    def two_taps(self) -> bool:
        """Whether the sample before is taken too."""
        return self.rule in (ZOH, FOH, EXP_TRAPEZOIDAL, GBT)


def prepare(inputs: Any, rule: int, weight: float) -> Prepared:
    """Lay out the arguments of a scan."""
    given = {name: getattr(inputs, name) for name in _ARGUMENTS}
    if not inputs.A.shape[-1]:
        given = _with_a_state(given)
    kinds, arrays, common = _kinds(inputs), {}, 0
    for name, (core, shared_bit, constant_bit) in _ARGUMENTS.items():
        arrays[name] = value = given[name]
        if value is None:
            continue
        arrays[name], shared = rows_of(value.astype(_kind_of(name, kinds), copy=False), inputs.batch, core)
        common |= shared_bit * shared
        common |= constant_bit * (value.shape[-core] == 1)
    scene = Scene(
        math.prod(inputs.batch), *inputs.u.shape[-2:], given["B"].shape[-2], given["A"].shape[-1],
        parts_of(kinds.state), parts_of(kinds.heard), parts_of(kinds.told), kinds.real.itemsize, kinds.scalar.itemsize,
        rule == IMPULSE,
        multiprocessors(),
    )  # fmt: skip
    _check_sizes(inputs, scene)
    doubled = 2.0 if inputs.pairs else 1.0
    return Prepared(arrays, common, scene, kinds, rule, weight, bool(inputs.delta_softplus), doubled)


def _check_sizes(inputs: Any, scene: Scene) -> None:
    """Raise where samples are more than are counted, or states more than a warp holds in its registers."""
    if scene.length > _LONGEST:
        raise ValueError(
            f"on a GPU a selective scan takes {_LONGEST} samples at once, got {scene.length}; run it in pieces, "
            "x0= being the state that the piece before returned"
        )
    most = most_states(scene)
    if scene.n > most:
        raise ValueError(
            f"on a GPU a channel of a selective scan has {most} states of {np.dtype(inputs.state_type)} at most, "
            f"got {scene.n}; run it on the CPU: cupy.asnumpy of every array"
        )


def _kinds(inputs: Any) -> Kinds:
    """Half precision is for real scans; there are no complex numbers of it, and signals beside such go to single."""
    half, complex_ = inputs.u.dtype == np.float16, inputs.is_complex
    real = np.dtype(np.float32) if half else np.zeros(0, inputs.u.dtype).real.dtype
    scalar = np.dtype(np.float16) if half and not complex_ else real
    state = np.result_type(real, np.complex64) if complex_ else real
    told = real if inputs.pairs else state
    heard = np.result_type(real, np.complex64) if inputs.u.dtype.kind == "c" else scalar
    return Kinds(real, scalar, heard, state if complex_ else scalar, state, told)


def _kind_of(name: str, kinds: Kinds) -> Any:
    if name == "reset":
        return np.dtype(bool)
    return {
        "u": kinds.heard, "delta": kinds.scalar, "z": kinds.scalar, "B": kinds.level, "C": kinds.level, "D": kinds.told,
        "delta_bias": kinds.real,
    }.get(name, kinds.state)  # fmt: skip


def _with_a_state(given: dict[str, Any]) -> dict[str, Any]:
    """A scan without states runs with one that is 0."""
    xp = library_of(given["u"])
    of_states = {name: given[name] for name in _OF_STATES if given[name] is not None}
    return given | {name: xp.zeros((*value.shape[:-1], 1), value.dtype) for name, value in of_states.items()}


def defines(scan: Prepared, sizes: Sizes, **more: int) -> tuple[tuple[str, str | int], ...]:
    """What the kernels of a scan are compiled with."""
    scene = scan.scene
    common: dict[str, str | int] = {
        "REAL": real_name(scan.kinds.real), "SIGNAL": "Half" if scan.kinds.scalar == np.float16 else "REAL",
        "RULE": scan.rule, "STATES": scene.n, "PARTS": scene.parts, "HEARD": scene.heard, "TOLD": scene.told,
        "TPC": sizes.tpc, "THREADS": sizes.threads, "SPAN": sizes.span,
    }  # fmt: skip
    return tuple((common | more).items())


def scan_defines(scan: Prepared, sizes: Sizes, ends: int) -> tuple[tuple[str, str | int], ...]:
    """Those of selective.cu. Five blocks of a plain scan shall fit a multiprocessor: registers are saved."""
    held = -(-scan.scene.n // sizes.tpc)
    plain = scan.rule == IMPULSE and scan.scene.parts == 1 and held <= 4 and scan.scene.real == 4 and not ends
    return defines(scan, sizes, TILE=sizes.tile, ENDS=ends, MIN_BLOCKS=5 if plain else 1)


def numbers_of(scan: Prepared, chunk: int) -> tuple[Any, ...]:
    """The arguments that are numbers, in the order of every kernel of a scan."""
    real = scan.kinds.real.type
    sizes = (scan.scene.length, scan.scene.d, scan.scene.groups, chunk, scan.common, scan.softened)
    return (*(np.int32(value) for value in sizes), real(scan.weight), real(scan.doubled))


def grid_of(scan: Prepared, sizes: Sizes, blocks: int) -> tuple[int, int, int]:
    """A block of threads for so many channels of a group, of a row, of a block of time."""
    scene = scan.scene
    width, channels = scene.d // scene.groups, sizes.threads // sizes.tpc
    return scene.rows * scene.groups * -(-width // channels), blocks, 1


def selective_scan(inputs: Any, rule: int, weight: float, *, keep: bool = False) -> tuple[Any, Any, Any, Any]:
    """Run a checked scan on the device.

    Parameters
    ----------
    inputs
        Its arguments, arrays on the device, as `statespace.selective.arguments.Inputs` names them.
    rule, weight
        Number of the rule of discretization, and its weight.
    keep : bool
        Keep the states that the adjoint starts from again.

    Returns
    -------
    y : (*batch, L, d)
    x, v : (*batch, d, n), v None for a rule of one tap
        After the last sample.
    marks
        For `selective_adjoint`.
    """
    scan = prepare(inputs, rule, weight)
    xp, scene = library_of(inputs.u), scan.scene
    sizes = forward_sizes(scene, adjoint_sizes(scene).span if keep else None)
    y = xp.empty((scene.rows, scene.length, scene.d), np.result_type(scan.kinds.told, scan.kinds.heard)
                 if scene.told == 2 else scan.kinds.scalar)  # fmt: skip
    x, v = (_first_states(scan, name) for name in ("x0", "v0"))
    marks = xp.empty((scene.rows, -(-scene.length // sizes.span) if keep else 0, scene.d, scene.n), scan.kinds.state)
    if y.size:
        _run(scan, sizes, y, x, v, marks if keep else None)
    n = inputs.A.shape[-1]
    states = [state.reshape(*inputs.batch, scene.d, scene.n)[..., :n] for state in (x, v)]
    y = y.reshape(*inputs.batch, scene.length, scene.d).astype(inputs.output_type, copy=False)
    return y, states[0], states[1] if scan.two_taps else None, marks


def _first_states(scan: Prepared, name: str) -> Any:
    """A state (rows, d, n) of its own, that a run leaves the last one in."""
    xp, scene, start = library_of(scan.arrays["u"]), scan.scene, scan.arrays[name]
    shape = (scene.rows, scene.d, scene.n)
    return xp.zeros(shape, scan.kinds.state) if start is None else xp.array(xp.broadcast_to(start, shape), order="C")


def _run(scan: Prepared, sizes: Sizes, y: Any, x: Any, v: Any, marks: Any) -> None:
    blocks, chunk = blocks_of_time(scan.scene, sizes.tpc)
    start = scan.arrays["x0"] if blocks == 1 else _starts(scan, sizes, blocks, chunk)
    common = scan.common if blocks == 1 else scan.common & ~_ARGUMENTS["x0"][1]
    run = kernel("selective.cu", "selective_lanes", scan_defines(scan, sizes, 0))
    numbers = numbers_of(scan._replace(common=common), chunk)
    arguments = (*_read(scan, start), y, x, v, marks, None, *numbers)
    launch(run, grid_of(scan, sizes, blocks), sizes.threads, arguments, sizes.shared)


def _read(scan: Prepared, start: Any) -> tuple[Any, ...]:
    names = ("u", "delta", "z", "A", "B", "C", "D", "delta_bias")
    return (*(scan.arrays[name] for name in names), start, scan.arrays["v0"], scan.arrays["reset"])


def _starts(scan: Prepared, sizes: Sizes, blocks: int, chunk: int) -> Any:
    """What each block of time starts from, (rows, blocks, d, n).

    Blocks run from zero first, for their last states and the products of their α.
    """
    xp, scene = library_of(scan.arrays["u"]), scan.scene
    shape = (scene.rows, blocks, scene.d, scene.n)
    ends, powers = (xp.empty(shape, scan.kinds.state) for _ in range(2))
    run = kernel("selective.cu", "selective_lanes", scan_defines(scan, sizes, 1))
    arguments = (*_read(scan, None), None, ends, None, None, powers, *numbers_of(scan, chunk))
    launch(run, grid_of(scan, sizes, blocks), sizes.threads, arguments, sizes.shared)
    return passed_on(scan, powers, ends, cuts(scan, blocks, chunk), _first_states(scan, "x0"))


def passed_on(scan: Prepared, powers: Any, ends: Any, cut: Any, first: Any) -> Any:
    """What each of the blocks (rows, blocks, d, n) starts from, see block_starts.cu; first is (rows, d, n)."""
    (rows, blocks, d, n), threads = ends.shape, 128
    macros = (("REAL", real_name(scan.kinds.real)), ("PARTS", scan.scene.parts), ("THREADS", threads))
    starts = library_of(ends).empty(ends.shape, ends.dtype)
    counts = (np.int64(rows), np.int64(blocks), np.int64(d * n))
    run = kernel("block_starts.cu", "block_starts", macros)
    launch(run, (-(-rows * d * n // threads), 1, 1), threads, (powers, ends, cut, first, starts, *counts))
    return starts


def cuts(scan: Prepared, blocks: int, chunk: int) -> Any:
    """Whether a sequence begins in a block, bool (rows, blocks), or None where none does anywhere."""
    reset = scan.arrays["reset"]
    if reset is None:
        return None
    xp = library_of(reset)
    whole = xp.zeros((len(reset), blocks * chunk), bool)
    whole[:, : reset.shape[1]] = reset
    found = whole.reshape(len(reset), blocks, chunk).any(axis=-1)
    return xp.ascontiguousarray(xp.broadcast_to(found, (scan.scene.rows, blocks)))
