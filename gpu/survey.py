"""What a machine has for the GPU engine, line by line: for `python -m statespace doctor`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from statespace.gpu.faults import card_name, dotted, first_line, require_cupy, why_no_compiler, why_no_device
from statespace.gpu.loader import compiled, launch, options

_PROBE = """extern "C" __global__ void probe(float *y) { y[threadIdx.x] = 3.0f * threadIdx.x; }
"""


def survey() -> list[tuple[str, str]]:
    """Pairs of a name and what was found, with what to install where something is missing; raises nothing."""
    try:
        cupy = require_cupy()
    except ImportError as error:
        return [("CuPy", f"missing: {error}"), ("GPU engine", "off; everything else runs without it")]
    return [
        ("CuPy", _told(lambda: f"{cupy.__version__}, built for CUDA {dotted(cupy.cuda.runtime.runtimeGetVersion())}")),
        ("driver", _told(lambda: _driver(cupy))),
        ("NVRTC", _told(lambda: _compiler(cupy))),
        *_devices(cupy),
        ("GPU engine", _told(lambda: _tried(cupy))),
    ]


def _told(ask: Callable[[], str]) -> str:
    """Return an answer in one line; where none comes, the error."""
    try:
        return ask()
    except Exception as error:
        return f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}"


def _driver(cupy: Any) -> str:
    if not cupy.cuda.is_available():
        return f"missing: {why_no_device(cupy)}"
    return f"knows CUDA {dotted(cupy.cuda.runtime.driverGetVersion())}"


def _compiler(cupy: Any) -> str:
    missing = why_no_compiler(cupy)
    return f"missing: {missing}" if missing else "{}.{}".format(*cupy.cuda.nvrtc.getVersion())


def _devices(cupy: Any) -> list[tuple[str, str]]:
    try:
        count = cupy.cuda.runtime.getDeviceCount() if cupy.cuda.is_available() else 0
    except Exception as error:
        return [("devices", f"failed: {first_line(error)}")]
    return [(f"device {i}", _told(partial(_device, cupy, i))) for i in range(count)]


def _device(cupy: Any, device: int) -> str:
    has = cupy.cuda.runtime.getDeviceProperties(device)
    return (
        f"{card_name(cupy, device)}, compute capability {has['major']}.{has['minor']}, "
        f"{has['totalGlobalMem'] / 2**30:.1f} GiB, {has['multiProcessorCount']} multiprocessors"
    )


def _tried(cupy: Any) -> str:
    """Compile a kernel of one line, run it and look at what it wrote."""
    if not cupy.cuda.is_available() or why_no_compiler(cupy):
        return "off, for what is missing above; everything else runs without it"
    module = cupy.RawModule(code=_PROBE, options=options(()))
    y = cupy.empty(32, cupy.float32)
    launch(compiled(cupy, module, "a first kernel", "probe"), (1, 1, 1), 32, (y,))
    right = cupy.asnumpy(y).tolist() == [3.0 * i for i in range(32)]
    return "works" if right else "failed: a kernel of one line gave wrong numbers; is the card in order?"
