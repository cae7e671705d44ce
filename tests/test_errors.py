"""Every bad input gets one clear error at the door, and changes nothing.

One table: what is called, the type of the error, its text. `test_every_raise_is_in_the_table` reads the source and
fails when a raise or a warning is written that no line of the table reaches.
"""

import ast
import io
import json
import re
import tempfile
import traceback
import warnings
from functools import cache
from pathlib import Path
from unittest import mock

import mamba_errors
import numpy as np
import pytest
import selective_errors
from scipy import signal

import statespace as ss
from statespace.cpu import share
from statespace.scan import require_one_place
from statespace.simulation.run import refuse_uneven

SPRING = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
MIMO = ss.ContinuousSystem(np.diag([-1.0, -2.0, -3.0]), np.ones((3, 2)), np.ones((3, 3)))
LAG = ss.from_zpk([], [-1.0], 1.0)
INTEGRATOR = ss.from_zpk([], [0.0], 1.0)
SUM = ss.from_zpk([], [1.0], 1.0, dt=1.0)
GAIN = ss.from_zpk([], [], -1.0)
PAIRS = ss.ContinuousSystem(ss.Diagonal([-1 + 2j], pairs=True), [[1.0]], [[1.0]])
DIGITAL = ss.discretize(SPRING, 0.1)
DIGITAL_MIMO = ss.discretize(MIMO, 0.1)
DIGITAL_PAIRS = ss.discretize(PAIRS, 0.1)
STEPS = ss.discretize(SPRING, [0.1, 0.2])
MONTHS = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], time_unit="month")
HOURS = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], time_unit="h")
NEARLY = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], [[-1 + 1e-9]])
# Exactly singular, although no eigenvalue is computed as 0.
SINGULAR = ss.ContinuousSystem(-np.ones((3, 3)), np.ones((3, 1)), np.ones((1, 3)))
NO_INPUT = ss.ContinuousSystem([[-1.0]], np.zeros((1, 0)), [[1.0]])
GONE = ss.DiscreteSystem([[1e-310]], [[1.0]], [[1.0]], dt=1.0)
NEGATIVE = ss.DiscreteSystem([[-0.5]], [[1.0]], [[1.0]], dt=1.0)
MINUS_ONE = ss.DiscreteSystem([[-1.0]], [[1.0]], [[1.0]], dt=1.0)
GROWING = ss.DiscreteSystem([[2.0]], [[1.0]], [[1.0]], dt=1.0)
SLOWEST = ss.DiscreteSystem([[1 - 1e-8]], [[1.0]], [[1.0]], dt=1.0)
JORDAN = ss.ContinuousSystem([[-1, 1], [0, -1]], [[0], [1]], [[1, 0]])
UNEVEN = ss.ContinuousSystem(JORDAN.A, JORDAN.B, [[[1.0, 0.0]], [[1.0, 1.0]]])
SLOW = (1e-8 * np.ones(1), np.poly(np.linspace(0.98, 0.995, 6)))
RING = np.roots(np.random.default_rng(0).normal(size=61))
U = np.ones(4)
LONG = ss.from_sos(np.array([[0.1, 0.2, 0.1, 1.0, -0.5, 0.25]]), dt=1.0)
DECAY = 0.5 ** np.arange(20.0)
NOISY = 0.9 ** np.arange(200.0) + 1e-3 * np.random.default_rng(0).normal(size=200)
BENT = np.append(DECAY, 0.1)  # its last sample does not follow
LOW = ss.DiagonalPlusLowRank
LOW_RANK = ss.ContinuousSystem(LOW([-1.0, -2.0], [[1.0], [0.5]], [[1.0], [0.5]]), [[1.0], [1.0]], [[1.0, 1.0]])
LOW_RANK_DIGITAL = ss.discretize(LOW_RANK, 0.1, "bilinear")
LOW_HUGE = ss.ContinuousSystem(LOW([-1.0], [[1e200]], [[1e200]]), [[1.0]], [[1.0]])
LOW_AT_INFINITY = ss.ContinuousSystem(LOW([20.0, -1.0], [[25.0], [0.0]], [[1.0], [1.0]]), [[1.0], [1.0]], [[1.0, 1.0]])
DOOR, TF = ss.scipy_signal, ([1.0], [1.0, 1.0])
DAYS = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "NaT"], "datetime64[D]")

KIT, DRAW = ss.testing, ss.testing.strategies
WRAP, POLES, DRAWN = KIT.from_matrices, DRAW.stable_poles, DRAW.systems
LINEAR, DELAYED, ALIKE = KIT.assert_linear, KIT.assert_time_invariant, KIT.assert_equivalent
FORMS, STREAMED, ORDER, GRADIENT = (
    *(KIT.assert_forms_agree, KIT.assert_streaming_agrees),
    *(KIT.assert_discretization_order, KIT.assert_gradient),
)
X = np.array([1.0, 2.0])

V, T, A, I, W = ValueError, TypeError, AttributeError, IndexError, ss.AccuracyWarning
F = AssertionError  # what an assertion of ss.testing is for


def foreign(module, name="Array"):
    """An array of a library that is not installed here."""
    return type(name, (), {"__module__": module})()


ON_GPU = foreign("cupy", "ndarray")


def without_control():
    """to_control where python-control is not installed."""
    with mock.patch.dict("sys.modules", {"control": None}):
        ss.to_control(LAG)


def without_hypothesis():
    """The strategies where Hypothesis is not installed."""
    with mock.patch.dict("sys.modules", {"hypothesis": None}):
        ss.testing.__getattr__("strategies")


def square(x):
    return x**2


def square_vjp(x):
    return x**2, lambda grad_y: (2 * x * grad_y,)


def pulled(pullback, x=X):
    """assert_gradient of x² with another pullback."""
    GRADIENT(square, lambda x: (x**2, lambda g: pullback(x, g)), x)


def continuous(a=((-1.0,),), b=((1.0,),), c=((1.0,),), d=None, **more):
    return ss.ContinuousSystem(a, b, c, d, **more)


def discrete(**more):
    return ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], **more)


def npz(text=None, **arrays):
    """The bytes of an .npz that `save` did not write, with a text as save would name it."""
    file = io.BytesIO()
    np.savez(file, **arrays, **({} if text is None else {"statespace": np.array(json.dumps(text))}))
    return file.getvalue()


def loaded(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wrong.npz"
        path.write_bytes(content)
        return ss.load(path)


OURS = {"format": "statespace system", "version": 1, "type": "ContinuousSystem", "structure": "Dense"}


def junk():
    """A filter of order 14 as far as its companion form remembers it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ss.DiscreteSystem(*signal.zpk2ss(*signal.butter(14, 0.05, output="zpk")), dt=1.0)


# (what is called, the type, the text)
def with_threads(value):
    with mock.patch.dict("os.environ", {"STATESPACE_THREADS": value}):
        ss.filter(LONG, np.ones((64, 20_000)), axis=1)


CASES = [
    # ---- threads
    (lambda: with_threads("two"), RuntimeError, r"^STATESPACE_THREADS must be a number of threads, 1 or .*got 'two'"),
    (lambda: with_threads("²"), RuntimeError, r"^STATESPACE_THREADS must be a number of threads, 1 or more, got '²'"),
    (lambda: share([].index, 1), V, r"^0 is not in list"),
    (lambda: with_threads("0"), RuntimeError, r"^STATESPACE_THREADS must be a number of threads, 1 or more, got '0'"),
    # ---- construction
    (lambda: continuous(a=[[1.0, 2.0]]), V, r"^A must be square, \(\.\.\., n, n\), got A\.shape=\(1, 2\)"),
    (lambda: continuous(a=-1.0), V, r"A must be square.*got A\.shape=\(\)"),
    (lambda: continuous(b=[1.0]), V, r"^B must have shape \(\.\.\., n=1, m\), got B\.shape=\(1,\); write B\[:, None\]"),
    (lambda: continuous(c=[1.0]), V, r"^C must have shape \(\.\.\., p, n=1\), got C\.shape=\(1,\); write C\[None, :\]"),
    (lambda: continuous(b=2.0), V, r"B must have shape .*got B\.shape=\(\); write \[\[2\.0\]\]"),
    (lambda: continuous(c=2.0), V, r"C must have shape .*got C\.shape=\(\); write \[\[2\.0\]\]"),
    (lambda: continuous(b=np.ones((2, 1))), V, r"B must have shape .* to fit A with n=1, got B\.shape=\(2, 1\)"),
    (lambda: continuous(c=np.ones((1, 2))), V, r"C must have shape .* to fit A with n=1, got C\.shape=\(1, 2\)"),
    (lambda: continuous(d=3.0), V, r"D must have shape \(\.\.\., p=1, m=1\).*got D\.shape=\(\); write \[\[3\.0\]\]"),
    (lambda: continuous(d=np.array(3.0)), V, r"D must have shape .*got D\.shape=\(\); write \[\[3\.0\]\]"),
    (lambda: continuous(d=[[1.0, 2.0]]), V, r"D must have shape .*got D\.shape=\(1, 2\); leave it out for zero"),
    (lambda: continuous(b=None), V, r"B is missing; a system needs A \(n, n\), B \(n, m\) and C \(p, n\)"),
    (lambda: continuous(c=None), V, r"C is missing"),
    (lambda: continuous(a=[[np.nan]]), V, r"^A must be finite, got 1 NaN or infinite of 1 values, .*A\[0, 0\] = nan"),
    (lambda: continuous(b=[[np.inf]]), V, r"^B must be finite"),
    (lambda: continuous(c=[[-np.inf]]), V, r"^C must be finite"),
    (lambda: continuous(d=[[np.nan]]), V, r"^D must be finite"),
    (lambda: continuous(a=[[1], [1, 2]]), V, r"^A is not a rectangular array"),
    (lambda: continuous(a="abc"), T, r"^A must hold numbers, got dtype <U3 from 'abc'"),
    (lambda: continuous(a=[[None]]), T, r"^A must hold numbers, got dtype object"),
    (lambda: continuous(a=SPRING), T, r"^A must hold numbers"),
    (lambda: continuous(time_unit=3), T, r"time_unit must be a word such as 's' or 'week', got 3"),
    (lambda: continuous(np.zeros((2, 1, 1)), np.zeros((3, 1, 1))), V, r"batch axes .* do not broadcast, got A \(2,\)"),
    (lambda: ss.ContinuousSystem(LAG.A, [[1.0]]), V, r"a Cascade implies B, C and D; give the Cascade alone"),
    (lambda: ss.ContinuousSystem(ss.DelayLine(1), [[1]], [[1]]), T, r"a DelayLine is a discrete structure"),
    (lambda: ss.ContinuousSystem(PAIRS.A, [[1]], [[1]], [[1j]]), V, r"D must be real where conjugate pairs"),
    (lambda: discrete(), V, r"DiscreteSystem needs exactly one of dt= .* and fs= .*got neither"),
    (lambda: discrete(dt=0.1, fs=10.0), V, r"DiscreteSystem needs exactly one .*got dt=0\.1 and fs=10\.0"),
    (lambda: discrete(dt=0.0), V, r"dt must be positive and finite, got 0\.0"),
    (lambda: discrete(dt=-1), V, r"dt must be positive and finite, got -1"),
    (lambda: discrete(dt=np.nan), V, r"dt must be positive and finite, got nan"),
    (lambda: discrete(dt=[]), V, r"dt must be .*got \[\]"),
    (lambda: discrete(fs=np.inf), V, r"fs must be positive and finite, got inf"),
    (lambda: discrete(dt=True), T, r"dt must be a number, got True"),
    (lambda: discrete(dt="0.1"), T, r"dt must be a number, got '0\.1'"),
    (lambda: discrete(dt=1j), T, r"dt must be real"),
    (lambda: discrete(dt=0.1, method=3), T, r"method must be "),
    (lambda: ss.Dense([[1.0]], [1.0, 2.0]), V, r"poles must hold the n=1 eigenvalues of A"),
    (lambda: ss.Diagonal(-1.0), V, r"poles must have an axis of states, \(\.\.\., n\), got -1\.0; write \[-1\.0\]"),
    (lambda: ss.Diagonal([-1.0], pairs=2), T, r"pairs must be True or False, got 2"),
    (lambda: ss.Diagonal([np.nan]), V, r"poles must be finite"),
    (lambda: ss.Cascade([-1.0], [None, None], [1.0]), V, r"a Cascade needs n ≥ 1 poles, n zeros .*got shapes \(1,\)"),
    (lambda: ss.Cascade(-1.0, None, 1.0), V, r"a Cascade needs n ≥ 1 poles"),
    (lambda: ss.Cascade([-1.0], ["z"], [1.0]), T, r"zeros must hold numbers"),
    (lambda: ss.Cascade([-1.0], [np.nan], [1.0]), V, r"zeros must .*nan"),
    (lambda: ss.DelayLine(0), V, r"length must be a positive integer, got 0"),
    (lambda: ss.DelayLine(True), V, r"length must be a positive integer, got True"),
    # ---- libraries that are not understood
    (lambda: ss.simulate(DIGITAL, foreign("dask.array.core")), T, r"u is a dask Array, .*; write u\.compute\(\)"),
    (lambda: ss.simulate(DIGITAL, foreign("jax")), T, r"u is a jax Array.*write numpy\.asarray\(u\)"),
    (lambda: ss.simulate(DIGITAL, foreign("jaxlib.xla")), T, r"u is a jaxlib Array.*write numpy\.asarray\(u\)"),
    (lambda: continuous(a=foreign("torch", "Tensor")), T, r"A is a torch Tensor.*A\.detach\(\)\.cpu\(\)\.numpy\(\)"),
    (lambda: ss.from_tf([1], foreign("tensorflow.python")), T, r"den is a tensorflow Array.*write den\.numpy\(\)"),
    (lambda: ss.filter(DIGITAL, foreign("pandas.core.series", "Series")), T, r"x is a pandas Series.*x\.to_numpy\(\)"),
    (lambda: ss.simulate(SPRING, U, t=foreign("xarray.core")), T, r"t is a xarray Array.*write t\.to_numpy\(\)"),
    (lambda: ss.simulate(DIGITAL, foreign("polars.series")), T, r"u is a polars Array.*write u\.to_numpy\(\)"),
    (lambda: continuous(b=foreign("scipy.sparse._csr", "csr_array")), T, r"B is a scipy csr_array.*B\.toarray\(\)"),
    (lambda: continuous(a=foreign("cupy", "ndarray")), T, r"A is a cupy ndarray.*write cupy\.asnumpy\(A\)"),
    (lambda: ss.simulate(DIGITAL, np.ma.masked_equal(U, 1)), T, r"u is a masked array.*write u\.filled\(numpy\.nan\)"),
    (lambda: SPRING(foreign("torch")), T, r"s is a torch Array"),
    # ---- two places; the rest of what a device refuses is in tests/gpu/test_lti.py
    (lambda: require_one_place(ON_GPU, "u", {"x0": U}), T, r"^x0 lives on the host and u on a GPU; .*\.asarray\(x0\)$"),
    (lambda: ss.simulate(DIGITAL, U, x0=ON_GPU), T, r"^x0 lives on a GPU and u on the host; .*cupy\.asnumpy\(x0\)$"),
    (lambda: ss.convolve(U, ON_GPU), T, r"^h lives on a GPU and u on the host; write cupy\.asarray\(u\), or cupy"),
    (lambda: ss.filtfilt(DIGITAL, ON_GPU), T, r"^filtfilt runs on the host .*write filtfilt\(system, cupy\.asnumpy"),
    (lambda: refuse_uneven("auto", ON_GPU), V, r"^on an uneven grid a system changes .*cupy\.asnumpy\(u\), or give"),
    (lambda: SPRING * foreign("torch"), T, r"is a torch Array"),
    (lambda: SPRING + foreign("torch"), T, r"gain is a torch Array"),
    (lambda: SPRING - foreign("torch"), T, r"gain is a torch Array"),
    # ---- conversion
    (lambda: ss.from_zpk(1.0, [-1.0], 1.0), V, r"z and p must have an axis"),
    (lambda: ss.from_zpk([-1.0, -2.0], [-1.0], 1.0), V, r"improper, 2 zeros and 1 poles; .* use from_ba"),
    (lambda: ss.from_zpk([], [np.inf], 1.0), V, r"p must be finite"),
    (lambda: ss.from_zpk([], [-1.0], np.nan), V, r"k must be finite"),
    (lambda: ss.from_zpk([], [-1.0], []), V, r"k must .*\(0,\)"),
    (lambda: ss.from_zpk(np.ones((2, 1)), np.ones((3, 1)), 1.0), V, r"batch axes .*do not broadcast"),
    (lambda: ss.from_tf([1, 0, 0], [1, 1]), V, r"improper, 2 zeros and 1 poles; .* use from_ba"),
    (lambda: ss.from_tf([1], [0, 1]), V, r"den must start with its highest power, got a leading zero in \[0, 1\]"),
    (lambda: ss.from_tf([[1]], [1, 1]), V, r"num must be one row of coefficients, got shape \(1, 1\); .*, num\[0\]"),
    (lambda: ss.from_tf([1], [1, 1], dt=1, fs=1), V, r"^from_tf needs exactly one of dt= .* got dt=1 and fs=1"),
    (lambda: ss.from_tf([1], []), V, r"den must be one row of coefficients, got shape \(0,\)"),
    (lambda: ss.from_ba([1], [0, 1], dt=1.0), V, r"a\[0\] must not be 0, it multiplies y\[k\]; got a=\[0, 1\]"),
    (lambda: ss.from_ba([1], [1]), V, r"from_ba needs exactly one of dt= .* and fs="),
    (lambda: ss.from_sos([[1, 0, 0, 1, 0, 0]]), V, r"from_sos needs dt= or fs=: .*for analog ones write dt=None"),
    (lambda: ss.from_sos([1, 0, 0, 1, 0, 0], dt=1.0), V, r"sos must have shape \(sections, 6\), got \(6,\)"),
    (lambda: ss.from_sos([[1, 0, 0, 0, 1, 0]], dt=1.0), V, r"sos\[:, 3\] \(a0\) must not be 0 in discrete time"),
    (lambda: ss.from_sos([[1, 0, 0, 0, 0, 0]], dt=None), V, r"a row with a0 = a1 = a2 = 0, which is no section"),
    (lambda: ss.from_sos([[1, 0, 0, 0, 0, 1]], dt=None), V, r"improper, 2 zeros and 0 poles"),
    (lambda: ss.from_zpk(5.0, [-1.0], [-2.0]), V, r"z and p must have an axis.*the order is zeros, poles, gain"),
    (lambda: ss.from_ba(*SLOW, dt=1.0), W, r"from_ba: coefficients in double precision fix .* to about \de-\d\d"),
    (lambda: ss.from_zpk(RING, np.zeros(60), 1.0, dt=1.0), W, r"running these 30 sections loses about \de"),
    (lambda: ss.to_zpk(U), T, r"^to_zpk needs a ContinuousSystem or DiscreteSystem, got ndarray"),
    (lambda: ss.to_zpk(MIMO), V, r"^to_zpk needs one input and one output, this system has 2 inputs and 3"),
    (lambda: ss.to_zpk(UNEVEN), V, r"systems of this batch have different numbers of zeros, \[0, 1\]; convert"),
    (lambda: ss.to_sos(junk()), W, r"^to_sos: poles and zeros computed .* reproduce its response to .*of its peak"),
    (lambda: ss.to_sos(ss.from_zpk([], [1j], 1.0)), V, r"^to_sos needs a real system: 0\+1j has no conjugate partner"),
    (lambda: ss.to_tf(ss.from_zpk([], [-1e40] * 9, 1.0)), V, r"^to_tf: a coefficient .* order 9 is beyond the range"),
    (lambda: ss.to_tf(STEPS), V, r"^to_tf needs one system, got a batch \(2,\); convert them one at a time"),
    (lambda: ss.to_ba(SPRING), T, r"^to_ba needs a DiscreteSystem, its powers are of z⁻¹; discretize"),
    (lambda: ss.modal(U), T, r"^modal needs a ContinuousSystem or DiscreteSystem, got ndarray"),
    (lambda: ss.modal(JORDAN), V, r"^modal: the modes cannot be told apart, the condition number .* above max_"),
    (lambda: ss.modal(SPRING, max_condition="a"), V, r"max_condition must be a number of at least 1, got 'a'"),
    (lambda: ss.as_system(U), T, r"^as_system takes systems of scipy\.signal and control, .*got numpy\.ndarray"),
    (lambda: ss.as_system(([1.0],)), V, r"a tuple must be \(num, den\), \(z, p, k\) or \(A, B, C, D\), got 1 parts"),
    (lambda: ss.as_system((1.0, [-1.0], [-2.0])), T, r"three parts are \(z, p, k\): zeros, poles, then the gain"),
    (lambda: ss.as_system(foreign("control", "StateSpace")), V, r"StateSpace has dt=None, an unspecified step"),
    (lambda: ss.as_system(foreign("scipy", "StateSpace"), dt=1.0), V, r"StateSpace is continuous, and dt or fs"),
    (lambda: ss.as_system(DIGITAL, dt=0.2), V, r"a DiscreteSystem is returned as it is; .*use rediscretize"),
    (lambda: ss.as_system(([1.0], [1.0, -0.5], 2.0, 0.1)), T, r"four parts are the matrices .*z, p"),
    (lambda: ss.as_system(([[1.0]], [1.0, -0.5], 0.1)), T, r"three parts are \(z, p, k\).*of .num, den, dt"),
    (lambda: ss.scipy_signal.butter, A, r"statespace\.scipy_signal has no 'butter'; keep taking it"),
    (lambda: SPRING * signal.lti([1.0], [1.0, 1.0]), T, r"gain is a scipy TransferFunction.*as_system"),
    (lambda: ss.to_scipy(U), T, r"^to_scipy needs a ContinuousSystem or DiscreteSystem, got ndarray"),
    (lambda: ss.to_scipy(STEPS), V, r"^to_scipy needs one system, got a batch \(2,\)"),
    (lambda: ss.to_control(ss.from_zpk([], [1j], 1.0)), V, r"python-control knows real systems only, this one is"),
    (without_control, ImportError, r"^to_control needs python-control, which is not installed: pip install control"),
    # ---- algebra
    (lambda: ss.series(SPRING, MIMO), V, r"series: the first system has 1 outputs, the second 2 .*series\(G1, G2"),
    (lambda: ss.parallel(SPRING, MIMO), V, r"parallel: .*got 1×1 and 3×2"),
    (lambda: ss.feedback(MIMO), V, r"feedback: a system of 3 outputs and 2 inputs needs a return path of 2 outputs"),
    (lambda: ss.feedback(SPRING, sign=0), V, r"sign must be -1 or 1, got 0"),
    (lambda: ss.feedback(SPRING, sign=[1, 2]), V, r"sign must be -1 or 1, got \[1, 2\]"),
    (lambda: ss.feedback(SPRING, sign=U), V, r"sign must be -1 or 1, got array"),
    (lambda: ss.feedback(GAIN), V, r"feedback: the loop is algebraic, .*remove the direct feedthrough"),
    (lambda: ss.feedback(NEARLY), W, r"feedback: the loop is nearly algebraic, about (8|9) digits are lost"),
    (lambda: ss.feedback(1.0), T, r"feedback needs at least one system, got float"),
    (lambda: ss.series(1.0, 2.0), T, r"series needs at least one system, got float and float"),
    (lambda: ss.series(SPRING, DIGITAL), T, r"series cannot mix a ContinuousSystem with a DiscreteSystem; discretize"),
    (lambda: DIGITAL + STEPS, V, r"parallel needs systems of one step, got dt=0\.1 and dt=\[0\.1 0\.2\]; rediscretize"),
    (lambda: DIGITAL * ss.discretize(SPRING, 0.2), V, r"series needs systems of one step, got dt=0\.2 and dt=0\.1"),
    (lambda: LAG + HOURS, V, r"parallel needs one unit of time, got 's' and 'h'"),
    (lambda: MIMO + 1.0, V, r"parallel: a number is added to a single-input.*this one is 3×2; give a matrix"),
    (lambda: SPRING + np.ones(1), V, r"parallel: a constant must be a number or a matrix .*got shape \(1,\)"),
    (lambda: SPRING * np.nan, V, r"a system cannot be multiplied by nan; the factor must be finite"),
    (lambda: SPRING * "2", T, r"gain must hold numbers"),
    (lambda: SPRING - "2", T, r"gain must hold numbers"),
    (lambda: SPRING - None, T, r"gain must hold numbers"),
    (lambda: PAIRS * 1j, V, r"a system stored as conjugate pairs is real and cannot be multiplied by a complex"),
    (lambda: SPRING / SPRING, T, r"a system can be divided by a number only, got ContinuousSystem; .*feedback\(system"),
    (lambda: SPRING / 0, ZeroDivisionError, r"a system cannot be divided by zero"),
    (lambda: MIMO[0], I, r"a system takes two indices, system\[outputs, inputs\], got 0"),
    (lambda: MIMO[3, 0], I, r"3 does not select from 3 channels"),
    (lambda: MIMO["a", 0], I, r"'a' does not select from 3 channels"),
    (lambda: MIMO[[[0, 1], [2]], 0], I, r"does not select from 3 channels"),
    (lambda: SPRING("s"), T, r"s must hold numbers"),
    (lambda: SPRING(None), T, r"s must hold numbers"),
    (lambda: SPRING(DAYS), T, r"s must hold numbers"),
    (lambda: SPRING([[1], [1, 2]]), V, r"s is not a rectangular array"),
    # ---- discretization
    (lambda: ss.discretize(DIGITAL, 0.1), T, r"the system is discrete already \(dt=0\.1\); it cannot be .* twice"),
    (lambda: ss.discretize([[1.0]], 0.1), T, r"discretize needs a ContinuousSystem, got list; build one with from_zpk"),
    (lambda: ss.discretize(0.1, SPRING), T, r"discretize needs a ContinuousSystem, got float"),
    (lambda: ss.discretize(SPRING), V, r"discretize needs exactly one of dt= .* and fs= .*, got neither"),
    (lambda: ss.discretize(SPRING, 0.1, fs=10), V, r"discretize needs exactly one of .*, got dt=0\.1 and fs=10"),
    (lambda: ss.discretize(SPRING, -0.1), V, r"dt must be positive and finite, got -0\.1"),
    (lambda: ss.discretize(SPRING, False), T, r"dt must be a number, got False"),
    (lambda: ss.discretize(LAG, [], "bilinear"), V, r"dt must be .*got \[\]"),
    (lambda: ss.discretize(SPRING, 0.1, "gbt"), V, r"'gbt' needs its weight: write .*GeneralizedBilinear\(w\)"),
    (lambda: ss.discretize(SPRING, 0.1, "tusten"), V, r"unknown discretization method 'tusten'; known .*'foh'"),
    (lambda: ss.discretize(SPRING, 0.1, 3), T, r"method must be a name or a method object such as Bilinear\(\), got 3"),
    (lambda: ss.discretize(SPRING, 0.1, ss.Bilinear), T, r"method must be a name or a method object"),
    (lambda: ss.discretize(SPRING, np.timedelta64(7, "D")), T, r"dt must be a number in the system's unit of time"),
    (lambda: ss.simulate(SPRING, [1.0, 2.0], [0.0, 0.1]), T, r"simulate takes the system and u, .*write t="),
    (lambda: ss.simulate(SPRING, [[]], dt=0.1), V, r"u holds nothing and has no 1 channels; u\.shape=\(1, 0\)"),
    (lambda: ss.discretize(SPRING, 0.1, prewarp=3.0), T, r"prewarp belongs to the method: .*Bilinear\(prewarp=3\.0\)"),
    (lambda: ss.discretize(SPRING, 0.1, alpha=0.3), T, r"alpha belongs to .*GeneralizedBilinear\(0\.3\)"),
    (lambda: ss.discretize(SPRING, 0.1, tap="current"), T, r"tap belongs to .*ZeroOrderHold\(tap='current'\)"),
    (lambda: ss.discretize(SPRING, 0.1, colour=1), T, r"discretize got an unexpected keyword colour=1; it takes"),
    (lambda: ss.discretize(SPRING, 0.1, ss.Bilinear(prewarp=np.pi / 0.1)), V, r"prewarp=31\.4159 .*below .*Nyquist"),
    (lambda: ss.discretize(LAG, 0.1, ss.Bilinear(prewarp=100.0)), V, r"prewarp=100 .*below the Nyquist .*factor 2π"),
    (lambda: ss.Bilinear(prewarp=-1.0), V, r"prewarp must be a positive angular frequency, got -1\.0"),
    (lambda: ss.Bilinear(prewarp="1"), V, r"prewarp must be a positive angular frequency, got '1'"),
    (lambda: ss.Bilinear(prewarp=True), V, r"prewarp must be a positive angular frequency, got True"),
    (lambda: ss.GeneralizedBilinear(1.5), V, r"GeneralizedBilinear\(w\) needs a weight from 0 to 1, got 1\.5"),
    (lambda: ss.ExponentialTrapezoidal("a"), V, r"ExponentialTrapezoidal\(w\) needs a weight from 0 to 1, got 'a'"),
    (lambda: ss.GeneralizedBilinear(np.nan), V, r"needs a weight from 0 to 1, got nan"),
    (lambda: ss.ZeroOrderHold(tap="next"), V, r"tap must be one of 'previous', 'current', got 'next'"),
    (lambda: ss.ZeroOrderHold(tap=U), V, r"tap must be one of 'previous', 'current', got array"),
    (lambda: ss.discretize(continuous([[2.0]]), 1.0, "tustin"), V, r"w=0\.5 has no value here: a pole .*1/\(w·dt\)"),
    (lambda: ss.discretize(ss.from_zpk([], [2.0], 1.0), 1.0, "tustin"), V, r"w=0\.5 has no value here"),
    (lambda: ss.discretize(continuous([[1 + 1e-9]]), 1.0, "backward_euler"), W, r"close to 1/\(w·dt\) with w=1: about"),
    (lambda: ss.discretize(continuous([[1e4]]), 1.0), V, r"discretize overflows: .*exp\(1e\+04\); take a smaller dt"),
    (lambda: ss.initial_state(DIGITAL, 0.1, "foh"), T, r"initial_state needs the ContinuousSystem before"),
    (lambda: ss.initial_state(SPRING, None, "foh"), V, r"initial_state needs .*dt"),
    (lambda: ss.initial_state(SPRING, 0.1, "foh", [1.0]), V, r"x0 must have shape \(\.\.\., 2\), got \(1,\)"),
    (lambda: ss.initial_state(SPRING, 0.1, "foh", None, [1.0, 2.0]), V, r"u0 must have shape \(\.\.\., 1\), got"),
    (lambda: ss.initial_state(SPRING, 0.1, "foh", [np.nan, 0]), V, r"x0 must be finite"),
    (lambda: ss.discretize(MIMO, 0.1, "matched"), V, r"MatchedPoles maps .* one channel, this system has 2 inputs"),
    (lambda: ss.discretize(ss.from_zpk([], [2j * np.pi], 1.0), 1.0, "matched"), V, r"MatchedPoles: a pole lies"),
    (lambda: ss.initial_state(LAG, 0.1, "matched"), V, r"MatchedPoles keeps no map from the continuous state"),
    (lambda: ss.undiscretize(SPRING), T, r"^undiscretize needs a DiscreteSystem, this one is continuous already"),
    (lambda: ss.rediscretize(1.0, 0.1), T, r"^rediscretize needs a DiscreteSystem, got float"),
    (lambda: ss.undiscretize(discrete(dt=0.1)), V, r"^undiscretize: the system does not know the method that made it"),
    (lambda: ss.rediscretize(DIGITAL), V, r"^rediscretize needs exactly one of dt= .* and fs= .*, got neither"),
    (lambda: ss.undiscretize(DIGITAL, "matched"), V, r"^undiscretize: MatchedPoles has no inverse, .*name another"),
    (lambda: ss.undiscretize(DIGITAL, "tusten"), V, r"unknown discretization method 'tusten'"),
    (lambda: ss.undiscretize(ss.from_ba([1, 2], [1], dt=1.0), "zoh"), V, r"undiscretize: the system has a pole at 0 "),
    (lambda: ss.undiscretize(GONE, "impulse"), V, r"undiscretize: rounding has left nothing .* is singular or over"),
    (lambda: ss.undiscretize(NEGATIVE, "zoh"), V, r"undiscretize: the system has a pole at -0\.5, on the neg"),
    (lambda: ss.undiscretize(MINUS_ONE, "tustin"), V, r"undiscretize: the system has a pole at −\(1 − w\)/w = -1"),
    (lambda: ss.undiscretize(ss.discretize(LAG, 1e-8)), W, r"undiscretize: the rounding .* leaves up to 2e-08"),
    # ---- simulate
    (lambda: ss.simulate(U, SPRING), T, r"simulate needs a ContinuousSystem or DiscreteSystem first, got ndarray"),
    (lambda: ss.simulate(DIGITAL, DIGITAL), T, r"u must hold numbers"),
    (lambda: ss.simulate(DIGITAL, None), T, r"u must hold numbers"),
    (lambda: ss.simulate(DIGITAL, 1.0), V, r"u must be a signal, \(\.\.\., L, m=1\) or \(L,\), got the number 1\.0"),
    (lambda: ss.simulate(DIGITAL, [[1], [1, 2]]), V, r"u is not a rectangular array"),
    (lambda: ss.simulate(DIGITAL_MIMO, U), V, r"u has one channel, the system has 2 inputs; u\.shape=\(4,\)"),
    (lambda: ss.simulate(DIGITAL_MIMO, np.ones((9, 3))), V, r"u has 3 channels .* has 2 inputs; u\.shape=\(9, 3\)"),
    (lambda: ss.simulate(DIGITAL_MIMO, np.ones((2, 9))), V, r"u has 9 channels .*are last: write numpy\.swapaxes"),
    (lambda: ss.simulate(DIGITAL, np.ones((9, 3))), V, r"u has 3 channels .*see statespace\.filter"),
    (lambda: ss.simulate(STEPS, np.ones((3, 4, 1))), V, r"batch axes do not .*the system has \(2,\), u has \(3,\)"),
    (lambda: ss.simulate(DIGITAL, U, x0=[1.0]), V, r"x0 must have shape \(\.\.\., 2\), one number for each state, got"),
    (lambda: ss.simulate(DIGITAL, U, x0=[np.nan, 1.0]), V, r"x0 must be finite"),
    (lambda: ss.simulate(DIGITAL, U, x0="zero"), T, r"x0 must hold numbers"),
    (lambda: ss.simulate(DIGITAL, U, hold="zoh"), V, r"hold='zoh' belongs to continuous systems; .*discrete already"),
    (lambda: ss.simulate(SPRING, U, dt=0.1, hold="spline"), V, r"hold must be one of 'zoh', 'foh', got 'spline'"),
    (lambda: ss.simulate(SPRING, U, dt=0.1, hold=U), V, r"hold must be one of 'zoh', 'foh', got array"),
    (lambda: ss.simulate(DIGITAL, U, gaps="skip"), V, r"gaps must be one of 'raise', 'drop', 'reset', got 'skip'"),
    (lambda: ss.simulate(DIGITAL, U, dt=0.2), V, r"the discrete system has its own dt=0\.1, got 0\.2; leave it out"),
    (lambda: ss.simulate(DIGITAL, U, fs=0), V, r"fs must be positive|has its own dt=0\.1"),
    (lambda: ss.simulate(DIGITAL, U, dt="a"), T, r"dt must be a number"),
    (lambda: ss.simulate(DIGITAL, U, dt=0.1, fs=10), V, r"exactly one of"),
    (lambda: ss.simulate(DIGITAL, U, t=[0, 0.1, 0.2, 0.5]), V, r"t must have the step of the discrete .*irregular"),
    (lambda: ss.simulate(DIGITAL, U, t=[0, 1, 2, 3]), V, r"t must have the step .*dt=0\.1, got dt=1"),
    (lambda: ss.simulate(STEPS, U[:, None], t=[0, 1, 2, 3]), V, r"t cannot be given for a batch of steps"),
    (lambda: ss.simulate(SPRING, U), V, r"a continuous system needs a time grid: give t= .*dt= .*or fs="),
    (lambda: ss.simulate(SPRING, U, dt=0.1, fs=10), V, r"simulate needs exactly one of dt= .* and fs="),
    (lambda: ss.simulate(SPRING, U, dt=0.0), V, r"dt must be positive and finite"),
    (lambda: ss.simulate(SPRING, U, t=[0, 1, 2, 3], dt=1.0), V, r"exactly one of t=, dt= and fs=, got t and dt"),
    (lambda: ss.simulate(SPRING, U, t=[0, 1, 2]), V, r"one stamp for each sample: u has 4 samples, t has 3"),
    (lambda: ss.simulate(SPRING, U, t=[[0, 1, 2, 3]]), V, r"t must be one row of stamps.*got t\.shape=\(1, 4\)"),
    (lambda: ss.simulate(SPRING, U, t=0.1), V, r"t must be one row of stamps"),
    (lambda: ss.simulate(SPRING, U, t=[[0], [1, 2]]), V, r"t is not a rectangular array"),
    (lambda: ss.simulate(SPRING, U, t=list("abcd")), T, r"t must hold numbers"),
    (lambda: ss.simulate(SPRING, U, t=[0, 1j, 2, 3]), T, r"t must be real, got dtype complex128"),
    (lambda: ss.simulate(SPRING, U, t=[0, 1, np.nan, 3]), V, r"t must be finite, got 1 NaN or infinite stamps"),
    (lambda: ss.simulate(SPRING, U, t=[0, 1, 1, 3]), V, r"t must increase, got t\[2\] = 1\.0 after t\[1\] = 1\.0"),
    (lambda: ss.simulate(MONTHS, U, t=DAYS), V, r"datetime64 stamps need a system whose time_unit is one of .*'month'"),
    (lambda: ss.simulate(HOURS, U, t=DAYS), V, r"t holds 1 NaT; drop those samples"),
    (lambda: ss.simulate(HOURS, U, t=DAYS[[0, 0, 1, 2]]), V, r"t must increase, got t\[1\] = 2020-01-01 after"),
    (lambda: ss.simulate(SPRING, [1, np.nan, 1, 1], dt=1), V, r"u holds NaN at 1 of 4 stamps, .*index 1; gaps='drop'"),
    (lambda: ss.simulate(DIGITAL, [1, np.nan, 1, 1]), V, r"u holds NaN at 1 of 4 stamps.*; gaps='reset' starts again"),
    (lambda: ss.simulate(DIGITAL, [1, np.nan], gaps="drop"), V, r"gaps='drop' needs a continuous system"),
    (lambda: ss.simulate(SPRING, [[1], [np.nan]], dt=[1, 2], gaps="drop"), V, r"gaps='drop' needs one grid for all"),
    (lambda: ss.simulate(DIGITAL_PAIRS, U * 1j), V, r"stored as conjugate pairs runs on real .*run u\.real and"),
    (lambda: ss.simulate(PAIRS, U * 1j, t=[0, 1, 3, 4]), V, r"stored as conjugate pairs runs on real signals"),
    (lambda: ss.simulate(PAIRS, U, dt=0.1, t=None, x0=[1, 2]), V, r"x0 must have shape \(\.\.\., 1\)"),
    # ---- filter, steady_state
    (lambda: ss.filter(SPRING, U), T, r"filter needs a DiscreteSystem; discretize first, .*or run it .*simulate"),
    (lambda: ss.filter(U, DIGITAL), T, r"filter needs a DiscreteSystem first and the signal second, got ndarray"),
    (lambda: ss.filter(DIGITAL_MIMO, U), V, r"filter runs single-input single-output .*has 2 inputs and 3 outputs"),
    (lambda: ss.filter(DIGITAL, 1.0), V, r"x must be a signal, got a single number"),
    (lambda: ss.filter(DIGITAL, np.ones((3, 4))), V, r"axis is missing: .*axis=0 .*axis=-1 as in scipy\.signal"),
    (lambda: ss.filter(DIGITAL, np.ones((3, 4)), axis=2), V, r"axis must be an axis .*from -2 to 1, got 2"),
    (lambda: ss.filter(DIGITAL, U, axis=10**30), V, r"axis must be an axis of x, an integer from -1 to 0"),
    (lambda: ss.filter(DIGITAL, U, axis="time"), V, r"axis must be an axis of x.*got 'time'"),
    (lambda: ss.filter(DIGITAL, U, axis=True), V, r"axis must be an axis of x.*got True"),
    (lambda: ss.filter(DIGITAL, U, state="warm"), V, r"state must be 'zero', 'steady' or an array, got 'warm'"),
    (lambda: ss.filter(DIGITAL, [], state="steady"), V, r"state='steady' needs a first sample, got an empty signal"),
    (lambda: ss.filter(DIGITAL, U, state=[1.0]), V, r"state must have shape \(\.\.\., 2\), one number for each state"),
    (lambda: ss.filter(STEPS, np.ones((3, 4)), axis=1), V, r"filter: the batch axes .*\(3, 4\) with time on axis 1"),
    (lambda: ss.steady_state(U, 1.0), T, r"steady_state needs a system first, got ndarray"),
    (lambda: ss.steady_state(MIMO, 1.0), V, r"u0 must have shape \(\.\.\., m=2\), got \(1,\) from 1\.0"),
    (lambda: ss.steady_state(DIGITAL, np.nan), V, r"u0 must be finite"),
    (lambda: ss.steady_state(INTEGRATOR, 1.0), V, r"a pole at 0: it integrates a constant input"),
    (lambda: ss.steady_state(continuous([[0.0, 1], [0, 0]], [[0.0], [1]], [[1.0, 0]]), 1.0), V, r"a pole at 0: it int"),
    (lambda: ss.steady_state(ss.from_zpk([], [1.0], 1.0, dt=1.0), 1.0), V, r"a pole at 1: it integrates"),
    (lambda: ss.steady_state(ss.from_zpk([], [1 - 1e-12], 1.0, dt=1.0), 1.0), W, r"a pole lies within 1e-10 of 1"),
    (lambda: ss.steady_state(SINGULAR, 1.0), V, r"a pole at 0: it integrates"),
    (lambda: ss.steady_state(STEPS, np.ones((3, 1))), V, r"do not broadcast: the system has \(2,\), u0 has \(3,\)"),
    # ---- DiagonalPlusLowRank, hippo
    (lambda: LOW([1.0], [1.0], [[1.0]]), V, r"diag of shape \(\.\.\., n\) and P and Q of shape \(\.\.\., n, r\), got"),
    (lambda: LOW([1.0, 2.0], np.ones((2, 1)), np.ones((2, 2))), V, r"got \(2,\), \(2, 1\) and \(2, 2\)"),
    (lambda: LOW([1.0], [[1.0]], [[1.0]], [1.0, 2.0]), V, r"poles must hold the n=1 eigenvalues of A, got poles\.sha"),
    (lambda: LOW(np.ones((2, 1)), np.ones((3, 1, 1)), [[1.0]]), V, r"batch axes of diag, P, Q and poles do not broad"),
    (lambda: LOW([np.nan], [[1.0]], [[1.0]]), V, "diag must be finite"),
    (lambda: ss.discretize(LOW_RANK, 0.1), V, r"was to be run or discretized by e\^\(A·dt\), or back, which is not d"),
    (lambda: ss.simulate(LOW_RANK, U, dt=0.1), V, r"was to be run or discretized by e\^\(A·dt\)"),
    (lambda: ss.simulate(LOW_RANK, U, t=[0, 1, 3, 4]), V, r"was to be run or discretized by e\^\(A·dt\)"),
    (lambda: ss.undiscretize(LOW_RANK_DIGITAL, "zoh"), V, r"was to be run or discretized by e\^\(A·dt\), or back"),
    (lambda: ss.discretize(LOW_AT_INFINITY, 0.1, "bilinear"), V, "an entry of diag of a DiagonalPlusLowRank lies whe"),
    (lambda: ss.discretize(LOW_HUGE, 1.0, "euler"), V, "a DiagonalPlusLowRank overflows under this method and step"),
    (lambda: ss.to_c(LOW_RANK_DIGITAL, "name"), V, r"to_c has no step for a DiagonalPlusLowRank; give its dense matr"),
    (lambda: ss.hippo.legs(0), V, "n must be a positive number of states, got 0"),
    (lambda: ss.hippo.legt(4.0), V, "n must be a positive number of states, got 4.0"),
    (lambda: ss.hippo.s4d_lin(5), V, "s4d_lin needs an even number of states n, two for each frequency, got 5"),
    (lambda: ss.hippo.fourier(3), V, "fourier needs an even number of states n, two for each frequency, got 3"),
    (lambda: ss.hippo.legs(3, C=np.ones((1, 2))), V, r"C must have shape \(\.\.\., p, n=3\)"),
    # ---- forms, kernels, streams
    (lambda: ss.kernel(SPRING, 4), T, r"^kernel needs a DiscreteSystem; discretize first: statespace\.discretize"),
    (lambda: ss.kernel(TF, 4), T, r"^kernel needs a DiscreteSystem first, got tuple"),
    (lambda: ss.kernel(DIGITAL, 0), V, r"^length must be a positive integer, got 0; a kernel has at least its first"),
    (lambda: ss.kernel(DIGITAL, 2.0), V, r"^length must be a positive integer, got 2\.0"),
    (lambda: ss.kernel(GROWING, 2000), V, r"^the kernel overflows at sample 1025 of 2000: the system is unst"),
    (lambda: ss.kernel(ss.modal(GROWING), 2000), V, r"kernel overflows at sample 1025 of 2000"),
    (lambda: ss.lift(SPRING, 4), T, r"^lift needs a DiscreteSystem; discretize first"),
    (lambda: ss.lift(DIGITAL, -1), V, r"^M must be a positive integer, got -1; it is the length of a block"),
    (lambda: ss.convolve(U, DIGITAL), T, r"^convolve takes a kernel, got a DiscreteSystem; write statespace\.kernel\("),
    (lambda: ss.convolve(3.0, U), V, r"^u must be a signal, \(\.\.\., L, m\) or \(L,\), got the number 3\.0"),
    (lambda: ss.convolve(U, 3.0), V, r"^h must be a kernel, .*got h\.shape=\(\); write h\[:, None, None\]"),
    (lambda: ss.convolve(U, [[1.0]]), V, r"^h must be a kernel, .*got h\.shape=\(1, 1\); write .* \(time, output\)"),
    (lambda: ss.convolve(U, []), V, r"^a kernel has at least one sample, h_0 = D, got h\.shape=\(0,\)"),
    (lambda: ss.convolve([1.0, np.nan], U), V, r"^u must be finite, got 1 NaN"),
    (lambda: ss.convolve(U, [1.0, np.inf]), V, r"^h must be finite, got 1 NaN or infinite"),
    (lambda: ss.convolve(np.ones((9, 3)), U), V, r"u has 3 channels .*kernel has 1 inputs; .*say which axis is time"),
    (lambda: ss.convolve(U, np.ones((3, 1, 2))), V, r"u has 1 channels .*the kernel has 2 inputs; u\.shape=\(4,\)"),
    (lambda: ss.convolve(U, np.ones((3, 1, 2)), axis=0), V, r"axis= sends every channel .*\(3, 1, 2\); leave axis out"),
    (lambda: ss.convolve(U, U, axis=1), V, r"^axis must be an axis of u, an integer from -1 to 0, got 1"),
    (lambda: ss.convolve(np.ones((2, 4, 1)), np.ones((3, 4, 1, 1))), V, r"do not broadcast: u has \(2,\), the k"),
    (lambda: ss.simulate(DIGITAL, U, form="fft"), V, r"^form must be one of 'auto', 'recurrent', 'chunked', 'con"),
    (lambda: ss.simulate(DIGITAL, U, form="chunked", states=True), V, r"states=True needs form='recurrent'.*'chunked'"),
    (lambda: ss.simulate(SPRING, U, t=[0, 1, 3, 4], form="convolution"), V, r"on an uneven grid none is; use form="),
    (lambda: ss.explain(SPRING, U, t=[0, 1, 3, 4], form="chunked"), V, r"form='chunked' needs a system that is the sa"),
    (lambda: ss.simulate(DIGITAL, [1.0, np.inf], form="convolution"), V, r"needs a finite u: an FFT would spread inf"),
    (lambda: ss.simulate(DIGITAL_PAIRS, U * 1j, form="convolution"), V, r"conjugate pairs runs on real signals"),
    (lambda: ss.simulate(DIGITAL_PAIRS, np.ones(99) * 1j, form="chunked"), V, r"conjugate pairs runs on real signals"),
    (lambda: ss.explain(TF, U), T, r"^explain needs a ContinuousSystem, DiscreteSystem or SelectiveSystem first, go"),
    (lambda: ss.Stream(SPRING), T, r"^Stream needs a DiscreteSystem; discretize first"),
    (lambda: ss.Stream(DIGITAL_MIMO, axis=0), V, r"Stream runs single-input single-output systems channel by channel"),
    (lambda: ss.Stream(DIGITAL, state=[1.0, 2.0, 3.0]), V, r"^state must have shape \(\.\.\., 2\), one number for"),
    (lambda: ss.Stream(DIGITAL, state="rest"), V, r"^state must be 'zero', 'steady' or an array, got 'rest'"),
    (lambda: ss.Stream(SUM, state="steady"), V, r"it integrates a constant input and has no steady state"),
    (lambda: list(ss.Stream(DIGITAL).run([U, np.ones((2, 4, 1))])), V, r"the first, \(\), got \(2,\); start ano"),
    (lambda: ss.Stream(DIGITAL, axis=0, state=[[1, 2]] * 3).push(np.ones((4, 2))), V, r"^Stream: the batch axes do"),
    (lambda: ss.warmup(SPRING), T, r"^warmup needs a DiscreteSystem; discretize first"),
    (lambda: ss.settling_samples(SPRING), T, r"^settling_samples needs a DiscreteSystem; discretize first"),
    (lambda: ss.settling_samples(DIGITAL, 0), V, r"^tol must lie between 0 and 1, got 0"),
    (lambda: ss.settling_samples(SUM), V, r"does not settle: it is not stable, its largest pole has modulus 1; an int"),
    (lambda: ss.settling_samples(SLOWEST), V, r"does not settle within 8388608 samples: .* modulus 0\.99999999; take"),
    # ---- realize
    (lambda: ss.realize(DECAY), V, r"realize needs exactly one of dt= .*got neither"),
    (lambda: ss.realize(np.ones((20, 3)), dt=1.0), V, r"\(20, 3\); write h\[:, :, None\] for 3 outputs of one input"),
    (lambda: ss.realize(DECAY[:2], dt=1.0), V, r"at least 3 samples, since h_0 is D .*got h\.shape=\(2,\)"),
    (lambda: ss.realize([1.0, np.nan, 0.2], dt=1.0), V, r"h must be finite, got 1 NaN or infinite of 3 values"),
    (lambda: ss.realize(DECAY, 0, dt=1.0), V, r"order must be a positive integer, or None to find it, got 0"),
    (lambda: ss.realize(DECAY, 10, dt=1.0), V, r"order=10 is more than 19 samples after h_0 .*at most 9; give more"),
    (lambda: ss.realize(DECAY, 3, dt=1.0), V, r"order=3 is more than the numerical order 1 of h.*or set tol="),
    (lambda: ss.realize(DECAY, dt=1.0, delay=-1), V, r"delay must be a number of samples .*got -1"),
    (lambda: ss.realize(DECAY, dt=1.0, delay=18), V, r"h has 1 sample after h_0 and a delay of 18, at least 2"),
    (lambda: ss.realize(DECAY, dt=1.0, tol=1.0), V, r"tol must be a number from 0 to below 1, .*got 1\.0"),
    (lambda: ss.realize(DECAY, dt=1.0, unstable="mirror"), V, r"unstable must be one of 'raise', 'keep', "),
    (lambda: ss.realize(1.01 ** np.arange(99.0), dt=1.0), V, r"pole of modulus 1\.01, on or outside .*'keep'.*from"),
    (lambda: ss.realize(DIGITAL, dt=1.0), T, r"^realize takes a kernel, an array, got a DiscreteSystem; write "),
    (lambda: ss.realize(0.9 ** np.arange(99.0), dt=1.0, delay=5), W, r"delay=5 takes samples as 0 that reach 0\.9 of"),
    (lambda: ss.realize(np.append(np.zeros(5000), DECAY), dt=1.0), V, r"a delay of 4999 states makes .*5000 states, "),
    (lambda: ss.realize(NOISY, dt=1.0), W, r"h looks noisy, about 9\.8e-04 rms in a sample: order 1 is what st"),
    (lambda: ss.realize(BENT, dt=1.0, unstable="keep"), W, r"differs from h by \S+ of its peak: the last samples do "),
    # ---- zero phase
    (lambda: ss.filtfilt(SPRING, U), T, r"^filtfilt needs a DiscreteSystem; discretize first, .*or run it .*simulate"),
    (lambda: ss.filtfilt(U, DIGITAL), T, r"^filtfilt needs a DiscreteSystem first and the signal second, got ndarray"),
    (lambda: ss.filtfilt(DIGITAL_MIMO, U), V, r"^filtfilt runs single-input .* 2 inputs and 3 .*, system\[i, j\]"),
    (lambda: ss.filtfilt(DIGITAL, np.ones((3, 4))), V, r"axis is missing: x\.shape=\(3, 4\)"),
    (lambda: ss.filtfilt(STEPS, np.ones((3, 4)), axis=1), V, r"^filtfilt: the batch axes .*\(3, 4\) with time on"),
    (lambda: ss.filtfilt(DIGITAL, [1, np.nan, np.inf]), V, r"x must be finite, got 2 .*, the first is x\[1\].*both"),
    (lambda: ss.filtfilt(DIGITAL, U), V, r"x must be longer than padlen=9, got 4 samples .*padlen=, or .*'gust'"),
    (lambda: ss.filtfilt(DIGITAL, U, padlen=-1), V, r"padlen must be a number of samples, .* from 0 on, got -1"),
    (lambda: ss.filtfilt(DIGITAL, U, padlen=1.0), V, r"padlen must be a number of samples.*got 1\.0"),
    (lambda: ss.filtfilt(DIGITAL, U, padlen=True), V, r"padlen must be a number of samples.*got True"),
    (lambda: ss.filtfilt(DIGITAL, U, padtype="zero"), V, r"padtype must be one of 'odd', 'even', .*, got 'zero'"),
    (lambda: ss.filtfilt(DIGITAL, U, padtype=None, padlen=2), V, r"padtype=None pads nothing, got padlen=2; leave"),
    (lambda: ss.filtfilt(DIGITAL, U, method="odd"), V, r"method must be one of 'pad', 'gust', got 'odd'"),
    (lambda: ss.filtfilt(DIGITAL, U, method="gust", padlen=2), V, r"method='gust' pads nothing, got padlen=2; leave"),
    (lambda: ss.filtfilt(DIGITAL, U, method="gust", padtype="even"), V, r"'gust' pads nothing, got padtype='even'"),
    (lambda: ss.filtfilt(DIGITAL, U, irlen=2), V, r"irlen=2 belongs to method='gust'; write method='gust', or leave"),
    (lambda: ss.filtfilt(DIGITAL, U, method="gust", irlen=0), V, r"irlen must be a number of .* from 1 on, got 0"),
    (lambda: ss.filtfilt(SUM, U, padtype=None), V, r"from a steady state, padded or not, but .*pole at 1.*'gust'"),
    (lambda: ss.filtfilt(DIGITAL_PAIRS, U * 1j, padtype=None), V, r"stored as conjugate pairs runs on .*u\.real"),
    # ---- responses
    (lambda: ss.impulse_response(U), T, r"a response needs a ContinuousSystem or DiscreteSystem, got ndarray"),
    (lambda: ss.step_response(DIGITAL, 0), V, r"length must be a positive number of samples, got 0"),
    (lambda: ss.step_response(DIGITAL, -3), V, r"length must be a positive number of samples, got -3"),
    (lambda: ss.step_response(DIGITAL, 3.0), V, r"length must be a positive number of samples, got 3\.0"),
    (lambda: ss.step_response(DIGITAL, True), V, r"length must be a positive number of samples, got True"),
    (lambda: ss.impulse_response(DIGITAL, dt=0.1), V, r"a discrete system has its own dt=0\.1; give length= alone"),
    (lambda: ss.impulse_response(SPRING, 5, t=[0, 1]), V, r"give the stamps t= alone, or length= with dt= or fs="),
    (lambda: ss.impulse_response(SPRING, t=[-1, 1]), V, r"t counts from the impulse or step .*negative, got t\[0\]=-1"),
    (lambda: ss.impulse_response(SPRING, t=[1, 2]), V, r"must start at 0, got t\[0\]=1\.0; prepend 0"),
    (lambda: ss.impulse_response(SPRING, dt=0.1, fs=10), V, r"the response needs exactly one of dt= .* and fs="),
    (lambda: ss.impulse_response(SPRING, dt=[]), V, r"dt must be .*got \[\]"),
    (lambda: ss.impulse_response(NO_INPUT), V, r"the system has no inputs, so there is no response to one"),
    # ---- frequency
    (lambda: ss.frequency_response(U), T, r"frequency_response needs a ContinuousSystem or .*, got ndarray"),
    (lambda: ss.frequency_response(SPRING, [[1.0]]), V, r"omega must be one row of finite real .*shape \(1, 1\)"),
    (lambda: ss.frequency_response(SPRING, [1j]), V, r"omega must be one row of finite real .*dtype complex128"),
    (lambda: ss.frequency_response(SPRING, [np.nan]), V, r"omega must be one row of finite real numbers"),
    # ---- export
    (lambda: ss.to_c(SPRING, "spring"), T, r"^to_c needs a DiscreteSystem, got a ContinuousSystem; discretize first"),
    (lambda: ss.to_c("spring", DIGITAL), T, r"^to_c needs a DiscreteSystem first, got str"),
    (lambda: ss.to_c(DIGITAL, "low-pass"), V, r"^name must be a C identifier .* no keyword of C .*got 'low-pass'"),
    (lambda: ss.to_c(DIGITAL, "double"), V, r"^name must be a C identifier .* no keyword of C .*got 'double'"),
    (lambda: ss.to_c(DIGITAL, "x", "float16"), V, r"^dtype must be one of 'float32', 'float64', got 'float16'"),
    (lambda: ss.to_c(STEPS, "x"), V, r"^to_c writes one system, got a batch of shape \(2,\); pick one: A, B, C, D = "),
    (lambda: ss.to_c(ss.from_zpk([], [0.5j], 1, dt=1), "x"), V, r"^to_c writes real systems, got a complex .*pairs"),
    (lambda: ss.to_c(ss.discretize(NO_INPUT, 0.1), "x"), V, r"^to_c needs .* one input .*, got 0 inputs and 1 outputs"),
    (lambda: ss.to_c(DIGITAL * 1e-50, "x"), V, r"coefficient c\[0\] = 1e-50 is beyond the range of float32, .*float64"),
    (lambda: ss.to_c(DIGITAL * 1e50, "x"), V, r"coefficient c\[0\] = 1e\+50 is beyond the range of float32"),
    (lambda: ss.to_c(ss.from_zpk([], [1 - 1e-9], 1, dt=1), "x"), W, r"make the stable .*radius 0\.999999999 to 1; use"),
    (lambda: ss.save("spring", SPRING), T, r"^save needs a ContinuousSystem or DiscreteSystem first, got str"),
    (lambda: ss.save(SPRING, 3), T, r"^save needs a path, a str or os\.PathLike, got int"),
    (lambda: ss.save(discrete(dt=1, method=SPRING), "x"), T, r"^save knows the methods ZeroOrderHold, .*, got Cont"),
    (lambda: ss.load(SPRING), T, r"^load needs a path, a str or os\.PathLike, got ContinuousSystem"),
    (lambda: loaded(b"hello"), V, r"wrong\.npz' is no \.npz file, it begins with b'hello'; load reads what save wrote"),
    (lambda: loaded(npz(x=U)[:-9]), V, r"wrong\.npz' is damaged or cut short: .*; take a copy"),
    (lambda: loaded(npz(x=U)), V, r"wrong\.npz' is an \.npz, but none of statespace\.save: it holds 'x'; .*numpy\.l"),
    (lambda: loaded(npz(OURS, B=np.array([{}]))), V, r"wrong\.npz' holds an array that cannot be read: Object arrays"),
    (lambda: loaded(npz("x")), V, r"is an \.npz, but none of statespace\.save: its text 'statespace' is of another"),
    (lambda: loaded(npz(OURS | {"version": 2})), V, r"is written in version 2 of .* reads version 1; update"),
    (lambda: loaded(npz(OURS | {"version": 0})), V, r"is written in version 0 of the format, .* reads version 1$"),
    (lambda: loaded(npz(OURS | {"structure": "X"})), V, r"asks for the structure 'X', which is not known .*Dense, "),
    (lambda: loaded(npz(OURS)), V, r"wrong\.npz' does not describe a system: 'parts' is missing"),
    # ---- scipy_signal
    (lambda: DOOR.cont2discrete(TF, 0.1, "matched"), V, r"method must be one of 'gbt', 'bilinear', .*got 'matched'"),
    (lambda: DOOR.cont2discrete(TF, [0.1, 0.2]), V, r"cont2discrete takes one dt, got \[0\.1, 0\.2\]; "),
    (lambda: DOOR.cont2discrete(TF, 0.1, "gbt"), V, r"method='gbt' needs alpha=, its weight from 0 to 1"),
    (lambda: DOOR.cont2discrete(TF, 0.1, "gbt", 2), V, r"needs a weight from 0 to 1, got 2"),
    (lambda: DOOR.cont2discrete(([1, 0], [1, 1]), 0.1, "impulse"), V, r"'impulse' needs a system without feedthrough"),
    (lambda: DOOR.cont2discrete(U, 0.1), T, r"cont2discrete takes tuples and systems of scipy\.signal, got ndarray"),
    (lambda: DOOR.cont2discrete((1, 2, 3, 4, 5), 0.1), V, r"takes \(num, den\), .* or \(A, B, C, D\); got 5 parts"),
    (lambda: DOOR.dlsim((1, 0.1), U), V, r"dlsim takes .*, each with dt at the end; got 1 parts"),
    (lambda: DOOR.lsim(DIGITAL, U, U), A, r"lsim needs a continuous system; it has dt=0\.1, dlsim runs it"),
    (lambda: DOOR.dlsim(SPRING, U), A, r"dlsim needs a discrete system; lsim runs it"),
    (lambda: DOOR.bode(([1], [0, 0])), V, r"num must be one row .* not all zero, got shapes \(1,\) and \(2,\)"),
    (lambda: DOOR.bode(([], [], [1, 2])), V, r"zeros and poles must be rows and the gain one.*\(0,\) and \(2,\)"),
    (lambda: DOOR.bode(tuple(MIMO)), V, r"bode needs one input and one output, the system has 2 and 3"),
    (lambda: DOOR.bode(TF, n=2.0), V, r"n must be a number of frequencies, got 2\.0"),
    (lambda: DOOR.lsim(TF, U, [[0, 1]]), V, r"T must be one row of real times, got shape \(1, 2\) and dtype float64"),
    (lambda: DOOR.lsim(TF, U, [-1, 0, 1, 2]), V, r"Initial time must be nonnegative, .*; got T\[0\]=-1\.0"),
    (lambda: DOOR.lsim(TF, U, [0, 1, 3, 4]), V, r"not equally spaced\. statespace\.simulate\(.* runs on any"),
    (lambda: DOOR.lsim(TF, U, [0, 1]), V, r"U must have one row for each time .*, \(2, 1\), got \(4, 1\)"),
    (lambda: DOOR.lsim(TF, np.ones((1, 1, 1)), [0]), V, r"U must have two axes, .*got U\.shape=\(1, 1, 1\)"),
    (lambda: DOOR.lsim(TF, U, [0, 1, 2, 3], [1, 2]), V, r"X0 must have one number for each of the 1 states.*\(2,\)"),
    (lambda: DOOR.step(TF, N=0), V, r"N must be a positive number of times, got 0"),
    (lambda: DOOR.impulse(tuple(MIMO)), V, r"impulse needs one input, the system has 2; statespace\.impulse_response"),
    (lambda: DOOR.dlsim((*TF, 0.1), U, [0, 2, 1, 3]), V, r"t must hold a time for each of the 4 rows of u, increasing"),
    (lambda: DOOR.sosfilt([[1, 0, 0, 2, 0, 0]], U), V, r"sos\[:, 3\] should be all ones, got \[2\.0\]; divide each"),
    (lambda: DOOR.sosfilt(np.ones((0, 6)), U), V, r"sos must have shape \(sections, 6\), one row at least, got"),
    (lambda: DOOR.sosfilt([1, 0, 0, 1, 0, 0], U, zi=[1]), V, r"Invalid zi shape: .*needs \(1, 2\), got \(1,\)"),
    (lambda: DOOR.lfilter([[1]], [1], U), V, r"b must be one row of coefficients, got shape \(1, 1\)"),
    (lambda: DOOR.lfilter([1], [0, 1], U), V, r"a\[0\] must not be 0, it multiplies y\[k\]; got a=\[0, 1\]"),
    (lambda: DOOR.lfilter([1, 1], [1], U, zi=[1, 2]), V, r"zi must have shape \(1,\), .*\(1 on another .*got \(2,\)"),
    (lambda: DOOR.freqz_sos([1, 0, 0, 1, 0, 0], fs=0), V, r"Sampling frequency fs must be a single scalar.*got 0"),
    (lambda: DOOR.freqz_sos([1, 0, 0, 1, 0, 0], -1), V, r"worN must be a number of frequencies, 0 or more, .*got -1"),
    # ---- names of other libraries
    (lambda: SPRING.discretize, A, r"ContinuousSystem has no attribute 'discretize'; .*statespace\.discretize\("),
    (lambda: SPRING.c2d, A, r"here it is statespace\.discretize\(system, dt, method\)"),
    (lambda: DIGITAL.lsim, A, r"DiscreteSystem has no attribute 'lsim'; here it is statespace\.simulate\(system, u"),
    (lambda: SPRING.bode, A, r"here it is statespace\.plot\.bode\(system\)"),
    (lambda: SPRING.nonsense, A, r"ContinuousSystem has no attribute 'nonsense'$"),
    (lambda: ss.c2d, A, r"module 'statespace' has no attribute 'c2d'; here it is statespace\.discretize\(system, dt"),
    (lambda: ss.lsim, A, r"here it is statespace\.simulate\(system, u, t=t\)"),
    (lambda: ss.bode, A, r"here it is statespace\.plot\.bode\(system\)"),
    (lambda: ss.sosfilt, A, r"here it is statespace\.filter\(from_sos\(sos, dt=dt\), x, axis=axis\)"),
    (lambda: ss.dcgain, A, r"here it is system\.dc_gain$"),
    (lambda: ss.nonsense, A, r"module 'statespace' has no attribute 'nonsense'$"),
    # ---- testing: what is held against a law
    (lambda: KIT.nonsense, A, r"^module 'statespace\.testing' has no attribute 'nonsense'$"),
    (without_hypothesis, ImportError, r"^statespace\.testing\.strategies needs Hypothesis: python -m pip inst"),
    (
        lambda: ss.testing.assert_linear(np.cumsum, U, U, system=ss.DiscreteSystem([[0.5]], [[1.0]], [[1], [2]], dt=1)),
        V,
        r"^the bound does not fit the answers: it comes from a system of 2 outputs and batch axes \(\), the answers",
    ),
    (lambda: WRAP(3), T, r"^from_matrices needs a function \(A, B, C, D, dt\), got 3$"),
    (lambda: WRAP(len)(DIGITAL, 0.1), T, r"^a discretization needs a ContinuousSystem, got DiscreteSystem"),
    (lambda: WRAP(lambda *a: a[:3])(LAG, 1), F, r"^the function must return \(A, B, C, D\), got 3 values\n"),
    (lambda: WRAP(lambda *a: [np.nan * m for m in a])(LAG, 1), F, r"^the function returned no system: A must be fin"),
    (lambda: WRAP(lambda *a: 3)(LAG, 1), T, r"^as_system takes systems of scipy\.signal and control, .*int"),
    (lambda: LINEAR(3, U, U), T, r"^function must be a DiscreteSystem or a function u -> y, got 3$"),
    (lambda: LINEAR(LAG, U, U), T, r"^function is a ContinuousSystem, .* no samples; give statespace\.discr"),
    (lambda: LINEAR(lambda u: "y", U, U), T, r"^function must return an array of numbers, got 'y'"),
    (lambda: LINEAR(np.diff, U, U), F, r"^function returned an array of shape \(3,\) for u\.shape=\(4,\): w"),
    (lambda: LINEAR(len, U, U), F, r"^function returned .*\(\) for .*\(L,\) or \(L, p\) with L=4, as many samples"),
    (lambda: LINEAR(len, [U], [U]), F, r"for u\.shape=\(1, 4\): wanted \(\.\.\., L, p\) with L=1, as many"),
    (lambda: LINEAR(DIGITAL, 3.0, U), V, r"^u must have an axis of time, .*got a single number 3\.0"),
    (lambda: LINEAR(DIGITAL, [U], U), V, r"^u has 4 inputs, the system has 1; u\.shape=\(1, 4\)"),
    (lambda: LINEAR(DIGITAL, U, [[1, 2]]), V, r"^v has 2 inputs, the system has 1; v\.shape=\(1, 2\)"),
    (lambda: LINEAR(DIGITAL, [1, np.nan], U), V, r"^u must be finite, got 1 NaN"),
    (lambda: LINEAR(DIGITAL, U, U[:2]), V, r"^u and v must have one shape, got u\.shape=\(4,\) and v\.sh"),
    (lambda: LINEAR(DIGITAL, U, U, a=np.inf), V, r"^a must be a finite number, got inf"),
    (lambda: LINEAR(DIGITAL, U, U, b="2"), V, r"^b must be a finite number, got '2'"),
    (lambda: LINEAR(DIGITAL, U, U, slack=0), V, r"^slack must be a positive number, got 0; it multiplies the"),
    (lambda: LINEAR(np.sin, U, U, system=LAG), T, r"^system must be the DiscreteSystem that the function sh"),
    (lambda: LINEAR(lambda u: np.ones((4, 1 + (u[0] > 1))), U, 2 * U), F, r"^f must answer signals of one shape"),
    (lambda: LINEAR(np.abs, U, U), F, r"^linearity does not hold for output 0 at sample 0:\n  f\(a·u \+ b"),
    (lambda: DELAYED(DIGITAL, U, -1), V, r"^delay must be a number of samples, 0 or more, got -1"),
    (lambda: DELAYED(DIGITAL, U, 1.0), V, r"^delay must be a number of samples, 0 or more, got 1\.0"),
    (lambda: DELAYED(DIGITAL, U, True), V, r"^delay must be a number of samples, .*got True"),
    (lambda: ALIKE(len, len), V, r"^u is missing: neither side is a system that could say .*; give u="),
    (lambda: ALIKE(DIGITAL, SPRING), T, r"^second is a ContinuousSystem, which has no samples"),
    (lambda: ALIKE(DIGITAL, ss.discretize(SPRING, 0.2)), F, r"^equivalence does not hold: one step is dt=0\.1"),
    (lambda: ALIKE(np.cumsum, np.cumsum, np.ones(10**4, np.float32)), V, r"^without a system the bound is 8·eps"),
    (lambda: ALIKE(lambda u: np.full_like(u, np.nan), DIGITAL, U), F, r"^first returned NaN or infinity from sam"),
    (lambda: DRAWN(margin=1e9), V, r"^margin=1e\+09 is more than the speeds: time_scale up to 10000 times"),
    (lambda: ALIKE(DIGITAL, DIGITAL, angle=-1), V, r"^angle must be a number, 0 or more, got -1; it is the"),
    (lambda: ALIKE(DIGITAL, DIGITAL, length=0), V, r"^length must be a positive number, got 0; it is a n"),
    (lambda: ALIKE(GROWING, GROWING, np.ones(2000)), OverflowError, r"^the bound overflows: .* within 2000 samp"),
    (lambda: ALIKE(DIGITAL, DIGITAL_MIMO), V, r"^u has one channel, the system has 2 inputs"),
    (lambda: ALIKE(DIGITAL, DIGITAL[[0, 0], :]), F, r"^equivalence does not hold: first has shape .*, 1\) and se"),
    (lambda: ALIKE(DIGITAL, 2 * DIGITAL), F, r"^equivalence does not hold for output 0 at sample 1:\n  f"),
    (lambda: FORMS(SPRING), T, r"^system must be a DiscreteSystem, got ContinuousSystem"),
    (lambda: FORMS(DIGITAL, forms=()), V, r"^forms is empty; name one, such as 'chunked', or give \{'mi"),
    (lambda: FORMS(DIGITAL, forms={"x": 3}), T, r"^forms\['x'\] must be a function \(system, u\) -> y, "),
    (lambda: FORMS(DIGITAL, forms="fft"), V, r"^form must be one of 'auto', 'recurrent', .*got 'fft'"),
    (lambda: FORMS(DIGITAL, forms=3), V, r"^form must be one of .*got '3'"),
    (lambda: STREAMED(DIGITAL, U, 4), T, r"^chunks must be the lengths of the blocks, such as .*got 4"),
    (lambda: STREAMED(DIGITAL, U, (1.5, 2.5)), T, r"^chunks must be the lengths .*got \(1\.5, 2\.5\)"),
    (lambda: STREAMED(DIGITAL, U, (3, 2)), V, r"^chunks must be lengths from 0 .* u, 4, .* sum to 5"),
    (lambda: STREAMED(DIGITAL, U, (5, -1)), V, r"^chunks must be lengths from 0 on that sum to .*-1"),
    (lambda: STREAMED(DIGITAL, U, ()), V, r"^chunks must be lengths from 0 .*got \(\), which sum to 0"),
    (lambda: STREAMED(3, U, (4,)), T, r"^stream must be a DiscreteSystem or a function u -> y, got 3"),
    (lambda: STREAMED(lambda u, s: u, U, (4,)), T, r"^the stream must return a pair \(y, state\), got"),
    (lambda: ORDER("zoh", 0), V, r"^order must be a positive number, got 0$"),
    (lambda: ORDER("zoh", 1, DIGITAL), T, r"^system must be a ContinuousSystem, got Discret"),
    (lambda: ORDER("zoh", 1, ss.ContinuousSystem([[[-1]]], [[1]], [[1]])), V, r"axes \(1,\); mea"),
    (lambda: ORDER("zoh", 1, dt=0), V, r"^dt must be positive and finite, got 0"),
    (lambda: ORDER("zoh", 1, dt=[0.1, 0.2]), V, r"^dt must be one step, the coarsest, got \[0\.1, 0\.2\]"),
    (lambda: ORDER(3, 1), T, r"^method must be a name or a method object such as Bilinear"),
    (lambda: ORDER(lambda s, dt: s, 1), T, r"must return a DiscreteSystem, got Con.*from_matrices"),
    (lambda: ORDER("zoh", 2), F, r"^order 2 does not hold: measured is 1\.0\d\n  errors .* at dt="),
    # ---- testing: a gradient
    (lambda: GRADIENT(3, square_vjp, X), T, r"^function must be a function \(\*args\) -> y, got 3"),
    (lambda: GRADIENT(square, None, X), T, r"^vjp must be a function \(\*args\) -> \(y, pullback\), got None"),
    (lambda: GRADIENT(square, square_vjp), V, r"^assert_gradient needs the arguments .* got none; write them"),
    (lambda: GRADIENT(square, square_vjp, X, step=0), V, r"^step must be a positive number, got 0; it is relative"),
    (lambda: GRADIENT(square, square_vjp, X, step="1"), V, r"^step must be a positive number, got '1'"),
    (lambda: GRADIENT(square, square_vjp, X, slack=-1), V, r"^slack must be a positive number, got -1"),
    (lambda: GRADIENT(square, square_vjp, X, slack=True), V, r"^slack must be a positive number, got True"),
    (lambda: GRADIENT(square, square_vjp, X, slack=np.nan), V, r"^slack must be a positive number, got nan"),
    (lambda: GRADIENT(square, square_vjp, X, seed=-1), V, r"^seed must be an integer, 0 or more, got -1"),
    (lambda: GRADIENT(square, square_vjp, X, seed=0.5), V, r"^seed must be an integer, 0 or more, got 0\.5"),
    (lambda: GRADIENT(square, square_vjp, [1, 2]), V, r"^no argument can be .* got int64; give at least one as"),
    (lambda: GRADIENT(square, square_vjp, None), V, r"^no argument can be differentiated, got None; "),
    (lambda: GRADIENT(square, square_vjp, "abc"), T, r"^argument 0 must hold numbers, got dtype <U3"),
    (lambda: GRADIENT(square, square_vjp, [[1.0], [1.0, 2.0]]), V, r"^argument 0 is not a rectangular array"),
    (lambda: GRADIENT(square, square_vjp, X / [1, np.inf] * np.nan), V, r"^argument 0 must be finite, got 2"),
    (lambda: GRADIENT(lambda x: "y", square_vjp, X), T, r"^function must return y as an array of floats.*'y'"),
    (lambda: GRADIENT(lambda x: x > 0, square_vjp, X), T, r"^function must return y as .*got dtype bool"),
    (lambda: GRADIENT(lambda x: x * np.nan, square_vjp, X), V, r"^y of function must be finite, got 2 NaN"),
    (
        lambda: GRADIENT(lambda x: np.where(x == X, x, np.nan), lambda x: (x, lambda g: (g,)), X),
        V,
        r"^function must be finite near its arguments, .* at relative steps from 0\.0156 to .*; give a smaller step",
    ),
    (
        lambda: GRADIENT(lambda x: x[: 2 - (x[0] != 1)], lambda x: (x, lambda g: (g,)), X),
        V,
        r"^function must return one shape at all arguments, got \(2,\) and \(1,\)",
    ),
    (lambda: GRADIENT(square, square, X), T, r"^vjp must return a pair \(y, pullback\), .*got array\(\["),
    (lambda: GRADIENT(square, lambda x: (x**2, x), X), T, r"^vjp must return a pair .* the second a function"),
    (lambda: GRADIENT(square, lambda x: (x**2, len, 0), X), T, r"^vjp must return a pair "),
    (lambda: GRADIENT(square, lambda x: ("y", len), X), T, r"^vjp must return y as an array of floats"),
    (lambda: GRADIENT(square, lambda x: (x[:1], len), X), F, r"^vjp must return the y .*\(1,\) beside \(2,\)"),
    (
        lambda: GRADIENT(square, lambda x: (x**2 * (1 + 1e-12), len), X),
        F,
        r"^vjp must return the y of function, got 1\.000000000001 beside 1\.0 at entry \[0\], allowed is .*\n\nimport",
    ),
    (lambda: pulled(lambda x, g: (g, g)), F, r"^pullback must return a tuple of 1 gradients, one per argument, got 2"),
    (lambda: pulled(lambda x, g: g), F, r"^pullback must .*got a ndarray"),
    (lambda: pulled(lambda x, g: (None,)), F, r"argument 0 is None, wanted an arr"),
    (
        lambda: pulled(lambda x, g: (g[:1],)),
        F,
        r"^the gradient of argument 0 has shape \(1,\), wanted that of the argument, \(2,\)",
    ),
    (
        lambda: pulled(lambda x, g: (2j * x * g,)),
        F,
        r"^the gradient of argument 0 has dtype complex128, wanted real floats",
    ),
    (
        lambda: pulled(lambda x, g: (g.real,), X * 1j),
        F,
        r"^the gradient of argument 0 has dtype float64, wanted complex floats",
    ),
    (
        lambda: pulled(lambda x, g: (2 * x * g**2,)),
        F,
        r"^pullback must be linear: pullback\(2·grad_y\) and .* for argument 0, allowed is .*\n\nimport numpy as np",
    ),
    (
        lambda: pulled(lambda x, g: (2 * x * g + 1e-300 * (not g.any()),)),
        F,
        r"^pullback must be linear: pullback\(0\) is not 0 for argument 0",
    ),
    (
        lambda: pulled(lambda x, g: (x * g,)),
        F,
        r"^the gradient of argument 0 is wrong at entry \[\d\]:\n  pullback .*\n  difference quotient .*\n  they ",
    ),
    # ---- testing: what may be drawn
    (lambda: POLES(time="z"), V, r"^time must be one of 'continuous', 'discrete', got 'z'"),
    (lambda: POLES(0), V, r"^n must be at least 1, got 0"),
    (lambda: POLES(2.0), T, r"^n must be an integer, got 2\.0"),
    (lambda: POLES(3, damping=(0, 0.5)), V, r"^3 poles cannot all be complex pairs: .*or for dtype=complex"),
    (lambda: POLES(margin=-1), V, r"^margin must be 0 or more \(Re λ ≤ −margin\), got -1"),
    (lambda: POLES(margin=1, time="discrete"), V, r"^margin must be from 0 to below 1 \(\|λ\| ≤ 1 − m.*got 1"),
    (lambda: POLES(margin=np.nan), V, r"^margin must be 0 or more .*got nan"),
    (lambda: POLES(margin=0.1, damping=(0, 0)), V, r"^margin=0\.1 asks for a decay that damping=0 to 0 can"),
    (lambda: POLES(margin=0.9, damping=(0, 0.5), time="discrete"), V, r"upper end must be above 0\.611"),
    (lambda: POLES(damping=(0.5, 0.1)), V, r"^damping must be a range \(low, high\) from 0 to 1, got \(0\.5"),
    (lambda: POLES(damping=(0, 2)), V, r"^damping must be a range .*got \(0, 2\)"),
    (lambda: POLES(damping=0.5), V, r"^damping must be a range .*got 0\.5"),
    (lambda: POLES(damping=(np.nan, 1)), V, r"^damping must be a range .*got \(nan, 1\)"),
    (lambda: POLES(stiffness=0.5), V, r"^stiffness is the ratio of two speeds, from 1 to 1e100, got 0\.5"),
    (lambda: POLES(stiffness=np.inf), V, r"^stiffness is the ratio of two speeds, from 1 to 1e100, got inf"),
    (lambda: POLES(dtype=int), T, r"^dtype must be one of float32, .*got <class 'int'>"),
    (lambda: POLES(dtype=None), T, r"^dtype must be one of float32, .*got None"),
    (lambda: DRAW.bases(None), T, r"^n must be an integer, got None"),
    (lambda: DRAW.bases(-1), V, r"^n must be at least 0, got -1"),
    (lambda: DRAWN("z"), V, r"^time must be one of 'continuous', 'discrete', got 'z'"),
    (lambda: DRAWN(structure="sparse"), V, r"^structure must be one of 'dense', .*got 'sparse'"),
    (lambda: DRAWN(structure=()), V, r"^structure is empty; name one, such as 'dense', or leave it out"),
    (lambda: DRAWN("discrete", dt=[0.1, 0.2]), V, r"^dt must be one step, got \[0\.1, 0\.2\]"),
    (lambda: DRAWN(structure="delay"), V, r"^structure 'delay' is not possible: a delay line is discrete; ask"),
    (lambda: DRAWN(structure="low_rank"), V, r"^structure 'low_rank' is not possible: it is complex; ask for"),
    (lambda: DRAWN(structure="pairs", dtype=complex), V, r"'pairs' is not possible: pairs stand for a real sy"),
    (lambda: DRAWN(structure="pairs", max_states=1), V, r"'pairs' is not possible: pairs need an even number"),
    (lambda: DRAWN(structure="pairs", damping=(0.95, 1)), V, r"'pairs' is not .*: damping leaves no complex po"),
    (lambda: DRAWN(structure="diagonal", damping=(0, 0.5)), V, r"'diagonal' is not .* real diagonal has real po"),
    (lambda: DRAWN(structure="diagonal", max_states=0), V, r"'diagonal' is not .*it has a state, and max_states"),
    (lambda: DRAWN(structure="cascade", inputs=2), V, r"'cascade' is not .*it has one input and one output, and"),
    (lambda: DRAWN("discrete", structure="delay", damping=(0, 0.5)), V, r"its poles are 0, whose damping is 1"),
    (lambda: DRAWN(min_states=1, max_states=1, damping=(0, 0.5)), V, r"^no structure is left: dense is not po.*even"),
    (lambda: DRAWN(min_states=3, max_states=2), V, r"^max_states must be at least 3, got 2"),
    (lambda: DRAWN(min_states=-1), V, r"^min_states must be at least 0, got -1"),
    (lambda: DRAWN(inputs=0), V, r"^inputs must be at least 1, got 0"),
    (lambda: DRAWN(outputs=(2, 1)), V, r"^outputs must be a number or a range \(low, high\), got \(2, 1\)"),
    (lambda: DRAWN(batch=(0,)), V, r"^batch must be at least 1, got 0"),
    (lambda: DRAWN(time_scale=(2, 5)), V, r"^time_scale must hold a power of ten, got 2 to 5"),
    (lambda: DRAWN(time_scale=(0, 1)), V, r"^time_scale must be a range .* from 1e-300 to 1e\+300, got \(0"),
    (lambda: DRAWN(dt=0.1), V, r"^a continuous system has no dt, got dt=0\.1; ask for time='discrete'"),
    (lambda: DRAWN("discrete", dt=0), V, r"^dt must be positive and finite, got 0"),
    (lambda: DRAW.signals(-1), V, r"^length must be at least 0, got -1"),
    (lambda: DRAW.signals(2.5), T, r"^length must be an integer, or None to draw it, got 2\.5"),
    (lambda: DRAW.signals(True), T, r"^length must be an integer, .*got True"),
    (lambda: DRAW.signals(4, -2), V, r"^channels must be at least 0, got -2"),
    (lambda: DRAW.signals(4, "two"), T, r"^channels must be an integer, .*got 'two'"),
    (lambda: DRAW.signals(dtype=int), T, r"^dtype must be one of float32, float64, complex64, complex128, got <class"),
    (lambda: DRAW.signals(dtype="abc"), T, r"^dtype must be one of .*got 'abc'"),
    (lambda: DRAW.signals(dtype=None), T, r"^dtype must be one of .*got None"),
    (lambda: DRAW.signals(dtype="float16"), T, r"^dtype must be one of .*got 'float16'"),
    (lambda: DRAW.signals(batch=2), T, r"^batch must be a tuple of sizes, .*such as \(\) or \(2,\), got 2"),
    (lambda: DRAW.signals(batch=(2, -1)), T, r"^batch must be a tuple of sizes, 0 or more each, .*got \(2, -1\)"),
    (lambda: DRAW.chunkings(None), T, r"^length must be an integer, got None"),
    (lambda: DRAW.chunkings(-1), V, r"^length must be at least 0, got -1"),
    (lambda: DRAW.chunkings([3]), T, r"^length must be an integer, got \[3\]"),
    (lambda: DRAW.time_steps(DIGITAL), T, r"^time_steps takes a continuous system; this one is discrete .*system\.dt"),
    (lambda: DRAW.time_steps(0.1), T, r"^time_steps takes a ContinuousSystem or None, got 0\.1"),
    (lambda: DRAW.time_steps(LAG, aliased=1), T, r"^aliased must be True or False, got 1"),
    (lambda: DRAW.time_steps(LAG, trivial="yes"), T, r"^trivial must be True or False, got 'yes'"),
    (lambda: DRAW.irregular_grids(DIGITAL), T, r"^irregular_grids takes a continuous system; this one is discrete"),
    (lambda: DRAW.irregular_grids("lag"), T, r"^irregular_grids takes a ContinuousSystem or None, got 'lag'"),
    (lambda: DRAW.irregular_grids(LAG, -3), V, r"^length must be at least 0, got -3"),
    (lambda: DRAW.irregular_grids(LAG, 3, uniform=None), T, r"^uniform must be True or False, got None"),
    (lambda: DRAW.irregular_grids(LAG, 1, uniform=True), V, r"^a uniform grid needs at least 2 stamps .*got length=1"),
    (lambda: DRAW.discretizations(0.0), V, r"^dt must be positive and finite, got 0\.0"),
    (lambda: DRAW.discretizations("zoh"), T, r"^dt must be a number, got 'zoh'"),
    (lambda: DRAW.discretizations(siso=1), T, r"^siso must be True or False, got 1"),
    (lambda: DRAW.discretizations(keeps_stability=0), T, r"^keeps_stability must be True or False, got 0"),
    (lambda: DRAW.selective_inputs(4, 3, groups=2), V, r"^groups must divide .*=2 and channels=3; take channels=4"),
    (lambda: DRAW.selective_inputs(groups=0), V, r"^groups must be at least 1, got 0"),
    (lambda: DRAW.selective_inputs(-1), V, r"^length must be at least 0, got -1"),
    (lambda: DRAW.selective_inputs(4, -1), V, r"^channels must be at least 0, got -1"),
    (lambda: DRAW.selective_inputs(4, 1, -1), V, r"^states must be at least 0, got -1"),
    (lambda: DRAW.selective_inputs(states=1.0), T, r"^states must be an integer, .*got 1\.0"),
    (lambda: DRAW.selective_inputs(constant="B"), T, r"^constant must be True or False, got 'B'"),
    (lambda: DRAW.selective_inputs(batch=None), T, r"^batch must be a tuple of sizes, .*got None"),
    (lambda: DRAW.selective_inputs(dtype="real"), T, r"^dtype must be one of .*got 'real'"),
]  # fmt: skip
CASES += selective_errors.CASES + mamba_errors.CASES


@pytest.mark.parametrize(("call", "kind", "text"), CASES, ids=[re.sub(r"\W+", " ", text)[:50] for _, _, text in CASES])
def test_the_error_is_clear(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert type(caught.value) is kind  # not a subclass such as NumPy's LinAlgError
    message = str(caught.value).partition("\n\nimport numpy")[0]  # an assertion ends in lines to paste
    assert len(message) < 400
    assert "\n" not in message or kind is F


# --------------------------------------------------------------- nothing is missed

ROOT = Path(ss.__file__).parent
ELSEWHERE = {"plot.py", "plot"}  # their messages are matched in tests of their own


@cache
def complaints():
    """(file, first line, last line) of every raise and every warning of the source."""
    found = []
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            warns = isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
            if isinstance(node, ast.Raise) or warns:
                found.append((path, node.lineno, node.end_lineno))
    return found


def reached(call):
    """(file, line) of every frame of the error that a call ends in."""
    try:
        call()
    except (Exception, ss.AccuracyWarning) as error:
        return {(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)}
    return set()


def test_every_raise_is_in_the_table():
    lines = set().union(*(reached(call) for call, _, _ in CASES))
    missed = [
        f"{path.relative_to(ROOT)}:{first}"
        for path, first, last in complaints()
        if not any(file == path and first <= line <= last for file, line in lines)
    ]
    assert not missed


# --------------------------------------------------------------- no raw error of NumPy, SciPy or numba

WRONG = {
    "a word": "abc", "None": None, "an object": object(), "a type": int, "ragged": [[1, 2], [3]], "0-d": np.array(1.0),
    "empty": [], "empty 2-D": [[]], "no rows": np.zeros((0, 0)), "4-D": np.ones((1, 2, 3, 4)), "complex": [1j, 2.0],
    "bool": True, "negative": -3, "zero": 0, "huge": 10**30, "NaN": [np.nan, 1.0], "inf": np.inf,
    "objects": np.array([1, None]), "words": ["a", "b"], "a dict": {"a": 1}, "a set": {1}, "bytes": b"a", "dates": DAYS,
    "records": np.zeros(2, [("a", float)]), "a function": len, "a system": SPRING, "another system": DIGITAL_MIMO,
    "a slice": slice(2), "dots": ..., "a generator": (i for i in range(3)), "1-D": np.ones(2),
}  # fmt: skip
CALLS = {  # every argument of these is replaced by every wrong thing
    ss.ContinuousSystem: {"A": [[-1.0]], "B": [[1.0]], "C": [[1.0]], "D": [[0.0]], "time_unit": "s"},
    ss.DiscreteSystem: {"A": [[0.5]], "B": [[1.0]], "C": [[1.0]], "D": [[0.0]], "dt": 0.1, "fs": None, "method": None},
    ss.Dense: {"matrix": [[1.0]], "poles": [1.0]},
    ss.Diagonal: {"poles": [1.0], "pairs": False},
    ss.Cascade: {"poles": [-1.0], "zeros": [None], "gains": [1.0]},
    ss.DelayLine: {"length": 2},
    ss.DiagonalPlusLowRank: {"diag": [1.0], "P": [[1.0]], "Q": [[1.0]], "poles": [1.0]},
    ss.hippo.legs: {"n": 2, "C": [[1.0, 2.0]]},
    ss.hippo.legt: {"n": 2},
    ss.hippo.fourier: {"n": 2},
    ss.hippo.legs_dplr: {"n": 2, "C": None},
    ss.hippo.s4d_lin: {"n": 4, "C": [[1.0, 2.0]]},
    ss.from_zpk: {"z": [-1.0], "p": [0.2, 0.3], "k": 1.0, "dt": 1.0, "fs": None, "time_unit": "s"},
    ss.from_tf: {"num": [1.0], "den": [1.0, 2.0], "dt": None, "fs": None, "time_unit": "s"},
    ss.from_ba: {"b": [1.0], "a": [1.0, 2.0], "dt": 1.0, "time_unit": "s"},
    ss.from_sos: {"sos": [[1.0, 0, 0, 1, 0, 0]], "dt": 1.0, "time_unit": "s"},
    ss.discretize: {"system": LAG, "dt": 0.1, "method": "tustin", "fs": None},
    ss.undiscretize: {"system": DIGITAL, "method": "tustin"},
    ss.rediscretize: {"system": DIGITAL, "dt": 0.2, "method": "tustin", "fs": None},
    ss.to_zpk: {"system": DIGITAL},
    ss.to_sos: {"system": DIGITAL},
    ss.to_tf: {"system": DIGITAL},
    ss.to_ba: {"system": DIGITAL},
    ss.modal: {"system": DIGITAL, "max_condition": 1e6},
    ss.as_system: {"value": ([1.0], [1.0, 2.0]), "dt": 0.1, "fs": None, "time_unit": "s"},
    (lambda z, p, k: ss.as_system((z, p, k))): {"z": [1.0], "p": [2.0], "k": 1.0},
    (lambda a, b, c, d: ss.as_system((a, b, c, d))): {"a": [[1.0]], "b": [[1.0]], "c": [[1.0]], "d": [[1.0]]},
    (lambda num: ss.as_system((num, [1.0, 2.0]))): {"num": [1.0]},
    ss.to_scipy: {"system": DIGITAL},
    ss.to_control: {"system": DIGITAL},
    ss.initial_state: {"system": LAG, "dt": 0.1, "method": "tustin", "x0": [1.0], "u0": [1.0]},
    ss.simulate: {"system": SPRING, "u": U, "dt": 0.1, "t": None, "x0": None, "hold": "foh", "gaps": "raise"},
    ss.filter: {"system": DIGITAL, "x": U, "axis": 0, "state": None},
    ss.filtfilt: {"system": DIGITAL, "x": U, "axis": 0, "padtype": "odd", "padlen": 3, "method": "pad", "irlen": None},
    (lambda irlen: ss.filtfilt(DIGITAL, U, method="gust", irlen=irlen)): {"irlen": 3},
    DOOR.cont2discrete: {"system": TF, "dt": 0.1, "method": "gbt", "alpha": 0.5},
    DOOR.lsim: {"system": TF, "U": U, "T": [0, 1, 2, 3], "X0": [1.0]},
    DOOR.impulse: {"system": TF, "X0": None, "T": [0.0, 1.0], "N": None},
    DOOR.step: {"system": TF, "N": 4},
    DOOR.dlsim: {"system": (*TF, 0.1), "u": U, "t": [0, 1, 2, 3], "x0": None},
    DOOR.bode: {"system": TF, "w": [1.0], "n": 3},
    (lambda n: DOOR.freqresp(TF, n=n)): {"n": 3},
    DOOR.sosfilt: {"sos": [[1.0, 0, 0, 1, 0, 0]], "x": U, "axis": 0, "zi": [[1.0, 1.0]]},
    DOOR.lfilter: {"b": [1.0, 2.0], "a": [1.0], "x": U, "axis": 0, "zi": [1.0]},
    DOOR.filtfilt: {"b": [1.0], "a": [1.0], "x": U, "axis": 0, "padlen": 2},
    DOOR.sosfiltfilt: {"sos": [[1.0, 0, 0, 1, 0, 0]], "x": U, "axis": 0, "padlen": 2},
    DOOR.freqz_sos: {"sos": [[1.0, 0, 0, 1, 0, 0]], "worN": 3, "fs": 1.0},
    ss.steady_state: {"system": DIGITAL, "u0": 1.0},
    ss.impulse_response: {"system": SPRING, "length": 4, "t": None, "dt": 0.1},
    ss.step_response: {"system": DIGITAL, "length": 4, "t": None, "dt": None},
    ss.frequency_response: {"system": DIGITAL, "omega": [1.0]},
    ss.kernel: {"system": DIGITAL, "length": 4, "like": U},
    ss.convolve: {"u": U, "h": U, "axis": None},
    (lambda axis: ss.convolve(U, U, axis=axis)): {"axis": 0},
    ss.realize: {"h": DECAY, "order": None, "dt": 1.0, "fs": None, "unstable": "raise", "delay": None, "tol": None},
    ss.lift: {"system": DIGITAL, "M": 4},
    ss.explain: {"system": SPRING, "u": U, "dt": 0.1, "t": None, "hold": "foh", "form": "auto"},
    (lambda form: ss.simulate(DIGITAL, U, form=form)): {"form": "chunked"},
    ss.Stream: {"system": DIGITAL, "axis": None, "state": [1.0, 2.0]},
    (lambda block: ss.Stream(DIGITAL).push(block)): {"block": U},
    ss.warmup: {"system": DIGITAL, "like": None},
    ss.settling_samples: {"system": DIGITAL, "tol": 1e-3},
    ss.selective_scan: {
        "u": U[:, None], "delta": U[:, None], "A": [[-1.0]], "B": [[1.0]], "C": [[1.0]], "D": [1.0], "groups": None,
        "pairs": False, "z": U[:, None], "delta_bias": [1.0], "delta_softplus": True, "x0": [[1.0]], "reset": None,
        "method": "mamba", "return_state": False,
    },
    ss.selective_scan_vjp: {"u": U[:, None], "delta": U[:, None], "A": [[-1.0]], "B": [[1.0]], "C": [[1.0]]},
    ss.selective_step: {
        "state": [[1.0]], "u": [1.0], "delta": [1.0], "A": [[-1.0]], "B": [1.0], "C": [1.0], "z": [1.0],
    },
    ss.SelectiveSystem: {
        "A": [[-1.0]], "delta_bias": [0.0], "B_projection": [[1.0]], "C": [1.0], "delta_up": [[1.0]],
        "delta_down": [[1.0]], "D": [1.0], "pairs": False, "method": "mamba",
    },
    (lambda d, n, rank, selective: ss.SelectiveSystem.initial(d, n, rank=rank, selective=selective)): {
        "d": 2, "n": 2, "rank": 1, "selective": ("B",),
    },
    ss.frozen: {"system": selective_errors.LAYER, "u_t": [1.0, 2.0, 3.0]},
    ss.sequence_matrix: {"delta": U[:, None], "A": [[-1.0]], "B": [[1.0]], "C": [[1.0]], "reset": None},
    (lambda u, x0: ss.simulate(selective_errors.LAYER, u, x0=x0)): {"u": np.ones((4, 3)), "x0": np.ones((3, 2))},
    (lambda block, state: ss.Stream(selective_errors.LAYER, state=state).push(block)): {
        "block": np.ones((4, 3)), "state": None,
    },
    ss.ssd: selective_errors.SMALL | {"D": [1.0, 1.0], "chunk": 2, "x0": None, "reset": None},
    ss.ssd_vjp: selective_errors.SMALL | {"D": [1.0, 1.0]},
    (lambda weight, angles: selective_errors.two_taps(weight=weight, angles=angles)): {
        "weight": np.ones((4, 2)), "angles": np.ones((4, 2, 1)),
    },
    ss.to_c: {"system": DIGITAL, "name": "x", "dtype": "float32"},
    ss.Bilinear: {"prewarp": 1.0, "tap": "previous"},
    ss.GeneralizedBilinear: {"w": 0.5},
    ss.feedback: {"system": SPRING, "other": 1.0, "sign": -1},
    (lambda other: ss.series(SPRING, other)): {"other": SPRING},
    (lambda other: ss.append(other, SPRING)): {"other": SPRING},
    (lambda s: SPRING(s)): {"s": 1.0},
    (lambda s: LAG(s)): {"s": 1.0},
    (lambda other: SPRING - other): {"other": SPRING},
    (lambda other: other * SPRING): {"other": SPRING},
    (lambda other: SPRING / other): {"other": 2.0},
    (lambda dt: ss.simulate(DIGITAL, U, dt=dt)): {"dt": 0.1},
    (lambda rows: MIMO[rows, 0]): {"rows": 0},
    # What a function under test does with wrong things is its own affair: only the arguments beside it.
    (lambda u, v, a, b: LINEAR(DIGITAL, u, v, a=a, b=b)): {"u": U, "v": U, "a": 2.0, "b": -3.0},
    (lambda system, slack: LINEAR(np.cumsum, U, U, system=system, slack=slack)): {"system": SUM, "slack": 1.0},
    (lambda u, delay, slack: DELAYED(DIGITAL, u, delay, slack=slack)): {"u": U, "delay": 1, "slack": 1.0},
    (lambda u, slack: ALIKE(DIGITAL, DIGITAL, u, slack=slack)): {"u": U, "slack": 1.0},
    (lambda length, angle: ALIKE(DIGITAL, DIGITAL, length=length, angle=angle)): {"length": 4, "angle": 1.0},
    FORMS: {"system": DIGITAL, "u": U, "x0": [1.0, 2.0], "forms": ("chunked",), "slack": 1.0},
    (lambda u, chunks, slack: STREAMED(DIGITAL, u, chunks, slack=slack)): {"u": U, "chunks": (1, 3), "slack": 1.0},
    (lambda order, system, dt: ORDER("zoh", order, system, dt=dt)): {"order": 1, "system": SPRING, "dt": 0.1},
    (lambda x, step, slack, seed: GRADIENT(square, square_vjp, x, step=step, slack=slack, seed=seed)): {
        "x": X, "step": 0.01, "slack": 1.0, "seed": 0,
    },
    POLES: {"n": 2, "time": "discrete", "margin": 0.1, "damping": (0, 1), "stiffness": 10.0, "dtype": float},
    DRAWN: {
        "time": "discrete", "structure": "dense", "min_states": 1, "max_states": 2, "inputs": 1, "outputs": (1, 2),
        "batch": (2,), "margin": 0.1, "damping": (0, 1), "stiffness": 10.0, "time_scale": (1, 10), "dt": 0.1,
        "dtype": float,
    },
    DRAW.bases: {"n": 2},
    DRAW.signals: {"length": 4, "channels": 2, "dtype": float, "batch": (2,)},
    DRAW.chunkings: {"length": 4},
    DRAW.time_steps: {"system": SPRING, "aliased": False, "trivial": False},
    DRAW.irregular_grids: {"system": SPRING, "length": 4, "uniform": False},
    DRAW.discretizations: {"dt": 0.1, "keeps_stability": False, "siso": False},
    DRAW.selective_inputs: {
        "length": 4, "channels": 2, "states": 2, "groups": 2, "batch": (2,), "constant": False, "dtype": float,
    },
}  # fmt: skip
CALLS |= mamba_errors.CALLS
SIZES = ("length", "M", "N", "n", "d", "rank", "w", "worN", "delay", "d_state", "d_conv", "expand", "n_groups")
FUZZ = [(f, name) for f, arguments in CALLS.items() for name in arguments]


@pytest.mark.parametrize(("function", "name"), FUZZ, ids=[f"{f.__name__}-{name}" for f, name in FUZZ])
def test_wrong_things_meet_an_error_of_ours(function, name):
    raw = []
    for what, wrong in WRONG.items():
        try:
            function(**CALLS[function] | {name: wrong})
        except Exception as error:
            beyond_memory = name in SIZES and what == "huge"  # NumPy's to refuse
            if not ours(error) and not beyond_memory:
                raw.append(f"{what}: {type(error).__name__}: {error}")
    assert not raw


def ours(error):
    """Whether an error or warning was raised by a raise statement of this package."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return any(Path(last.filename) == file and a <= last.lineno <= b for file, a, b in complaints())


# --------------------------------------------------------------- nothing is changed, nothing is in the way


def test_an_error_leaves_its_arguments_alone():
    u, x0, t = np.array([1.0, np.nan, 1.0]), np.array([1.0, 2.0]), np.array([0.0, 1.0, 1.5])
    before = [v.copy() for v in (u, x0, t)]
    for call in (
        lambda: ss.simulate(SPRING, u, t=t, x0=x0),
        lambda: ss.simulate(SPRING, u, t=t, x0=x0, gaps="reset"),
        lambda: ss.simulate(DIGITAL, u, x0=x0, gaps="reset"),
        lambda: ss.filter(DIGITAL, u, state=x0),
        lambda: ss.filter(DIGITAL, u, state=t),
    ):
        reached(call)
        for now, then in zip((u, x0, t), before, strict=True):
            np.testing.assert_array_equal(now, then)
            assert now.flags.writeable


def test_read_only_arguments_are_enough():
    u, x0, a = np.ones((3, 1)), np.ones(2), np.array([[0, 1], [-4, -0.4]])
    for array in (u, x0, a):
        array.setflags(write=False)
    system = ss.ContinuousSystem(a, [[0], [1]], [[1, 0]])
    ss.simulate(system, u, t=[0, 1, 3], x0=x0)
    ss.filter(ss.discretize(system, 0.1), u, axis=0, state=x0)


def test_a_system_is_made_whole_or_not_at_all():
    system = ss.ContinuousSystem([[0.0]], [[1.0]], [[1.0]])
    with pytest.raises(ValueError, match="dt must be positive"):
        ss.discretize(system, -1.0)
    assert isinstance(system, ss.ContinuousSystem)
    assert not hasattr(system, "dt")


@pytest.mark.parametrize("name", ["c2d", "lsim", "bode", "__array_interface__", "__len__", "_repr_png_", "shape"])
def test_hasattr_says_no(name):
    assert not hasattr(SPRING, name)
    assert not hasattr(DIGITAL, name)
    assert not hasattr(ss, name)


def test_an_accuracy_warning_points_at_the_line_of_the_user():
    for call in (
        lambda: ss.feedback(NEARLY),
        lambda: ss.steady_state(ss.from_zpk([], [1 - 1e-12], 1.0, dt=1.0), 1.0),
        lambda: ss.discretize(continuous([[1 + 1e-9]]), 1.0, "backward_euler"),
        lambda: ss.discretize(ss.from_zpk([], [1 + 1e-9], 1.0), 1.0, "backward_euler"),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert {Path(w.filename).name for w in caught} == {Path(__file__).name}
