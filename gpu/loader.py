"""From the text of a kernel to a launch: pasted headers, one module per file and element type, the current stream.

Nothing is built at installation: CuPy hands the text to NVRTC at the first call, which takes 0.3 to 1 s, and keeps the
code on disk. Its key there is the text but not what the text includes, so headers are pasted into it.

With STATESPACE_STRICT_FLOAT=1 in the environment products and sums are rounded one by one (-fmad=false), as a plain C++
program on the host rounds them: slower, for finding out where two numbers come to differ. It is read when a kernel is
compiled.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from statespace.gpu.faults import require_device, why_not_compiled

Defines = tuple[tuple[str, str | int], ...]

_INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')


def kernel(file: str, entry: str, defines: Defines) -> Any:
    """Return an entry point of a .cu file of this folder, compiled for the current device on first use.

    Parameters
    ----------
    file, entry : str
        ``"selective.cu"`` and the name of an ``extern "C" __global__`` function in it.
    defines : tuple of pairs
        Macros, as ``(("REAL", "float"), ("STATES", 16))``. All entry points of a file are compiled together, once for
        each set.

    Raises
    ------
    ImportError
        CuPy is missing.
    RuntimeError
        There is no driver, no card, or no NVRTC, or one does not fit the others: the message says what to install.
    """
    cupy = require_device()
    return _entry(cupy, file, entry, defines, cupy.cuda.Device().id)


@cache
def _entry(cupy: Any, file: str, entry: str, defines: Defines, device: int) -> Any:
    return compiled(cupy, _module(cupy, file, defines, device), file, entry)


@cache
def _module(cupy: Any, file: str, defines: Defines, device: int) -> Any:
    del device  # a part of the key: code is for one card
    return cupy.RawModule(code=source(file), options=options(defines))


def compiled(cupy: Any, module: Any, file: str, entry: str) -> Any:
    """Return an entry point of a module, which CuPy compiles here."""
    try:
        return module.get_function(entry)
    except Exception as error:  # CuPy's, NVRTC's, the driver's, or of what looks for libraries
        raise RuntimeError(why_not_compiled(cupy, file, error)) from error


def options(defines: Defines) -> tuple[str, ...]:
    """Return what NVRTC is told. CuPy adds -ftz=true in any case: said here, it holds for every other way too."""
    strict = os.environ.get("STATESPACE_STRICT_FLOAT", "") not in ("", "0")
    return (
        "-std=c++17",
        "-ftz=true",
        *(("-fmad=false",) if strict else ()),
        *(f"-D{name}={value}" for name, value in defines),
    )


def source(file: str, folder: Traversable | None = None) -> str:
    """Return the text of a file of this folder, every header in the place of its first #include.

    Lines are numbered as in the files that they come from. Headers belong to the top of a file, not under an #if: what
    is pasted once is not pasted again. Comments keep ASCII letters only, as CuPy writes the text to a file in the
    encoding of the machine.
    """
    text = _pasted(file, folder or files("statespace.gpu"), set())
    return re.sub(r"[^\x00-\x7f]", "~", text)


def _pasted(file: str, folder: Traversable, seen: set[str]) -> str:
    seen.add(file)
    lines = [f'#line 1 "{file}"']
    for number, line in enumerate(folder.joinpath(file).read_text(encoding="utf-8").splitlines(), 1):
        header = _INCLUDE.match(line)
        if header is None:
            lines.append(line)
        elif header[1] in seen:
            lines.append("")
        else:
            lines += [_pasted(header[1], folder, seen), f'#line {number + 1} "{file}"']
    return "\n".join(lines)


def launch(function: Any, grid: tuple[int, int, int], block: int, arguments: tuple[Any, ...], shared: int = 0) -> None:
    """Start a kernel on CuPy's current stream and come back at once; an empty grid starts nothing.

    Parameters
    ----------
    function
        From `kernel`.
    grid : tuple of int
        Blocks along x, y and z; y and z are 65,535 at most.
    block : int
        Threads of a block.
    arguments : tuple
        Arrays of CuPy as pointers to their first number (strides are for the caller to pass), NumPy scalars by value,
        and None as a null pointer.
    shared : int
        Bytes of shared memory of a block, 48 KB at most.
    """
    if 0 in grid:
        return
    function(grid, (block,), tuple(np.uintp(0) if a is None else a for a in arguments), shared_mem=shared)


def multiprocessors() -> int:
    """Count the multiprocessors of the current device."""
    cupy = require_device()
    return _multiprocessors(cupy, cupy.cuda.Device().id)


@cache
def _multiprocessors(cupy: Any, device: int) -> int:
    return int(cupy.cuda.Device(device).attributes["MultiProcessorCount"])
