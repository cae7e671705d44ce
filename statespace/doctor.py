"""Floor 5: what this machine has for the engines, and what is missing: `python -m statespace doctor`."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Lines = list[tuple[str, str]]

_REQUIRED = {"NumPy": "numpy", "SciPy": "scipy", "numba": "numba", "llvmlite": "llvmlite"}


def examine() -> tuple[Lines, bool]:
    """Look at everything, and run a loop on the CPU and, where there is one, a kernel on the GPU.

    Returns
    -------
    lines : list of pairs
        A name and what was found; where something is missing, what to install.
    well : bool
        Whether the engine of the CPU works. A GPU may be missing.

    Notes
    -----
    Nothing is raised: an error is an answer. CuPy is imported where it is installed, and the loop is compiled where
    the cache has none, so this takes seconds.
    """
    questions: dict[str, Callable[[], str]] = {
        "statespace": _own_version,
        "Python": lambda: f"{platform.python_version()} ({platform.python_implementation()}, {platform.platform()})",
        **{name: partial(_version, package) for name, package in _REQUIRED.items()},
        "processor": _processor,
        "threads": _threads,
        "cache": _cache,
        "CPU engine": _tried,
    }
    lines = [(name, _asked(ask)) for name, ask in questions.items()]
    well = not any(answer.startswith(("missing: ", "failed: ")) for _, answer in lines)
    return lines + _gpu(), well


def table(lines: Lines) -> str:
    """Write names and answers as two aligned columns."""
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {answer}" for name, answer in lines)


def _asked(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception as error:
        return f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}"


def _own_version() -> str:
    try:
        return f"{version('statespace-toolkit')} in {Path(__file__).parent}"
    except PackageNotFoundError:
        return f"in {Path(__file__).parent}, which is not installed"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"missing: install it with: python -m pip install {package}"


def _processor() -> str:
    from statespace.cpu.processor import processor

    return processor()


def _threads() -> str:
    from statespace.cpu import thread_count

    asked = os.environ.get("STATESPACE_THREADS", "")
    return f"{thread_count()}, " + (f"as STATESPACE_THREADS={asked} says" if asked else "STATESPACE_THREADS is not set")


def _cache() -> str:
    """Where numba keeps the loops that it has compiled: it takes a folder only where it can write."""
    from statespace.cpu import diagonal_steps

    folder = getattr(diagonal_steps, "stats").cache_path  # noqa: B009 -- a dispatcher of numba, for mypy a function
    if folder is None:
        return "none: no folder is writable, so every process compiles anew; set NUMBA_CACHE_DIR to one that is"
    return f"{folder}, writable"


def _tried() -> str:
    """Run x_{k+1} = x_k / 2 + 1, y_k = x_k for three samples."""
    import numpy as np

    from statespace.cpu import diagonal_steps

    one, x, y = np.ones((1, 1, 1)), np.zeros((1, 1)), np.empty((1, 3, 1))
    which, u, states = np.zeros(1, np.int64), np.ones((1, 3, 1)), np.empty((1, 0, 1))
    diagonal_steps(0.5 * one[0], one, one, 0 * one, which, u, x, y, states)
    found = y.ravel().tolist()
    return "works" if found == [0.0, 1.0, 1.5] else f"failed: a lag gave {found}, not [0, 1, 1.5]; install numba again"


def _gpu() -> Lines:
    """Lines of the engine of the GPU, which may be missing."""
    try:
        from statespace.gpu.survey import survey
    except ModuleNotFoundError as error:  # `gpu` lies beside the package in a repository
        return [
            ("GPU engine", f"not found ({error}); where it was installed from a repository, ask from another folder")
        ]
    return survey()
