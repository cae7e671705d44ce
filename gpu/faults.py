"""What stops the GPU engine on a machine, and what to install.

CuPy imports without a driver and without NVRTC, the compiler that turns a kernel's text into code. It meets the first
when an array is made, the second when anything is compiled, its own sums and products included: so who has arrays of
CuPy has a driver and a card, and can still lack a compiler that fits them. Nothing is asked before a kernel is wanted.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

OLDEST_CARD = 75  # compute capability 7.5: what CUDA 13 compiles for, and what the kernels are compiled for in tests
DRIVERS = {12: 525, 13: 580}  # the first release of the driver that runs a CUDA of this number
INSTALL = 'python -m pip install "cupy-cuda13x[ctk]"'


def require_cupy() -> Any:
    """Return the CuPy module, or say how to install it.

    Raises
    ------
    ImportError
        CuPy is not installed, or does not import.
    """
    try:
        import cupy
    except Exception as error:  # an installation that is damaged may raise anything
        raise ImportError(
            f"the GPU engine needs CuPy, which does not import here ({first_line(error)}); "
            f"install it with: {INSTALL} (CUDA 13, NVIDIA driver 580 or newer)"
        ) from error
    return cupy


def require_device() -> Any:
    """Return the CuPy module where it has a card to work on and a compiler, or say what is missing.

    A door that takes arrays of CuPy asks this before it does anything with them: a product of two of them without NVRTC
    ends in CuPy's own words, which do not say what to install.

    Raises
    ------
    ImportError
        CuPy is not installed, or does not import.
    RuntimeError
        There is no driver, no card, or no NVRTC, or one is too old for this CuPy.
    """
    cupy = require_cupy()
    _require_parts(cupy)
    return cupy


@cache  # an error is not kept: what was missing may be installed by then
def _require_parts(cupy: Any) -> None:
    missing = why_no_compiler(cupy) if cupy.cuda.is_available() else why_no_device(cupy)
    if missing:
        raise RuntimeError(f"the GPU engine cannot run: {missing}")


def why_no_device(cupy: Any) -> str:
    """Why CuPy has nothing to work on, and what to install."""
    driver, built = cupy.cuda.runtime.driverGetVersion(), built_for(cupy)
    wanted = f"install NVIDIA driver {DRIVERS.get(built, 580)} or newer"
    if driver == 0:
        return f"CuPy {cupy.__version__} finds no NVIDIA driver; {wanted} (start a container with --gpus all)"
    if driver // 1000 < built:
        older = (
            f'python -m pip uninstall cupy-cuda{built}x, then python -m pip install "cupy-cuda{driver // 1000}x[ctk]"'
        )
        return (
            f"CuPy {cupy.__version__} is built for CUDA {built}, the NVIDIA driver is for CUDA {dotted(driver)}; "
            f"{wanted}, or the CuPy of this driver: {older}"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        f"CuPy {cupy.__version__} finds an NVIDIA driver (CUDA {dotted(driver)}) and no card; `nvidia-smi -L` lists "
        f"what is there, CUDA_VISIBLE_DEVICES is {'not set' if visible is None else repr(visible)}"
    )


def why_no_compiler(cupy: Any) -> str:
    """Why nothing can be compiled, whatever the card, and what to install; empty where NVRTC is there."""
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        return (
            f"NVRTC, which compiles the kernels, is not there ({first_line(error)}); "
            f'install it with: python -m pip install "cupy-cuda{built_for(cupy)}x[ctk]"'
        )
    return ""


def why_not_compiled(cupy: Any, file: str, error: Exception) -> str:
    """Why a kernel did not become code for the current card, and what to install."""
    version, device = cupy.cuda.nvrtc.getVersion(), cupy.cuda.Device()
    name, capability = card_name(cupy, device.id), int(device.compute_capability)
    reason = _misfit(cupy, version, capability, error)
    if reason:
        return f"{file} cannot run on {name}: {reason}"
    return (
        f"{file} did not compile for {name} (compute capability {capability / 10}) with NVRTC {version[0]}."
        f"{version[1]} and CuPy {cupy.__version__}; please report it, with what `python -m statespace doctor` prints. "
        f"The compiler said:\n{error}"
    )


def _misfit(cupy: Any, version: tuple[int, int], capability: int, error: Exception) -> str:
    """What of NVRTC, the card and the driver does not fit the others; empty where all do."""
    compiler, driver = f"NVRTC {version[0]}.{version[1]}", int(cupy.cuda.runtime.driverGetVersion())
    if "libnvrtc-builtins" in str(error):
        return (
            f"a part of {compiler} is not there ({first_line(error)}); install it again: "
            f'python -m pip install --force-reinstall "nvidia-cuda-nvrtc=={version[0]}.{version[1]}.*"'
        )
    if capability < OLDEST_CARD and version >= (13, 0):
        return (
            f"the card has compute capability {capability / 10}, {compiler} compiles for 7.5 (Turing) or newer; use a "
            f"newer card. CUDA 12 still knows this one, untested: {_other_cupy(built_for(cupy), 12)}"
        )
    if "CUDA_ERROR" in str(error) and 1000 * version[0] + 10 * version[1] > driver:
        package = "nvidia-cuda-nvrtc" if driver >= 13000 else f"nvidia-cuda-nvrtc-cu{driver // 1000}"
        return (
            f"{compiler} is newer than the NVIDIA driver, which knows CUDA {dotted(driver)} ({first_line(error)}); "
            f'install a newer driver, or an older compiler: python -m pip install "{package}=={dotted(driver)}.*"'
        )
    return ""


def card_name(cupy: Any, device: int) -> str:
    name = cupy.cuda.runtime.getDeviceProperties(device)["name"]
    return str(name.decode(errors="replace")) if isinstance(name, bytes) else str(name)


def built_for(cupy: Any) -> int:
    """Return the CUDA that CuPy is built for, 12 or 13; it is in the name of its package."""
    return int(cupy.cuda.runtime.runtimeGetVersion()) // 1000


def dotted(version: int) -> str:
    """13020 is CUDA 13.2."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _other_cupy(now: int, then: int) -> str:
    return f'python -m pip uninstall cupy-cuda{now}x, then python -m pip install "cupy-cuda{then}x[ctk]"'


def first_line(error: BaseException) -> str:
    """Return the first line of a message that says something, 120 characters of it at most."""
    lines = (line.strip(" =-") for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)[:120]
