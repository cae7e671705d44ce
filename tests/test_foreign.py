"""as_system, to_scipy, to_control: systems of other libraries come in and go out as they are."""

import warnings

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import random_matrices, relative, systems

S = np.array([0.3 + 1.1j, 0.4 + 0.2j, 2.0 - 0.5j, 1.4j, 30.0])
ZPK = ([-3.0], [-1 + 2j, -1 - 2j, -4.0], 5.0)
TF = signal.zpk2tf(*ZPK)
MATRICES = signal.zpk2ss(*ZPK)


@pytest.mark.parametrize("parts", [ZPK, TF, MATRICES], ids=["zpk", "tf", "ss"])
@pytest.mark.parametrize("step", [None, 0.1])
def test_every_form_of_scipy(parts, step):
    theirs = signal.lti(*parts) if step is None else signal.dlti(*parts, dt=step)
    ours = ss.as_system(theirs)
    assert isinstance(ours, ss.ContinuousSystem if step is None else ss.DiscreteSystem)
    assert getattr(ours, "dt", None) == step
    want = ss.from_zpk(*ZPK)(S)
    assert relative(ours(S), want) < 1e-13
    assert relative(ss.as_system(parts, dt=step)(S), want) < 1e-13
    again = ss.to_scipy(ours)
    assert type(again) is type(theirs.to_zpk() if isinstance(ours.A, ss.Cascade) else theirs)
    assert again.dt == theirs.dt
    assert relative(ss.as_system(again)(S), want) < 1e-13


def test_words_for_systems_of_python_control():
    """It says continuous by dt=0, and leaves a gain open by dt=None."""
    parts = {"A": [[-1.0]], "B": [[1.0]], "C": [[1.0]], "D": [[0.0]]}
    kind = type("StateSpace", (), {**parts, "__module__": "control.statesp"})
    continuous, unspecified = kind(), kind()
    continuous.dt, unspecified.dt = 0, None
    with pytest.raises(AttributeError, match=r"lsim needs a continuous system; dt=0 is how .* statespace\.as_system"):
        ss.scipy_signal.lsim(continuous, [1.0, 1.0], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"has dt=None, an unspecified step; .*: dt = 0 for continuous time"):
        ss.as_system(unspecified)
    assert isinstance(ss.as_system(continuous), ss.ContinuousSystem)


def test_matrices_stay_as_they_are():
    theirs = signal.StateSpace(*random_matrices(0))
    ours = ss.as_system(theirs)
    for got, want in zip(ours, (theirs.A, theirs.B, theirs.C, theirs.D), strict=True):
        np.testing.assert_array_equal(got, want)
    back = ss.to_scipy(ours)
    for name in "ABCD":
        np.testing.assert_array_equal(getattr(back, name), getattr(theirs, name))


def test_poles_given_survive_the_way_to_scipy():
    z, p, k = signal.butter(16, 2 * np.pi, analog=True, output="zpk")
    there = ss.to_scipy(ss.from_zpk(z, p, k))
    assert isinstance(there, signal.ZerosPolesGain)
    np.testing.assert_array_equal(np.sort_complex(there.poles), np.sort_complex(ss.from_zpk(z, p, k).poles))


def test_several_outputs_over_one_denominator():
    theirs = signal.lti([[1.0, 0.0], [2.0, 3.0]], [1.0, 0.4, 4.0])
    ours = ss.as_system(theirs)
    assert (ours.n_outputs, ours.n_inputs) == (2, 1)
    for i, num in enumerate(([1.0, 0.0], [2.0, 3.0])):
        assert relative(ours(S)[:, i, 0], np.polyval(num, S) / np.polyval([1.0, 0.4, 4.0], S)) < 1e-14


@pytest.mark.parametrize("name", [n for n, s in systems().items() if s.batch_shape == ()])
def test_structures_go_to_scipy(name):
    for system in (systems()[name], ss.discretize(systems()[name], 0.1)):
        s = 1.2 * np.exp(1j * np.linspace(0.1, 3, 7)) if isinstance(system, ss.DiscreteSystem) else S
        assert relative(ss.as_system(ss.to_scipy(system))(s), system(s)) < 1e-13


def test_static_gains_have_no_states():
    for theirs in (signal.lti([2.0], [1.0]), signal.lti([], [], 2.0), ([2.0], [1.0]), ([], [], 2.0)):
        ours = ss.as_system(theirs)
        assert ours.n_states == 0
        assert ours.D.tolist() == [[2.0]]
    assert ss.as_system(([], [], [], [[2.0]])).n_states == 0
    assert ss.to_scipy(ss.as_system(([2.0], [1.0]))).gain == 2.0
    assert ss.to_scipy(systems()["static"]).D.tolist() == [[2.0, 1.0]]


def test_our_own_systems_and_units():
    lag = ss.from_zpk([], [-1.0], 1.0)
    assert ss.as_system(lag) is lag
    assert ss.as_system(ZPK, time_unit="h").time_unit == "h"
    assert ss.as_system(ZPK, fs=10.0).dt == 0.1


def test_the_step_must_be_known_once():
    with pytest.raises(ValueError, match=r"TransferFunctionDiscrete has dt=True, an unspecified step; give dt= or fs="):
        ss.as_system(signal.dlti([1.0], [1.0, -0.5]))
    assert ss.as_system(signal.dlti([1.0], [1.0, -0.5]), dt=0.1).dt == 0.1
    with pytest.raises(ValueError, match=r"is discrete with dt=0\.1, and dt or fs is given too; .*rediscretize"):
        ss.as_system(signal.dlti([1.0], [1.0, -0.5], dt=0.1), dt=0.1)
    with pytest.raises(ValueError, match=r"is continuous, and dt or fs is given too; .*discretize"):
        ss.as_system(signal.lti([1.0], [1.0, 0.5]), fs=10)


def test_mixed_up_parts():
    z, p, k = ZPK
    for parts in ((k, z, p), (z, k, p), (p, z, [k, k])):
        with pytest.raises(TypeError, match=r"three parts are \(z, p, k\): zeros, poles, then the gain, a number; got"):
            ss.as_system(parts)
    with pytest.raises(ValueError, match=r"the transfer function is improper, 3 zeros and 1 poles.*zeros come first"):
        ss.as_system((p, z, k))
    with pytest.raises(ValueError, match=r"den must start with its highest power, got a leading zero .*remove it"):
        ss.as_system(([1.0], [0.0, 1.0, 2.0]))
    with pytest.raises(
        ValueError, match=r"a tuple must be \(num, den\), \(z, p, k\) or \(A, B, C, D\), got 5 parts; a"
    ):
        ss.as_system((*MATRICES, 0.1))
    with pytest.raises(TypeError, match=r"as_system takes systems of scipy\.signal and control, .*got numpy\.ndarray"):
        ss.as_system(np.eye(2))


def test_leading_zeros_of_a_numerator_are_no_zeros():
    """Numerators come padded from ss2tf: [0, 0, 1] is 1."""
    assert ss.as_system(([0.0, 0.0, 1.0], [1.0, 2.0, 3.0])).zeros.size == 0


def test_refusals_on_the_way_out():
    batch = ss.from_zpk([], [[-1.0], [-2.0]], 1.0)
    for verb in (ss.to_scipy, ss.to_control):
        with pytest.raises(ValueError, match=rf"{verb.__name__} needs one system, got a batch \(2,\)"):
            verb(batch)
        with pytest.raises(TypeError, match=rf"{verb.__name__} needs a ContinuousSystem or DiscreteSystem, got int"):
            verb(1)
    with pytest.raises(ValueError, match="python-control knows real systems only"):
        ss.to_control(ss.from_zpk([], [1j], 1.0))


def test_without_python_control(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "control", None)
    with pytest.raises(
        ImportError, match="to_control needs python-control, which is not installed: pip install control"
    ):
        ss.to_control(ss.from_zpk([], [-1.0], 1.0))


# --------------------------------------------------------------- python-control


@pytest.mark.peer
@pytest.mark.parametrize("step", [0, 0.1])
def test_python_control_there_and_back(step):
    import control

    theirs = control.ss(*random_matrices(0), step)
    ours = ss.as_system(theirs)
    assert getattr(ours, "dt", 0) == step
    for got, want in zip(ours, (theirs.A, theirs.B, theirs.C, theirs.D), strict=True):
        np.testing.assert_array_equal(got, want)
    again = ss.to_control(ours)
    assert again.dt == step
    np.testing.assert_array_equal(again.A, theirs.A)


@pytest.mark.peer
def test_python_control_transfer_matrices():
    import control

    num = [[[1.0], [2.0, 1.0]], [[3.0], [4.0]], [[1.0], [0.0]]]
    den = [[[1.0, 2.0], [1.0, 3.0]], [[1.0, 1.0], [1.0]], [[1.0, 0.4, 4.0], [1.0]]]
    theirs = control.tf(num, den)
    ours = ss.as_system(theirs)
    assert (ours.n_outputs, ours.n_inputs, ours.n_states) == (3, 2, 5)
    for k, s in enumerate(S):
        assert relative(ours(S)[k], theirs(s)) < 1e-14
    siso = ss.as_system(control.tf([1.0], [1.0, 0.4, 4.0], 0.1))
    assert siso.is_siso
    assert siso.dt == 0.1
    assert ss.as_system(control.zpk([], [-1.0], 2.0)).dc_gain.tolist() == [[2.0]]


@pytest.mark.peer
def test_python_control_with_an_open_timebase():
    import control

    for dt in (None, True):
        with pytest.raises(ValueError, match=rf"StateSpace has dt={dt}, an unspecified step"):
            ss.as_system(control.ss([[0.5]], [[1.0]], [[1.0]], [[0.0]], dt))
    assert ss.as_system(control.ss([[0.5]], [[1.0]], [[1.0]], [[0.0]], True), dt=1.0).dt == 1.0
    with pytest.raises(TypeError, match=r"got control\.FrequencyResponseData"):
        ss.as_system(control.frd([1.0, 2.0], [1.0, 2.0]))


@pytest.mark.peer
@pytest.mark.parametrize("name", [n for n, s in systems().items() if s.batch_shape == () and not s.is_complex])
def test_structures_go_to_python_control(name):
    system = systems()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ss.to_control(system)
    assert theirs.nstates == system.n_states
    assert relative(ss.as_system(theirs)(S), system(S)) < 1e-13
