"""What stands for the card where there is no GPU: what CuPy asks of it, and kernels that g++ compiles for fibres.

Arrays are copied to where a kernel works, each to a multiple of 512 bytes and between guards, as CuPy's pool places
them apart; what it wrote is copied back. A kernel is run in several modes (emulation.h), which agree in every bit.
"""

from __future__ import annotations

import contextlib
import ctypes
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

EAGER, LAZY, REVERSED = 0, 1, 2
MODES = {
    "eager": (EAGER,),
    "lazy": (LAZY,),
    "both": (EAGER, LAZY | REVERSED),
    "all": (EAGER, LAZY, EAGER | REVERSED, LAZY | REVERSED),
}
GUARD, ALIGNED = 4096, 512


class Memory:
    """A copy of the memory of an array and its views, between guards of NaN."""

    def __init__(self, root: np.ndarray) -> None:
        self.low, self.there = memory_of(root)
        self.raw = np.full(len(self.there) + 2 * GUARD + ALIGNED, 0xFF, np.uint8)
        begin = GUARD + -(self.raw.ctypes.data + GUARD) % ALIGNED
        self.inside = self.raw[begin : begin + len(self.there)]
        self.inside[:] = self.there
        self.guards = (self.raw[:begin], self.raw[begin + len(self.there) :])

    def address(self, array: np.ndarray) -> int:
        return self.inside.ctypes.data + array.ctypes.data - self.low

    def overrun(self) -> bool:
        return any((guard != 0xFF).any() for guard in self.guards)


def launch(
    library: ctypes.CDLL, name: str, sizes: tuple[int, int, int, int, int], arguments: list[Any], modes: tuple[int, ...]
) -> None:
    """Run a kernel: sizes are the grid, the threads of a block and its bytes; None is a null pointer."""
    kinds = [kind for kind in getattr(library, f"{name}__signature")().decode().split(",") if kind]
    check_arguments(name, kinds, arguments)
    runs = [_run(library, name, sizes, arguments, mode) for mode in modes]
    written = {
        id(root_of(argument))
        for kind, argument in zip(kinds, arguments, strict=True)
        if isinstance(argument, np.ndarray) and argument.size and not kind.startswith("const ")
    }
    for key, memory in runs[0].items():
        if any(run[key].overrun() for run in runs):
            raise RuntimeError(f"{name} wrote beside {_places(key, arguments)}")
        if key not in written and any((run[key].inside != memory.there).any() for run in runs):
            raise RuntimeError(f"{name} wrote to {_places(key, arguments)}, which it takes as const")
        for mode, run in zip(modes[1:], runs[1:], strict=True):
            differs = (run[key].inside != memory.inside).sum()
            if differs:
                raise RuntimeError(
                    f"{name} depends on an order that nothing keeps: {differs} bytes of {_places(key, arguments)} "
                    f"differ between mode {modes[0]} and mode {mode} (1: lazy copies, 2: last threads first)"
                )
    for key in written:
        runs[0][key].there[:] = runs[0][key].inside


def _places(key: int, arguments: list[Any]) -> str:
    found = [
        i for i, argument in enumerate(arguments) if isinstance(argument, np.ndarray) and id(root_of(argument)) == key
    ]
    return f"the memory of argument {' and '.join(map(str, found))}"


def _run(library: ctypes.CDLL, name: str, sizes: tuple[int, ...], arguments: list[Any], mode: int) -> dict[int, Memory]:
    memories: dict[int, Memory] = {}
    values: list[np.ndarray] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray) and argument.size:  # CuPy's pool gives null for nothing
            root = root_of(argument)
            if id(root) not in memories:
                memories[id(root)] = Memory(root)
            argument = np.uint64(memories[id(root)].address(argument))
        values.append(np.array(argument if isinstance(argument, np.generic) else np.uint64(0)))
    pointers = (ctypes.c_void_p * max(len(values), 1))(*(value.ctypes.data for value in values))
    fault = getattr(library, f"{name}__launch")(*sizes, mode, pointers)
    if fault:
        raise RuntimeError(f"{name} (mode {mode}): {fault.decode()}")
    return memories


def root_of(array: np.ndarray) -> np.ndarray:
    """The array whose memory a view shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def memory_of(root: np.ndarray) -> tuple[int, np.ndarray]:
    """Address and bytes of what an array that is no view lies in, in any order."""
    low, high = np.lib.array_utils.byte_bounds(root)
    return low, np.frombuffer((ctypes.c_uint8 * (high - low)).from_address(low), np.uint8)


def copies(arguments: list[Any]) -> tuple[Any, ...]:
    """Arguments as they are now; what lies in one array lies in one copy."""
    roots: dict[int, np.ndarray] = {}
    copied = []
    for value in arguments:
        if isinstance(value, np.ndarray) and value.size:
            low, memory = memory_of(root_of(value))
            if low not in roots:
                roots[low] = memory.copy()
            value = np.ndarray(value.shape, value.dtype, roots[low], value.ctypes.data - low, value.strides)
        copied.append(value)
    return tuple(copied)


def check_arguments(name: str, kinds: list[str], arguments: list[Any]) -> None:
    """Refuse what a kernel would take for something else: a GPU gets bytes, and says nothing."""
    if len(kinds) != len(arguments):
        raise TypeError(f"{name} takes {len(kinds)} arguments ({', '.join(kinds)}), got {len(arguments)}")
    for i, (kind, argument) in enumerate(zip(kinds, arguments, strict=True)):
        if not _fits(kind, argument):
            got = f"an array of {argument.dtype}" if isinstance(argument, np.ndarray) else repr(argument)
            raise TypeError(f"argument {i} of {name} is {kind}, got {got}")
        if isinstance(argument, np.ndarray) and argument.ctypes.data % argument.itemsize and argument.size:
            raise ValueError(f"argument {i} of {name} does not lie at a multiple of its {argument.itemsize} bytes")


def _fits(kind: str, argument: Any) -> bool:
    if not kind.endswith("*"):
        return isinstance(argument, np.generic) and argument.dtype.name == kind
    if not isinstance(argument, np.ndarray):
        return argument is None
    to = kind.removeprefix("const ").removesuffix("*")
    if to.startswith("bytes"):  # a struct: halves, pairs of a complex number
        return argument.itemsize == int(to.removeprefix("bytes"))
    parts = {
        ("uint8", "bool"),
        ("float32", "complex64"),
        ("float64", "complex128"),
    }  # a complex number is two real ones
    return argument.dtype.name == to or to == "void" or (to, argument.dtype.name) in parts


def check_sizes(grid: tuple[int, ...], block: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the grid and the threads of a block, within the limits of CUDA."""
    x, y, z = (int(n) for n in (*grid, 1, 1)[:3])
    threads, *others = (int(n) for n in block)
    if not (0 < x < 2**31 and 0 < y < 65536 and 0 < z < 65536):
        raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: invalid argument (a grid of {grid})")
    if not 0 < threads <= 1024 or any(n != 1 for n in others):
        raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: invalid argument (a block of {block}; here along x only)")
    return x, y, z, threads


# --------------------------------------------------------------------------- the card


class Flags(NamedTuple):
    c_contiguous: bool
    f_contiguous: bool
    owndata: bool


class Pointer(NamedTuple):
    ptr: int
    device_id: int = 0


class Launch(NamedTuple):
    name: str
    grid: tuple[int, int, int]
    block: int
    shared: int
    stream: Any
    code: str
    options: tuple[str, ...]
    arguments: tuple[Any, ...]  # copies, where they are asked for


class Stream:
    """A stream, on which nothing ever waits."""

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.ptr = 0 if null else id(self)
        self.non_blocking = non_blocking

    def __enter__(self) -> Stream:
        machine.streams.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        machine.streams.remove(self)

    def use(self) -> Stream:
        machine.streams.append(self)
        return self

    def synchronize(self) -> None:
        machine.waits += 1


class Machine:
    """The card that is not there, and what was seen of it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.multiprocessors = 132
        self.capability = (9, 0)
        self.modes = MODES["both"]
        self.keeps_arguments = False
        self.uploads = self.downloads = self.waits = 0
        self.launches: list[Launch] = []
        self.streams = [Stream(null=True)]


machine = Machine()


@contextlib.contextmanager
def launch_mode(name: str) -> Iterator[None]:
    """Run kernels "eager", "lazy", "both" (which have to agree) or "all" (the last threads first, too)."""
    before, machine.modes = machine.modes, MODES[name]
    try:
        yield
    finally:
        machine.modes = before


@contextlib.contextmanager
def recorded() -> Iterator[list[Launch]]:
    """List launches, with copies of their arguments as they were before."""
    before, machine.keeps_arguments, first = machine.keeps_arguments, True, len(machine.launches)
    seen: list[Launch] = []
    try:
        yield seen
    finally:
        machine.keeps_arguments = before
        seen += machine.launches[first:]


@contextlib.contextmanager
def no_copies(uploads: bool = False) -> Iterator[None]:
    """Fail where anything is copied to the host, waits for the device, or (without `uploads`) comes from the host."""
    before = (machine.downloads, machine.waits, machine.uploads)
    yield
    after = (machine.downloads, machine.waits, before[2] if uploads else machine.uploads)
    assert after == before, f"(copies to the host, waits, copies to the device) were {before}, are {after}"


class Device:
    def __init__(self, device: int = 0) -> None:
        self.id = device

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def use(self) -> Device:
        return self

    def synchronize(self) -> None:
        machine.waits += 1

    @property
    def compute_capability(self) -> str:
        return "{}{}".format(*machine.capability)

    @property
    def attributes(self) -> dict[str, int]:
        return {
            "MultiProcessorCount": machine.multiprocessors,
            "ComputeCapabilityMajor": machine.capability[0],
            "ComputeCapabilityMinor": machine.capability[1],
            "MaxSharedMemoryPerBlock": 48 * 1024,
            "MaxThreadsPerBlock": 1024,
            "WarpSize": 32,
        }


def module_of(name: str, **values: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update(values)
    return made


def cuda() -> types.ModuleType:
    runtime = module_of(
        "cupy.cuda.runtime",
        getDevice=lambda: 0,
        getDeviceCount=lambda: 1,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13000,
        getDeviceProperties=lambda device: {"name": b"fibres", "multiProcessorCount": machine.multiprocessors},
        deviceSynchronize=lambda: Device().synchronize(),
    )
    return module_of(
        "cupy.cuda",
        is_available=lambda: True,
        Device=Device,
        Stream=Stream,
        get_current_stream=lambda: machine.streams[-1],
        runtime=runtime,
        nvrtc=module_of("cupy.cuda.nvrtc", getVersion=lambda: (13, 0)),
    )
