"""The door of SciPy's names: SciPy's own tests through it, and SciPy's shapes, numbers and states."""

import inspect
import json
import os
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy
from scipy import signal

import statespace as ss
from gallery import random_matrices, relative

door = ss.scipy_signal
EPS = np.finfo(float).eps
rng = np.random.default_rng

# --------------------------------------------------------------- SciPy's own tests

THEIRS = Path(signal.__file__).parent / "tests"
CHOSEN = {
    "test_cont2discrete.py": [""],
    "test_ltisys.py": [
        "TestStateSpace::test_operators",
        "TestLsim",
        "TestImpulse",
        "TestStep",
        "Test_bode",
        "Test_freqresp",
    ],
    "test_dltisys.py": ["TestDLTI"],
    "test_signaltools.py": [
        *(f"TestLinearFilterFloat{kind}" for kind in ("32", "64", "Extended")),
        *(f"TestLinearFilterComplex{kind}" for kind in ("64", "128", "Extended")),
        *("test_lfilter_bad_object", "test_lfilter_notimplemented_input", "TestSOSFilt"),
        *("TestFiltFilt", "TestSOSFiltFilt", "test_filtfilt_gust", "TestResample::test_poly_vs_filtfilt"),
    ],
    "test_filter_design.py": ["TestFreqz_sos"],
}
# All of these pass but:
FAILING = {
    "test_cont2discrete.py::TestC2dLti::test_c2d_ss*": "integer matrices come back as floats, SciPy keeps C as it is",
    "test_signaltools.py::TestLinearFilter*::test_invalid_params*": "errors have our words, and integers are data",
    "test_signaltools.py::test_lfilter_notimplemented_input*": "integers are data here, SciPy refuses them",
    "test_signaltools.py::TestLinearFilter*Extended::test_empty_zi*": "long double runs, and comes back, as double",
}
# SciPy's test of "gust" minimises over 120,000 calls of lfilter: that is its reference.
REFERENCES = {"test_filtfilt_gust": ["lfilter"]}


@pytest.mark.skipif(not THEIRS.is_dir(), reason="SciPy was installed without its tests")
@pytest.mark.skipif(not scipy.__version__.startswith("1.17."), reason="the list is that of SciPy 1.17")
def test_scipys_own_tests_pass_through_the_door(tmp_path):
    """With SciPy's functions replaced by ours: all but those on the list, and each of those fails."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # neither our settings nor those of what lies above
    calls = tmp_path / "calls.json"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        "SCIPY_DOOR_FAILING": json.dumps(FAILING),
        "SCIPY_DOOR_REFERENCES": json.dumps(REFERENCES),
        "SCIPY_DOOR_CALLS": str(calls),
    }
    tests = [f"{THEIRS / file}::{name}".removesuffix("::") for file, names in CHOSEN.items() for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-c", tmp_path / "pytest.ini", "-p", "scipy_door", *tests]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    used = json.loads(calls.read_text())
    assert set(used) == set(door.__all__)
    assert min(used.values()) > 0, used


@pytest.mark.parametrize("name", door.__all__)
def test_arguments_have_scipys_names_order_and_defaults(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters.values() for module in (door, signal))
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]


# --------------------------------------------------------------- systems

TF = ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0])
ZPK = ([-1.5, -2.5], [-1 + 2j, -1 - 2j, -0.7], 3.0)
SS = tuple(random_matrices(1, n=3, m=1, p=1))
MIMO = tuple(random_matrices(2, n=4, m=2, p=3))
SIMO_TF = ([[1.0, 2.0, 3.0], [0.0, 0.5, -1.0]], [2.0, 3.0, 4.0, 5.0])
SINGLE = {
    "tf": TF,
    "zpk": ZPK,
    "ss": SS,
    "improper by zeros in front": ([0.0, 0.0, 1.0, 2.0], [0.0, 1.0, 3.0, 4.0]),
    "gain": ([3.0], [2.0]),
    "biproper": ([2.0, 1.0, 3.0], [1.0, 3.0, 4.0]),
    "TransferFunction": signal.lti(*TF),
    "ZerosPolesGain": signal.lti(*ZPK),
    "StateSpace": signal.lti(*SS),
    "scalars": (-1.0, 2.0, 3.0, 0.5),
}
CONTINUOUS = {**SINGLE, "mimo": MIMO, "simo tf": SIMO_TF}

# Systems of three or four states of size 1: both libraries are right to about 10 roundings of an exponential, times
# the condition of companion matrices and of factoring, below 100 here.
CLOSE = 1e-12


def quietly(call, *args, **options):
    """SciPy's answer, without its warnings of leading zeros and of what it casts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **options)


def check(got, wanted, tolerance=CLOSE):
    """The same number of arrays, of the same shapes, with the same numbers."""
    assert len(got) == len(wanted)
    for ours, theirs in zip(got, wanted, strict=True):
        assert np.shape(ours) == np.shape(theirs)
        assert relative(np.asarray(ours), np.asarray(theirs)) < tolerance


def in_order(roots):
    """Sorted by real and imaginary part; the real parts of a pair may differ by a rounding."""
    return np.asarray(sorted(roots, key=lambda q: (round(q.real, 8), q.imag)))


def inputs_of(name):
    return {"mimo": 2}.get(name, 1)


def states_of(name):
    """Of SciPy's state space."""
    return {"mimo": 4, "gain": 1, "scalars": 1, "improper by zeros in front": 2, "biproper": 2}.get(name, 3)


# --------------------------------------------------------------- cont2discrete

METHODS = {
    "zoh": None, "foh": None, "bilinear": None, "tustin": None, "euler": None, "forward_diff": None,
    "backward_diff": None, "impulse": None, "gbt": 0.3,
}  # fmt: skip


FEEDTHROUGH = ("ss", "mimo", "StateSpace", "scalars", "biproper")
FIELDS = {"TransferFunction": "num den dt", "ZerosPolesGain": "zeros poles gain dt", "StateSpace": "A B C D dt"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [n for n in CONTINUOUS if n != "gain"])  # SciPy gives that one a state
def test_cont2discrete_is_scipys(name, method):
    """Matrices entry by entry: in SciPy's coordinates; zeros and poles as sets; numerators with leading zeros."""
    system, alpha = CONTINUOUS[name], METHODS[method]
    if method == "impulse" and name in FEEDTHROUGH:
        with pytest.raises(ValueError, match="without feedthrough"):
            door.cont2discrete(system, 0.2, method, alpha)
        return
    given = tuple(map(np.atleast_2d, system)) if name == "scalars" else system  # SciPy wants matrices
    ours, theirs = (
        door.cont2discrete(system, 0.2, method, alpha),
        quietly(signal.cont2discrete, given, 0.2, method, alpha),
    )
    if isinstance(theirs, signal.dlti):
        assert type(ours) is type(theirs)
        ours, theirs = ([getattr(s, field) for field in FIELDS[name].split()] for s in (ours, theirs))
    if len(theirs) == 4:
        ours, theirs = ([in_order(z), in_order(p), k, dt] for z, p, k, dt in (ours, theirs))
    check(ours, theirs)


def test_cont2discrete_of_an_impulse_needs_no_feedthrough_but_takes_matrices():
    for a, b, c, _ in (SS, MIMO):
        system = (a, b, c, np.zeros((len(c), b.shape[1])))
        check(door.cont2discrete(system, 0.2, "impulse"), signal.cont2discrete(system, 0.2, "impulse"))


def test_cont2discrete_keeps_the_poles_of_a_filter():
    """Order 12 at 1 kHz: from poles to poles nothing is multiplied out; SciPy's companion matrix loses the filter."""
    z, p, k = signal.butter(12, 2 * np.pi * 1000, analog=True, output="zpk")
    zd, pd, kd, _ = door.cont2discrete((z, p, k), 1 / 8000, "bilinear")
    digital = ss.from_zpk(zd, pd, kd, fs=8000)
    omega = 2 * np.pi * np.array([10.0, 500.0, 900.0, 1500.0])
    prewarped = 16000 * np.tan(omega / 16000)
    # Each of twelve pole factors is rounded once in either product.
    assert (
        relative(ss.frequency_response(digital, omega).H, ss.frequency_response(ss.from_zpk(z, p, k), prewarped).H)
        < 1e-13
    )


# --------------------------------------------------------------- lsim, step, impulse

GRIDS = {"from 0": np.linspace(0, 4, 41), "later": np.linspace(1.5, 3, 16), "one": np.array([0.0]), "two": [0.5, 1.0]}


@pytest.mark.parametrize("start", [None, "all", "one number"])
@pytest.mark.parametrize("interp", [True, False])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_lsim_is_scipys(name, grid, interp, start):
    """Output and states, in the coordinates of SciPy's companion form, squeezed as there."""
    system, t, m = CONTINUOUS[name], GRIDS[grid], inputs_of(name)
    x0 = {None: None, "all": rng(3).normal(size=states_of(name)), "one number": 0.5}[start]
    filled = None if x0 is None else np.full(states_of(name), x0)  # which SciPy needs for a later start
    u = rng(0).normal(size=(len(t), m))
    signals = [u, u[:, 0]] if m == 1 else [u]
    for each in [*signals, 0.0, None]:
        theirs = quietly(signal.lsim, system, each, t, X0=filled, interp=interp)
        check(door.lsim(system, each, t, x0, interp), theirs)


@pytest.mark.parametrize("options", [{}, {"N": 7}, {"T": np.linspace(0, 3, 31)}, {"T": [1.0, 1.5, 2.0]}, {"T": [0.5]}])
@pytest.mark.parametrize("kind", ["step", "impulse"])
@pytest.mark.parametrize("name", [n for n in CONTINUOUS if n != "mimo"])
def test_step_and_impulse_are_scipys(name, kind, options):
    """From rest and from a state; the times are chosen as SciPy chooses them."""
    system, ours, theirs = CONTINUOUS[name], getattr(door, kind), getattr(signal, kind)
    check(ours(system, **options), quietly(theirs, system, **options))
    filled = np.full(states_of(name), 2.0) if kind == "step" else 2.0
    check(ours(system, X0=2.0, **options), quietly(theirs, system, X0=filled, **options))


def test_a_time_may_be_a_number():
    check(door.impulse(TF, T=0.5), signal.impulse(TF, T=0.5))
    check(door.step(TF, T=0.5), signal.step(TF, T=[0.5]))


def test_a_state_of_several_numbers_starts_an_impulse():
    """SciPy adds a row to a column there, and fails; the response is the sum of the two."""
    t, x0 = np.linspace(0, 3, 31), [1.0, -2.0, 0.5]
    free = signal.lsim(TF, None, t, x0)[1]
    check([door.impulse(TF, X0=x0, T=t)[1]], [signal.impulse(TF, T=t)[1] + free])


def test_a_filter_of_order_20_stays_one():
    """Through its cascade: the coefficients of a companion matrix, as SciPy has it, know five digits of this one."""
    z, p, k = signal.cheby1(20, 1, 2 * np.pi * 1000, analog=True, output="zpk")
    t, u = np.arange(400) / 16000, rng(0).normal(size=400)
    cascade = ss.simulate(ss.from_zpk(z, p, k), u, t=t, hold="foh").y
    assert np.array_equal(door.lsim((z, p, k), u, t)[1], cascade)
    assert relative(quietly(signal.lsim, (z, p, k), u, t)[1], cascade) > 1e-6
    assert np.array_equal(door.step((z, p, k), T=t)[1], ss.step_response(ss.from_zpk(z, p, k), t=t).y)


def test_integers_are_numbers():
    """SciPy computes `lsim` of integer matrices in integers: 0 all along."""
    whole = (np.array([[0, 1], [-4, -1]]), np.array([[0], [1]]), np.array([[1, 0]]), np.array([[0]]))
    t = np.linspace(0, 2, 5)
    assert not signal.lsim(whole, np.ones(5, int), t)[1].any()
    check(door.lsim(whole, np.ones(5, int), t), signal.lsim([m.astype(float) for m in whole], np.ones(5), t))


# --------------------------------------------------------------- dlsim

DISCRETE = {
    name: quietly(signal.cont2discrete, CONTINUOUS[name], 0.2) for name in ("tf", "zpk", "ss", "mimo", "simo tf")
}
DISCRETE |= {f"dlti {name}": quietly(signal.dlti, *DISCRETE[name][:-1], dt=0.2) for name in ("tf", "zpk", "ss", "mimo")}


STAMPS = {
    "none": None,
    "twice as fine": np.linspace(0, 6.4, 65),
    "four in all": [0.0, 0.7, 2.0, 6.4],
    "late": [0.3, 2.0, 6.4],
}


@pytest.mark.parametrize("start", [None, "all", "one number"])
@pytest.mark.parametrize("stamps", STAMPS)
@pytest.mark.parametrize("name", DISCRETE)
def test_dlsim_is_scipys(name, stamps, start):
    """Output always in two axes, states for matrices only, the input on lines between its stamps and beyond them."""
    system, t, m = DISCRETE[name], STAMPS[stamps], 2 if "mimo" in name else 1
    u = rng(0).normal(size=(30 if t is None else len(t), m))
    x0 = {None: None, "all": rng(3).normal(size=4 if m == 2 else 3), "one number": 0.5}[start]
    for each in (u, u[:, 0]) if m == 1 else (u,):
        check(door.dlsim(system, each, t, x0), quietly(signal.dlsim, system, each, t, x0))


def test_dlsim_keeps_the_last_sample():
    """0.3/0.1 is 2.9999…: four stamps in, four out, at their times; SciPy answers with three, at others."""
    lag, stamps, u = ([[0.9]], [[0.1]], [[1.0]], [[0.0]], 0.1), [0.0, 0.1, 0.2, 0.3], np.arange(4.0)
    assert len(signal.dlsim(lag, u, stamps)[0]) == 3
    check(door.dlsim(lag, u, stamps), [stamps, *signal.dlsim(lag, u)[1:]])


def test_dlsim_keeps_complex_states():
    turning = ([[0.5j]], [[1.0]], [[1.0]], [[0.0]], 1.0)
    _, y, x = door.dlsim(turning, np.ones(4))
    assert y.ravel().tolist() == x.ravel().tolist() == [0, 1, 1 + 0.5j, 0.75 + 0.5j]


def test_dlsim_of_an_unspecified_step_counts_samples():
    check(
        door.dlsim(signal.dlti([1.0], [1.0, -0.5]), np.ones(5)),
        signal.dlsim(signal.dlti([1.0], [1.0, -0.5]), np.ones(5)),
    )


# --------------------------------------------------------------- freqresp, bode


@pytest.mark.parametrize("options", [{}, {"n": 17}, {"w": [0.0, 0.3, 2.0, 50.0]}, {"w": 9}, {"w": 1.5}])
@pytest.mark.parametrize("name", SINGLE)
def test_freqresp_and_bode_are_scipys(name, options):
    system = SINGLE[name]
    check(door.freqresp(system, **options), quietly(signal.freqresp, system, **options))
    ours, theirs = door.bode(system, **options), quietly(signal.bode, system, **options)
    check(ours[:1], theirs[:1])
    # dB and degrees are logarithms and angles: what is CLOSE in H is 9 CLOSE in one and 57 CLOSE in the other.
    assert np.abs(ours[1] - theirs[1]).max() < 10 * CLOSE * max(1.0, np.abs(theirs[1]).max())
    assert np.abs(ours[2] - theirs[2]).max() < 60 * CLOSE * max(1.0, np.abs(theirs[2]).max())


def test_an_undamped_plant_turns_to_minus_180():
    """As in SciPy, whatever the form; matrices gave +180."""
    fraction = ([1.0], [1.0, 0, 4.0])
    for system in (([[0.0, 1], [-4, 0]], [[0.0], [1]], [[1.0, 0]], [[0.0]]), fraction):
        np.testing.assert_allclose(door.bode(system, [1.0, 3.0])[2], signal.bode(fraction, [1.0, 3.0])[2])
    assert signal.bode(fraction, [1.0, 3.0])[2].tolist() == [0.0, -180.0]


def test_an_integrator_is_infinite_at_zero():
    with np.errstate(all="raise"):
        assert door.freqresp(([1.0], [1.0, 0.0]), [0.0])[1][0] == np.inf
        assert door.bode(([1.0, 0.0], [1.0, 1.0]), [0.0, 1.0])[1][0] == -np.inf


# --------------------------------------------------------------- filters


def sections_of(kind):
    return {
        "order 8": signal.butter(8, 0.2, output="sos"),
        "order 5": signal.cheby1(5, 1, 0.3, output="sos"),
        "band": signal.ellip(4, 1, 40, [0.2, 0.4], "bandpass", output="sos"),
        "one": signal.butter(2, 0.3, output="sos"),
        "first order": signal.butter(1, 0.3, output="sos"),
        "FIR and gain": np.array([[1, 2, 3, 1, 0, 0], [2, 0, 0, 1, 0, 0], [0, 1.0, 0, 1, -0.5, 0]]),
        "nothing": np.array([[0.0, 0, 0, 1, -0.5, 0.1]]),
        "float32": signal.butter(4, 0.3, output="sos").astype(np.float32),
        "complex": signal.butter(2, 0.3, output="sos") * np.array([1, 1j, 1, 1, 1, 0.5 + 0.2j]),
    }[kind]


SOS = ("order 8", "order 5", "band", "one", "first order", "FIR and gain", "nothing", "float32", "complex")
KINDS = (np.float32, np.float64, np.complex64, np.complex128, np.int64)


def close(got, wanted, tolerance=1e-13):
    """Shape, type and numbers: to 1e-13 of the largest (coefficients are known to eps, and 1/den is below 100), or to
    ten roundings of float32 where the answer is in it, in which SciPy computes and we do not.
    """
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    narrow = got.dtype.itemsize <= (8 if got.dtype.kind == "c" else 4)
    assert relative(got, wanted) < (10 * np.finfo(np.float32).eps if narrow else tolerance)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("kind", SOS)
def test_sosfilt_is_scipys(kind, dtype):
    """Along every axis, with and without a state, which is SciPy's number by number."""
    sos, x = sections_of(kind), (10 * rng(0).normal(size=(30, 6, 5))).astype(dtype)
    for axis in (0, 1, -1):
        close(door.sosfilt(sos, x, axis), signal.sosfilt(sos, x, axis))
        shape = list(x.shape)
        shape[axis] = 2
        zi = rng(1).normal(size=(len(sos), *shape))
        for got, wanted in zip(door.sosfilt(sos, x, axis, zi), signal.sosfilt(sos, x, axis, zi), strict=True):
            close(got, wanted)
    close(door.sosfilt(sos.tolist(), x[:, 0, 0].tolist()), signal.sosfilt(sos.tolist(), x[:, 0, 0].tolist()))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_state_outlives_a_short_signal(length):
    sos, (b, a) = sections_of("order 5"), signal.butter(5, 0.3)
    x, zi = rng(0).normal(size=length), rng(1).normal(size=5)
    for got, wanted in (
        (door.lfilter(b, a, x, zi=zi), signal.lfilter(b, a, x, zi=zi)),
        (door.lfilter(b, 1.0, x, zi=zi), signal.lfilter(b, 1.0, x, zi=zi)),
        (door.sosfilt(sos, x, zi=np.ones((3, 2))), signal.sosfilt(sos, x, zi=np.ones((3, 2)))),
    ):
        for ours, theirs in zip(got, wanted, strict=True):
            close(ours, theirs)


def test_nothing_leaves_the_state_alone():
    """SciPy fails, or makes something up."""
    for (y, zf), zi in (
        (door.lfilter([1.0, 2.0], [1.0, 0.5], [], zi=[3.0]), [3.0]),
        (door.lfilter([1.0, 2.0], [2.0], [], zi=[3.0]), [3.0]),
        (door.sosfilt(sections_of("order 5"), [], zi=np.ones((3, 2))), np.ones((3, 2))),
    ):
        assert y.shape == (0,)
        assert np.array_equal(zf, zi)


def test_pieces_are_the_whole():
    sos, (b, a), x = sections_of("band"), signal.butter(4, 0.3), rng(0).normal(size=100)
    whole, end = door.sosfilt(sos, x, zi=np.zeros((4, 2)))
    head, state = door.sosfilt(sos, x[:33], zi=np.zeros((4, 2)))
    tail, last = door.sosfilt(sos, x[33:], zi=state)
    close(np.concatenate([head, tail]), whole)
    close(last, end)
    # Without zi the cascade runs, with it SciPy's sections.
    close(door.sosfilt(sos, x), whole)
    whole, end = door.lfilter(b, a, x, zi=np.zeros(4))
    head, state = door.lfilter(b, a, x[:33], zi=np.zeros(4))
    tail, last = door.lfilter(b, a, x[33:], zi=state)
    close(np.concatenate([head, tail]), whole)
    close(last, end)
    assert np.array_equal(door.lfilter(b, a, x), whole)


FRACTIONS = {
    "order 4": signal.butter(4, 0.3),
    "scaled": tuple(3.0 * c for c in signal.cheby1(3, 1, 0.4)),
    "FIR": (signal.firwin(40, 0.3), [1.0]),
    "FIR, scaled": ([1.0, 2.0, 3.0], 2.0),
    "long over short": (signal.firwin(200, 0.2), [1.0, -0.5, 0.2]),
    "short over long": ([1.0], [1.0, -0.3, 0.2, 0.0, 0.1]),
    "zeros at both ends": ([0.0, 0.0, 1.0, 0.0], [1.0, -0.5, 0.0, 0.0]),
    "gain": ([2.0], [4.0]),
    "nothing": ([0.0], [1.0, -0.5]),
    "float32": tuple(c.astype(np.float32) for c in signal.butter(2, 0.4)),
    "complex": ([1.0, 2j], [1.0, 0.5j, 0.1]),
}


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", FRACTIONS)
def test_lfilter_is_scipys(name, dtype):
    (b, a), x = FRACTIONS[name], (10 * rng(0).normal(size=(30, 6, 5))).astype(dtype)
    n = max(np.size(b), np.size(a)) - 1
    for axis in (0, 1, -1):
        close(door.lfilter(b, a, x, axis), signal.lfilter(b, a, x, axis))
        shape = list(x.shape)
        shape[axis] = n
        for shape_of_state in (shape, [n if k == axis % 3 else 1 for k in range(3)]):
            zi = rng(1).normal(size=shape_of_state)
            for got, wanted in zip(door.lfilter(b, a, x, axis, zi), signal.lfilter(b, a, x, axis, zi), strict=True):
                close(got, wanted)


def exactly(b, a, x):
    """The recurrence in integers that count 2^−400, for a[0] = 1."""
    b, a, u = ([int(Fraction(float(v)) * 2**400) for v in row] for row in (b, a, x))
    y = []
    for k in range(len(u)):
        terms = [c * u[k - i] for i, c in enumerate(b) if i <= k] + [
            -c * y[k - i] for i, c in enumerate(a) if 0 < i <= k
        ]
        y.append(sum(terms) >> 400)
    return np.array([float(Fraction(v, 2**400)) for v in y])


@pytest.mark.parametrize("order", [4, 8, 12])
def test_lfilter_of_a_high_order_is_as_accurate_as_scipys(order):
    """Within four times SciPy's own error, from 1e-14 to 1e-8: the coefficients are used as they are.

    Both round the same sums; their roots, rounded, would lose ten to a hundred times as much.
    """
    (b, a), x = signal.butter(order, 0.1), rng(0).normal(size=200)
    truth = exactly(b, a, x)
    ours, theirs = (relative(f(b, a, x), truth) for f in (door.lfilter, signal.lfilter))
    assert ours < 4 * theirs


@pytest.mark.parametrize("padtype", ["odd", "even", "constant", None])
@pytest.mark.parametrize("kind", [k for k in SOS if k not in ("nothing", "complex")])
def test_sosfiltfilt_is_scipys(kind, padtype):
    """Its default of padlen too, which counts sections; the steady state of narrow ones is narrow there."""
    sos, x = sections_of(kind), np.cumsum(rng(0).normal(size=(50, 3, 40)), axis=0)
    tolerance = 1e-6 if kind == "float32" else 1e-12
    for axis, padlen in ((0, None), (-1, None), (0, 5), (2, 0)):
        close(
            door.sosfiltfilt(sos, x, axis, padtype, padlen),
            signal.sosfiltfilt(sos, x, axis, padtype, padlen),
            tolerance,
        )


@pytest.mark.parametrize(
    "options", [{}, {"padtype": "even", "padlen": 5}, {"padtype": None, "padlen": 3}, {"method": "gust"}]
)
@pytest.mark.parametrize("name", [n for n in FRACTIONS if n not in ("nothing", "complex", "float32")])
def test_filtfilt_is_scipys(name, options):
    """Options that SciPy ignores are ignored. "gust" is least squares, ten times as sensitive."""
    (b, a), x = FRACTIONS[name], np.cumsum(rng(0).normal(size=(700, 2)), axis=0)
    if name == "long over short" and "method" in options:
        return  # 400 unknowns for 700 samples: neither is determined
    got = door.filtfilt(b, a, x, axis=0, **options)
    if name == "gain" and "method" not in options:  # SciPy looks for a state
        close(got, 0.25 * x)
        return
    close(got, signal.filtfilt(b, a, x, axis=0, **options), 1e-11 if "method" in options else 1e-12)
    if "method" in options and name == "order 4":
        more = {"irlen": 60, "padlen": 3, "padtype": None}
        close(door.filtfilt(b, a, x, 0, **options, **more), signal.filtfilt(b, a, x, 0, **options, **more), 1e-11)


@pytest.mark.parametrize("fs", [2 * np.pi, 900.0])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("frequencies", [512, None, 7, np.int8(8), 0, 0.7, [0.1, 0.5, 3.0], [[0.1], [2.0]]])
def test_freqz_sos_is_scipys(frequencies, whole, fs):
    for kind in ("order 8", "order 5", "FIR and gain", "nothing"):
        got = door.freqz_sos(sections_of(kind), frequencies, whole, fs)
        wanted = signal.freqz_sos(sections_of(kind), frequencies, whole, fs)
        check(got, wanted, 1e-13)


def test_a_sum_is_infinite_at_zero():
    with np.errstate(all="raise"):
        assert door.freqz_sos([1, 0, 0, 1, -1, 0], [0.0])[1][0] == np.inf


def test_the_door_imports_nothing_of_scipy_signal():
    """SciPy's classes and its default grid of frequencies are imported where they are needed."""
    code = "import sys, statespace.scipy_signal; assert 'scipy.signal' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
