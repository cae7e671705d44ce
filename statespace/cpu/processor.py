"""The processor that the loops are compiled for, in LLVM's words."""

from __future__ import annotations

from llvmlite import binding
from numba import config

_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sse2": "SSE2", "sve": "SVE", "neon": "NEON"}


def processor() -> str:
    """Name of the processor and of the widest vectors that it has; what NUMBA_CPU_NAME says goes first."""
    name = config.CPU_NAME or binding.get_host_cpu_name()
    has = binding.get_host_cpu_features()
    asked = str(config.CPU_FEATURES or "").split(",") if config.CPU_FEATURES is not None else None
    widest = next((word for key, word in _VECTORS.items() if _in(key, has, asked)), "no vectors that are known here")
    return f"{name}, {widest}"


def _in(feature: str, has: dict[str, bool], asked: list[str] | None) -> bool:
    return bool(has.get(feature)) if asked is None else f"+{feature}" in asked
