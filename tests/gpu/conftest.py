"""How the tests of this folder run kernels: on a card, on the host by g++ (emulation.h), or not at all.

On a card, unless STATESPACE_EMULATE is set. Which of them it was is a property of each test that asks for `cupy`.
"""

import ctypes
import functools
import os

import card
import host_build
import pretend
import pytest


@functools.cache
def way():
    """One of "card", "host" and "none", and a sentence about it."""
    name = _card()
    if name and not os.environ.get("STATESPACE_EMULATE"):
        return "card", f"on {name}"
    reason = "STATESPACE_EMULATE is set" if name else "no CUDA device"
    if host_build.compiler():
        return "host", f"emulated on fibres by {host_build.compiler()} ({reason})"
    return "none", f"not run: {reason}, and no g++ 12 or newer that could emulate one"


def _card():
    """Return the name of the card, or None. Without a driver CuPy is not even imported."""
    try:
        ctypes.CDLL("libcuda.so.1")
        import cupy
    except (OSError, ImportError):
        return None
    if not cupy.cuda.is_available():
        return None
    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


def pytest_collection_modifyitems(items):
    for item in items:
        if "cupy" in getattr(item, "fixturenames", ()):
            item.user_properties.append(("GPU kernels", way()[1]))


def pytest_runtest_setup(item):
    card.machine.reset()


@pytest.fixture(scope="module")
def cupy():
    """CuPy, or what stands for it, which `import cupy` finds while tests of the module run."""
    kind, sentence = way()
    if kind == "none":
        pytest.skip(f"GPU kernels: {sentence}")
    if kind == "card":
        import cupy

        yield cupy
    else:
        with pytest.MonkeyPatch.context() as patch:
            yield pretend.install(patch)


@pytest.fixture(scope="module")
def pretended():
    """What stands for CuPy, on any machine with g++."""
    if host_build.compiler() is None:
        pytest.skip("needs g++ 12 or newer")
    with pytest.MonkeyPatch.context() as patch:
        yield pretend.install(patch)
