"""What stands for CuPy refuses what CuPy refuses, and counts every way to the host."""

import importlib.util
import subprocess
import sys

import card
import host_build
import numpy as np
import pretend
import pytest


def on_device(*shape, kind=np.float32):
    return pretend.cupy.asarray(np.arange(1.0, 1 + np.prod(shape)).reshape(shape).astype(kind))


# ------------------------------------------------------------ arrays


@pytest.mark.parametrize(
    ("mix", "error"),
    [
        (lambda x, n: x + n, TypeError),
        (lambda x, n: n + x, TypeError),
        (lambda x, n: n @ x, TypeError),
        (lambda x, n: x == n, TypeError),
        (lambda x, n: np.add(n, x), TypeError),
        (lambda x, n: np.add(n, 1, out=x), TypeError),
        (lambda x, n: np.add(x, 1, out=n), TypeError),
        (lambda x, n: np.add.reduce(x), TypeError),
        (lambda x, n: x.__iadd__(n), TypeError),
        (lambda x, n: n.__iadd__(x), TypeError),
        (lambda x, n: x * [1, 2, 3], TypeError),
        (lambda x, n: x + "1", TypeError),
        (lambda x, n: np.asarray(x), TypeError),
        (lambda x, n: np.array([x, x]), TypeError),
        (lambda x, n: n.__setitem__(0, x[0]), TypeError),
        (lambda x, n: np.concatenate([x, n]), TypeError),
        (lambda x, n: np.testing.assert_allclose(x, n), TypeError),
        (lambda x, n: np.linalg.solve(n, x), TypeError),
        (lambda x, n: pretend.cupy.where(n > 0, x, x), TypeError),
        (lambda x, n: pretend.cupy.sum(n), TypeError),
        (lambda x, n: pretend.cupy.sum([1, 2]), TypeError),
        (lambda x, n: pretend.cupy.stack([[1, 2], [3, 4]]), TypeError),
        (lambda x, n: pretend.cupy.exp(n), TypeError),
        (lambda x, n: pretend.cupy.exp([1.0]), TypeError),
        (lambda x, n: pretend.cupy.zeros_like(n), TypeError),
        (lambda x, n: x.__setitem__(0, n[0]), ValueError),
        (lambda x, n: x.__setitem__(0, [1, 2, 3]), TypeError),
        (lambda x, n: x.set([[1] * 3] * 3), TypeError),
        (lambda x, n: x.set(n[0]), ValueError),
        (lambda x, n: x.get(out=n[0]), TypeError),
        (lambda x, n: hash(x), TypeError),
        (lambda x, n: range(x[0, 0]), TypeError),
        (lambda x, n: bool(x), ValueError),
        (lambda x, n: pretend.cupy.asarray("text"), ValueError),
        (lambda x, n: pretend.cupy.asarray([None]), ValueError),
        (lambda x, n: pretend.cupy.empty(3, np.longdouble), ValueError),
        (lambda x, n: x.astype(object), ValueError),
        (lambda x, n: pretend.cupy.ndarray((3,), memptr=1), NotImplementedError),
        (lambda x, n: pretend.cupy.insert, AttributeError),
        (lambda x, n: pretend.cupy.max(x, initial=0), TypeError),
        (lambda x, n: x.sum(where=x > 2), TypeError),
        (lambda x, n: pretend.cupy.add(x, x, where=x > 2), TypeError),
        (lambda x, n: pretend.cupy.fft.fft(x, out=x), TypeError),
        (lambda x, n: x.flags.writeable, AttributeError),
        (lambda x, n: x.setflags, AttributeError),
        (lambda x, n: x.ctypes, AttributeError),
    ],
)
def test_arrays_refuse_what_those_of_cupy_refuse(mix, error):
    x, n = on_device(3, 3, kind=np.float64), np.ones((3, 3))
    with pytest.raises(error):
        mix(x, n)


def test_arrays_compute():
    cupy, n = pretend.cupy, np.arange(1.0, 7.0).reshape(2, 3)
    x = cupy.asarray(n)
    for result, wanted in [
        (2 * x + np.float32(1), 2 * n + 1),
        (x @ x.T, n @ n.T),
        (np.exp(x), np.exp(n)),
        (cupy.concatenate([x, x], axis=1), np.concatenate([n, n], axis=1)),
        (cupy.where(x > 2, x, 0), np.where(n > 2, n, 0)),
        (x[cupy.asarray([1, 0]), 1:], n[[1, 0], 1:]),
        (x[x > 2], n[n > 2]),
        (cupy.fft.rfft(x), np.fft.rfft(n)),
        (np.fft.irfft(x), np.fft.irfft(n)),
        (cupy.linalg.norm(x, axis=0), np.linalg.norm(n, axis=0)),
        (cupy.einsum("ij,kj->ik", x, x), np.einsum("ij,kj->ik", n, n)),
        (x.reshape(3, 2).swapaxes(0, 1), n.reshape(3, 2).swapaxes(0, 1)),
        (cupy.asarray([x, x]), np.asarray([n, n])),
        (cupy.divmod(x, 2)[1], np.divmod(n, 2)[1]),
    ]:
        assert type(result) is cupy.ndarray
        np.testing.assert_array_equal(result.get(), wanted)
        assert result.dtype == wanted.dtype
    assert cupy.fft.rfft(x.astype(np.float32)).dtype == np.complex64
    assert np.isinf((1 / cupy.zeros(1)).get())  # and no warning


def test_numbers_stay_on_the_device():
    cupy, x = pretend.cupy, on_device(3)
    for number in (x[0], x.sum(), cupy.max(x), x.mean() * 2, cupy.allclose(x, x), cupy.exp(1.0), np.sum(x)):
        assert type(number) is cupy.ndarray
        assert number.shape == ()
    x[1][...] = 9
    assert x.tolist() == [1, 9, 3]
    assert float(x[1]) == int(x[1]) == x[1].item() == 9


def test_arrays_share_memory_as_those_of_cupy():
    cupy, x = pretend.cupy, on_device(4, 3)
    view = x[1:].T
    view += 1
    assert view.base is not None
    assert x.sum() == 78 + 9
    assert cupy.asarray(x) is x
    assert cupy.ascontiguousarray(x) is x
    assert x.astype(np.float32, copy=False) is x
    assert not cupy.shares_memory(x.copy(), x)
    assert view.flags.f_contiguous
    assert not view.flags.c_contiguous
    assert not view.flags.owndata
    assert view.data.ptr == x.data.ptr + 12
    host = np.ones(3)
    device = cupy.asarray(host)
    host[0] = 5
    assert device.sum() == 3
    complex_ = cupy.zeros(3, complex)
    complex_.real, complex_.imag = x[:3, 0], 1
    assert complex_.tolist() == [1 + 1j, 5 + 1j, 8 + 1j]


def test_what_statespace_asks_of_an_array():
    x = on_device(3)
    assert type(x).__module__.partition(".")[0] == "cupy"
    assert type(x).__name__ == "ndarray"


# ------------------------------------------------------------ what is counted


def test_ways_to_the_host_are_counted():
    cupy, x = pretend.cupy, on_device(3)
    with card.no_copies():
        (x + 1).sum().astype(int)
    for copy in (
        x.get,
        x.tolist,
        lambda: float(x[0]),
        lambda: bool(x[0]),
        lambda: cupy.asnumpy(x),
        cupy.cuda.Device().synchronize,
    ):
        with pytest.raises(AssertionError, match="copies to the host"), card.no_copies(uploads=True):
            copy()
    for copy in (lambda: cupy.asarray(np.ones(3)), lambda: x[np.array([0])], lambda: x.set(np.ones(3, np.float32))):
        with card.no_copies(uploads=True):
            copy()
        with pytest.raises(AssertionError, match="copies to the host"), card.no_copies():
            copy()
    assert cupy.asnumpy(np.ones(3)).sum() == 3


@pytest.mark.skipif(host_build.compiler() is None, reason="needs g++ 12 or newer")
def test_launches_are_recorded():
    cupy = pretend.cupy
    run = cupy.RawModule(code='extern "C" __global__ void run() {}').get_function("run")
    run((3,), (32,), (), shared_mem=8)
    with cupy.cuda.Stream() as stream:
        run((1,), (64,), ())
    first, second = card.machine.launches
    assert first[:4] == ("run", (3, 1, 1), 32, 8)
    assert (first.stream.ptr, second.stream) == (0, stream)
    assert cupy.cuda.get_current_stream() is first.stream


def test_the_card(pretended):
    import cupy

    assert cupy is pretended is pretend.cupy
    assert cupy.cuda.is_available()
    card.machine.multiprocessors, card.machine.capability = 7, (8, 0)
    with cupy.cuda.Device() as device:
        device.use()
        assert (device.attributes["MultiProcessorCount"], device.compute_capability) == (7, "80")
    card.machine.reset()
    assert cupy.cuda.Device(cupy.cuda.runtime.getDevice()).attributes["MultiProcessorCount"] == 132


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="needs CuPy, without a GPU too")
def test_names_are_those_of_cupy():
    code = """
import cupy, pretend
for kind, names in pretend.NAMES.items():
    where = {"linalg": cupy.linalg, "fft": cupy.fft, "methods": cupy.ndarray}.get(kind, cupy)
    print(*[name for name in names.split() if not hasattr(where, name)])
own = [name for name in vars(pretend.cupy.cuda) if name[0] != "_" and not hasattr(cupy.cuda, name)]
print(*own, *[name for name in vars(pretend.cupy.ndarray) if name[0] != "_" and not hasattr(cupy.ndarray, name)])
"""
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=host_build.HEADER.parent, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == []
