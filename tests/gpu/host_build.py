"""Kernels for the host: g++ compiles the text of a .cu file with emulation.h in front."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import card
import numpy as np

HEADER = Path(__file__).with_name("emulation.h")
# Products and sums are rounded as they are written, so that every host gives the same bits; fma() is one operation.
FLAGS = ("-std=c++20", "-O1", "-fno-strict-aliasing", "-ffp-contract=off", "-Wno-unknown-pragmas")
# Two of these in one process must not share variables of the header.
LIBRARY = ("-fPIC", "-shared", "-fno-gnu-unique", "-fvisibility=hidden")
THREADS = ("-DEMULATED_THREADS", "-pthread")
OF_NVRTC = ("-std=", "-ftz=", "-fmad=", "-prec-", "-lineinfo", "-dopt", "-arch=", "--gpu-architecture=")

_ENTRY = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^()]*\)\s*)?(\w+)\s*\(')


@functools.cache
def compiler() -> str | None:
    """Return "g++ 12.2.0", or None where there is none that can do it."""
    found = shutil.which("g++")
    if found is None or platform.system() != "Linux":
        return None
    version = subprocess.run([found, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    return f"g++ {version}" if int(version.partition(".")[0]) >= 12 else None


def entries(source: str) -> list[str]:
    """Names of the kernels of a text."""
    return _ENTRY.findall(source)


@functools.cache
def compile_host(source: str, options: tuple[str, ...] = (), variant: str = "fibres") -> ctypes.CDLL:
    """Compile a text and load it; each kernel in it has NAME__launch and NAME__signature."""
    text = _with_macros(source, options) + "".join(f"\nEMULATED_ENTRY({name})" for name in entries(source)) + "\n"
    flags = {"fibres": (), "threads": THREADS}[variant]
    # PyDLL: one launch at a time
    library = ctypes.PyDLL(str(built(text, (*_of_header(options), *LIBRARY, *flags))))
    for name in entries(source):
        getattr(library, f"{name}__signature").restype = ctypes.c_char_p
        launch = getattr(library, f"{name}__launch")
        launch.restype = ctypes.c_char_p
        launch.argtypes = [*[ctypes.c_uint] * 4, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p)]
    return library


def built(text: str, flags: tuple[str, ...]) -> Path:
    """Compile a text, or find what an earlier call or another process made of it."""
    command = ("g++", *FLAGS, *_of_processor(), *flags)
    header = HEADER.read_bytes()
    key = hashlib.sha256(repr((compiler(), platform.machine(), command, header, text)).encode()).hexdigest()[:32]
    path = cache() / key
    if path.exists():
        return path
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        made = Path(folder, "made")
        line = [*command, "-include", str(_header(command, cache())), "-x", "c++", "-", "-o", str(made)]
        done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"g++ does not compile the kernel:\n{done.stderr}")
        os.replace(made, path)  # at once: others may be making the same
    return path


@functools.cache
def _header(command: tuple[str, ...], shelf: Path) -> Path:
    """A copy of the header with what g++ made of it for these flags: half of the time of a kernel is reading it."""
    key = hashlib.sha256(repr((compiler(), command, HEADER.read_bytes())).encode()).hexdigest()[:32]
    folder = shelf / f"header-{key}"
    if not folder.exists():
        made = Path(tempfile.mkdtemp(dir=shelf))
        copy = shutil.copy(HEADER, made)
        flags = [flag for flag in command if flag != "-shared"]
        subprocess.run([*flags, "-x", "c++-header", copy, "-o", f"{copy}.gch"], check=True, capture_output=True)
        try:
            made.rename(folder)
        except OSError:  # another was first
            shutil.rmtree(made)
    return folder / HEADER.name


@functools.cache
def cache() -> Path:
    """A folder of this user, where all processes find what one has compiled."""
    folder = Path(tempfile.gettempdir(), f"statespace-kernels-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder if folder.stat().st_uid == os.getuid() else Path(tempfile.mkdtemp())


def _of_processor() -> tuple[str, ...]:
    try:
        fma = " fma " in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        fma = False
    return ("-mfma",) if fma and platform.machine() == "x86_64" else ()


def _with_macros(source: str, options: tuple[str, ...]) -> str:
    """Macros of the options in front of a text, behind the header, whose own names they must not change."""
    lines = []
    for option in options:
        if not option.startswith(("-D", *OF_NVRTC)):
            raise ValueError(f"an option that nobody foresaw: {option}; headers are pasted, macros are -DNAME=VALUE")
        if option.startswith("-D") and option not in _of_header(options):
            name, _, value = option.removeprefix("-D").partition("=")
            lines.append(f"#define {name} {value or 1}\n")
    return "".join(lines) + '#line 1 "kernel.cu"\n' + source


def _of_header(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(option for option in options if option.startswith("-DEMULATED_"))


def run_under_sanitizer(
    source: str,
    options: tuple[str, ...],
    kernel: str,
    grid: tuple[int, int, int],
    block: int,
    shared: int,
    arguments: tuple[Any, ...],
    timeout: float = 120.0,
) -> tuple[bool, str]:
    """Run a kernel on threads of the host under -fsanitize=thread, with eager and with lazy copies.

    Arguments are arrays of NumPy, its scalars, and None for a null pointer: those of a launch that `pretend.recorded`
    has seen, too. Returns whether nothing was found, and the report.

    Raises
    ------
    RuntimeError
        The kernel does not compile, or the sanitizer does not run on this machine.
    """
    flags = (*_of_header(options), *THREADS, "-g", "-fsanitize=thread")
    program = built(f"{_with_macros(source, options)}\nEMULATED_MAIN({kernel})\n", flags)
    texts = []
    with tempfile.TemporaryDirectory() as folder:
        files = _written(Path(folder), arguments)
        for mode in (card.EAGER, card.LAZY):
            words = [str(program), *map(str, (*grid, block, shared, mode)), *files]
            clean, text = _sanitized(words, timeout)
            if not clean:
                texts.append(f"{'lazy' if mode == card.LAZY else 'eager'} copies:\n{text}")
    return not texts, "\n".join(texts)


def _written(folder: Path, arguments: tuple[Any, ...]) -> list[str]:
    """Write what the arguments lie in to files, views of one array to one; an offset and a file for each."""
    words = []
    for i, value in enumerate(arguments):
        if value is None or value.size == 0:
            words += ["0", "-"]
            continue
        array = value if isinstance(value, np.ndarray) else np.array(value)
        low, memory = card.memory_of(card.root_of(array))
        file = folder / (str(low) if isinstance(value, np.ndarray) else f"value {i}")
        file.write_bytes(memory.tobytes())
        words += [str(array.ctypes.data - low), str(file)]
    return words


def _sanitized(words: list[str], timeout: float) -> tuple[bool, str]:
    environment = os.environ | {"TSAN_OPTIONS": "exitcode=66"}
    for prefix in ([], ["setarch", "-R"]):  # some kernels place memory where this sanitizer does not expect it
        try:
            done = subprocess.run([*prefix, *words], env=environment, capture_output=True, text=True, timeout=timeout)
        except FileNotFoundError:
            continue
        except subprocess.TimeoutExpired:  # threads of a warp that went apart wait for each other for ever
            return False, f"no end within {timeout} s"
        if "unexpected memory mapping" not in done.stderr:
            return done.returncode == 0, done.stderr
    raise RuntimeError(f"the thread sanitizer does not run on this machine: {done.stderr}")
