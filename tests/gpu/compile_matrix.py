"""Every kernel compiled for every generation of cards, on a machine that has none: registers, memory and spills.

    python tests/gpu/compile_matrix.py                 # all of it, a table
    python tests/gpu/compile_matrix.py selective.cu    # one file
    python tests/gpu/compile_matrix.py --arch 90       # for one generation
    python tests/gpu/compile_matrix.py --more          # scans of more kinds and sizes

A register that is spilled goes to memory and back, most often in the innermost loop: none may be. What is needed is
NVRTC, the compiler that CuPy uses, and not CuPy: python -m pip install "nvidia-cuda-nvrtc>=13.0,<14", 90 MB, which is
the extra `gpu-test`. It ends with 1 where a kernel spills or does not compile or the compiler warns, and with 2 where
there is no NVRTC.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import importlib.util
import multiprocessing
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from statespace.gpu.layout import Scene, adjoint_sizes, forward_sizes
from statespace.gpu.loader import options, source
from statespace.gpu.selective import Kinds, Prepared, defines, scan_defines
from statespace.rule_numbers import EXP_TRAPEZOIDAL, FOH, GBT, IMPULSE, S4_ZOH

ARCHITECTURES = (75, 80, 90, 120)  # Turing, Ampere, Hopper, Blackwell
NEEDED = (12, 8)  # the first NVRTC that knows all of them

Defines = dict[str, "str | int"]


def each(base: Defines, **choices: tuple[str | int, ...]) -> list[Defines]:
    """Return every combination: the macros of base, and one value of each choice."""
    sets = [base]
    for name, values in choices.items():
        sets = [{**macros, name: value} for macros in sets for value in values]
    return sets


# A row for each file: the sets of macros that its launcher asks for, a representative of each kind.
NUMBERS: dict[str, tuple[str | int, ...]] = {"SIGNAL": ("float", "double"), "PARTS": (1, 2)}
CASES: dict[str, list[Defines]] = {
    "affine.cu": each({}, REAL=("float", "double"), PARTS=(1, 2)),
    "block_starts.cu": each({"THREADS": 128}, REAL=("float", "double"), PARTS=(1, 2)),
    "cascade.cu": each({}, **NUMBERS),
    "dense.cu": each({}, **NUMBERS),
    "diagonal.cu": [
        *each({"PAIRS": 0}, **NUMBERS, SINGLE=(0, 1), HELD=(1, 8)),
        *each({"PAIRS": 1, "PARTS": 2}, SIGNAL=("float", "double"), SINGLE=(0, 1), HELD=(1, 8)),
    ],
}


# Rows, L, d, groups, n; real numbers of a state, of u and of y; the types of arithmetic and of signals; the rule.
Shape = tuple[tuple[int, ...], tuple[int, ...], tuple[type, type], int]
SINGLE, HALF, DOUBLE = (np.float32, np.float32), (np.float32, np.float16), (np.float64, np.float64)
WIDE = (8, 4096, 1536, 1, 16)
SCANS: list[Shape] = [
    (WIDE, (1, 1, 1), SINGLE, IMPULSE),
    ((64, 4096, 1536, 1, 16), (1, 1, 1), SINGLE, IMPULSE),
    (WIDE, (1, 1, 1), HALF, IMPULSE),
    (WIDE, (1, 1, 1), DOUBLE, IMPULSE),
    (WIDE, (2, 1, 1), SINGLE, IMPULSE),
    (WIDE, (1, 1, 1), SINGLE, FOH),
]
MORE: list[Shape] = [
    ((1, 65536, 16, 1, 64), (1, 1, 1), SINGLE, IMPULSE),
    ((1, 64, 1536, 1, 256), (1, 1, 1), SINGLE, IMPULSE),
    ((8, 4096, 64, 8, 16), (1, 1, 1), SINGLE, IMPULSE),
    (WIDE, (2, 2, 2), DOUBLE, IMPULSE),
    *((WIDE, (1, 1, 1), SINGLE, rule) for rule in (S4_ZOH, EXP_TRAPEZOIDAL, GBT)),
    ((64, 4096, 1536, 1, 16), (2, 1, 2), SINGLE, FOH),
    ((8, 4096, 1536, 1, 128), (1, 1, 1), DOUBLE, FOH),
    ((8, 4096, 1536, 1, 64), (2, 1, 2), DOUBLE, FOH),
]


def scan_cases(shapes: list[Shape]) -> dict[str, list[Defines]]:
    """What the launchers of a scan ask for, on a card of 132 multiprocessors."""
    found: dict[str, list[Defines]] = {"selective.cu": [], "selective_adjoint.cu": [], "adjoint_ends.cu": []}
    for shape, parts, (real, signal), rule in shapes:
        scene = Scene(*shape, *parts, np.dtype(real).itemsize, np.dtype(signal).itemsize, rule == IMPULSE, 132)
        kinds = Kinds(*(np.dtype(kind) for kind in (real, signal, signal, signal, real, real)))
        scan = Prepared({}, 0, scene, kinds, rule, 0.5, True, 1.0)
        forward, back = forward_sizes(scene), adjoint_sizes(scene)
        found["selective.cu"] += [dict(scan_defines(scan, forward, ends)) for ends in (0, 1)]
        found["selective_adjoint.cu"].append(dict(defines(scan, back, SUB=back.tile, MIN_BLOCKS=1)))
        found["adjoint_ends.cu"].append(dict(defines(scan, back, MIN_BLOCKS=1)))
    return found


CASES |= scan_cases(SCANS)


class Kernel(NamedTuple):
    """What ptxas says of an entry point."""

    file: str
    defines: str
    architecture: int
    entry: str
    registers: int
    shared: int  # bytes of static shared memory
    stack: int  # bytes of a thread
    spilled: int  # bytes of a thread, written and read


class Outcome(NamedTuple):
    """Of one file, one set of macros and one architecture."""

    kernels: list[Kernel]
    complaints: list[str]  # errors and warnings


# --------------------------------------------------------------- NVRTC


@cache
def nvrtc() -> ctypes.CDLL:
    """Load NVRTC from the package nvidia-cuda-nvrtc, CUDA_PATH or where the system looks."""
    for library in _candidates():
        try:
            # The compiler opens its builtins by name: it finds those that are open already.
            for part in sorted(library.parent.glob("*nvrtc-builtins*")) if library.parent.name else ():
                ctypes.CDLL(str(part), mode=ctypes.RTLD_GLOBAL)
            found = ctypes.CDLL(str(library))
        except OSError:
            continue
        if version(found) >= NEEDED:
            return found
    raise ModuleNotFoundError(
        "the compile matrix needs NVRTC {}.{} or newer; install it with: python -m pip install "
        '"nvidia-cuda-nvrtc>=13.0,<14"'.format(*NEEDED)
    )


def _candidates() -> list[Path]:
    package = importlib.util.find_spec("nvidia")
    folders = [Path(place) for place in (package.submodule_search_locations or ())] if package else []
    toolkits = [Path(os.environ[name]) for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
    names = ("libnvrtc.so.1[0-9]", "nvrtc64_1[0-9]*[0-9].dll")
    found = [p for folder in folders for name in names for p in sorted(folder.glob(f"**/{name}"), reverse=True)]
    found += [p for kit in toolkits for name in names for p in sorted(kit.glob(f"lib64/{name}"), reverse=True)]
    system = ctypes.util.find_library("nvrtc")
    return found + ([Path(system)] if system else [])


def version(library: ctypes.CDLL) -> tuple[int, int]:
    major, minor = ctypes.c_int(), ctypes.c_int()
    library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def log_of(text: str, arguments: tuple[str, ...]) -> tuple[bool, str]:
    """Compile a text to code for a card: whether it compiles, and what the compiler says."""
    library, program, size = nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    encoded = [argument.encode() for argument in arguments]
    library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    status = library.nvrtcCompileProgram(program, len(encoded), (ctypes.c_char_p * len(encoded))(*encoded))
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return status == 0, log.value.decode(errors="replace")


# --------------------------------------------------------------- one file


def compile_one(file: str, macros: Defines, architecture: int, folder: Path | None = None) -> Outcome:
    """Compile a file as CuPy would, and read what the compiler says of each entry point."""
    arguments = (
        *options(tuple(macros.items())),
        f"--gpu-architecture=sm_{architecture}",
        "--device-as-default-execution-space",
        "--ptxas-options=-v",
    )
    fine, log = log_of(source(file, folder), arguments)
    words = " ".join(f"{name}={value}" for name, value in macros.items())
    place = f"{file} [{words}] sm_{architecture}"
    if not fine:
        return Outcome([], [f"{place} does not compile:\n{log}"])
    kernels = [Kernel(file, words, architecture, *found) for found in entries(log)]
    warnings = [
        f"{place}: {line.strip()}" for line in log.splitlines() if re.search(r"\): warning|^ptxas warning", line)
    ]
    if not kernels:
        warnings.append(f"{place}: no entry point was found in what the compiler says:\n{log}")
    return Outcome(kernels, warnings)


def entries(log: str) -> list[tuple[str, int, int, int, int]]:
    """Entry point, registers, shared memory, stack and spills, as `ptxas -v` tells them; spills of all it calls."""
    found = []
    for part in re.split(r"(?=Compiling entry function)", log):
        name = re.match(r"Compiling entry function '(\w+)'", part)
        if name:
            used, shared = re.search(r"Used (\d+) registers", part), re.search(r"(\d+) bytes smem", part)
            stack = sum(map(int, re.findall(r"(\d+) bytes stack frame", part)))
            spilled = sum(map(int, re.findall(r"(\d+) bytes spill (?:stores|loads)", part)))
            assert used is not None, part
            found.append((name[1], int(used[1]), int(shared[1]) if shared else 0, stack, spilled))
    return found


# --------------------------------------------------------------- all of them


def matrix(
    cases: dict[str, list[Defines]],
    architectures: tuple[int, ...] = ARCHITECTURES,
    *,
    folder: Path | None = None,
    processes: int = 1,
) -> Outcome:
    """Compile every file with every set of its macros for every architecture.

    In processes, not in threads, which NVRTC lets in one at a time.
    """
    jobs = [(file, macros, sm) for file, sets in cases.items() for macros in sets for sm in architectures]
    one = partial(compile_one, folder=folder)
    if processes == 1:
        outcomes = [one(*job) for job in jobs]
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            outcomes = list(pool.map(one, *zip(*jobs, strict=True), chunksize=4))
    return Outcome([k for o in outcomes for k in o.kernels], [c for o in outcomes for c in o.complaints])


def table(kernels: list[Kernel]) -> str:
    """One line for an entry point and its macros: registers for each architecture, and the most of the rest."""
    architectures = sorted({k.architecture for k in kernels})
    rows: dict[tuple[str, str, str], dict[int, Kernel]] = {}
    for k in kernels:
        rows.setdefault((k.file, k.entry, k.defines), {})[k.architecture] = k
    head = ["file", "kernel", *(f"sm_{a}" for a in architectures), "shared", "stack", "spilled", "macros"]
    lines = [head]
    for (file, entry, words), by in rows.items():
        registers = [str(by[a].registers) if a in by else "-" for a in architectures]
        most = [str(max(getattr(k, name) for k in by.values())) for name in ("shared", "stack", "spilled")]
        lines.append([file, entry, *registers, *most, words])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def spills(kernels: list[Kernel]) -> list[str]:
    """One line for each entry point, set of macros and architecture that spills."""
    return [
        f"{k.file} [{k.defines}] sm_{k.architecture}: {k.entry} spills {k.spilled} bytes at {k.registers} registers"
        for k in kernels
        if k.spilled
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compile every kernel for every generation of cards.")
    parser.add_argument("files", nargs="*", help=f"of {', '.join(CASES)}; all where none is named")
    parser.add_argument("--arch", type=int, nargs="+", default=ARCHITECTURES, help="such as 75 90")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--more", action="store_true", help="scans of more kinds and sizes, some minutes")
    asked = parser.parse_args(arguments)
    try:
        found = "{}.{}".format(*version(nvrtc()))
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    every = CASES | scan_cases(SCANS + MORE) if asked.more else CASES
    cases = {file: every[file] for file in asked.files or every}
    kernels, complaints = matrix(cases, tuple(asked.arch), processes=asked.processes)
    complaints += spills(kernels)
    summary = f"{len(kernels)} kernels compiled by NVRTC {found}, {len(complaints)} complaints"
    heading = "registers of a thread for each architecture, bytes for the rest"
    sys.stdout.write("\n".join([heading, table(kernels), *complaints, summary]) + "\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
