"""Floor 1: the CUDA twins of `statespace.cpu`. Here for now: the door, which says what is missing."""

from __future__ import annotations

from typing import Any


def require_cupy() -> Any:
    """Return the CuPy module, or say how to install it.

    Raises
    ------
    ImportError
        CuPy is not installed, or does not import.
    """
    try:
        import cupy
    except ImportError as error:
        raise ImportError(
            f"the GPU engine needs CuPy, which does not import here ({error}); "
            'install it with: python -m pip install "cupy-cuda13x[ctk]" (CUDA 13, NVIDIA driver 580 or newer)'
        ) from error
    return cupy
