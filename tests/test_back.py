"""to_zpk, to_sos, to_tf, to_ba, modal: what comes out describes the system that went in."""

import re
import warnings

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import random_matrices, relative, systems

SISO = {name: s for name, s in systems().items() if s.is_siso}
RING = 1.2 * np.exp(1j * np.linspace(0.1, 3.0, 9))
PLANE = np.array([0.3 + 1.1j, 0.4 + 0.2j, 2.0 - 0.5j, 1.4j, 30.0])
FILTERS = {
    "butter": lambda n, fs: signal.butter(n, 1, fs=fs, output="zpk"),
    "high": lambda n, fs: signal.butter(n, 1, "high", fs=fs, output="zpk"),
    "band": lambda n, fs: signal.butter(max(n // 2, 1), [0.9, 1.1], "band", fs=fs, output="zpk"),
    "cheby": lambda n, fs: signal.cheby1(n, 1, 1, fs=fs, output="zpk"),
    "ellip": lambda n, fs: signal.ellip(n, 0.5, 60, 1, fs=fs, output="zpk"),
}


def variants(system):
    """The system itself, and its discretizations: as a dense matrix and section by section."""
    return {"continuous": system, "zoh": ss.discretize(system, 0.1), "bilinear": ss.discretize(system, 0.1, "bilinear")}


def step_of(system):
    return {"dt": system.dt} if isinstance(system, ss.DiscreteSystem) else {"dt": None}


def points_of(system):
    return RING if isinstance(system, ss.DiscreteSystem) else PLANE


ALL = [(name, kind) for name in SISO for kind in ("continuous", "zoh", "bilinear")]


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_zpk_there_and_back(name, kind):
    system = variants(SISO[name])[kind]
    again = ss.from_zpk(*ss.to_zpk(system), **step_of(system))
    s = points_of(system)
    # Zeros of a dense matrix are known to a few eps of ‖A‖; five of them leave 1e-14.
    assert relative(again(s), system(s)) < 2e-14
    assert again.is_complex == system.is_complex


@pytest.mark.parametrize(("name", "kind"), [a for a in ALL if not SISO[a[0]].is_complex])
def test_sos_there_and_back(name, kind):
    system = variants(SISO[name])[kind]
    rows = ss.to_sos(system)
    again = ss.from_sos(rows, **step_of(system))
    assert rows.shape == ((max(system.n_states, 1) + 1) // 2, 6)
    assert rows.dtype == np.float64
    s = points_of(system)
    # A repeated pole at 0.95 moves by the root of the rounding of its section, 1e-8, and back: 2e-14 remain.
    assert relative(again(s), system(s)) < 1e-13


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_tf_there_and_back(name, kind):
    """Within the conditioning of the coefficients: five poles about 0.95 leave 1e-16/0.05⁴ of the value."""
    system = variants(SISO[name])[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ss.AccuracyWarning)
        num, den = ss.to_tf(system)
        again = ss.from_tf(num, den, **step_of(system))
    assert den[0] == 1
    s = points_of(system)
    assert relative(np.polyval(num, s) / np.polyval(den, s), system(s)[:, 0, 0]) < 1e-10
    assert relative(again(s), system(s)) < 2e-10


@pytest.mark.parametrize("name", SISO)
def test_ba_there_and_back(name):
    system = ss.discretize(SISO[name], 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ss.AccuracyWarning)
        b, a = ss.to_ba(system)
        again = ss.from_ba(b, a, dt=0.1)
    assert a[0] == 1
    h = ss.impulse_response(system, 30).y
    got = signal.lfilter(b, a, np.eye(30)[0])
    assert relative(got, h) < 1e-10
    assert relative(ss.impulse_response(again, 30).y, h) < 2e-10


def test_exact_coefficients_are_exact():
    num, den = ss.to_tf(ss.from_zpk([-1.0, -2.0], [-3.0, -4.0, -5.0], 2.0))
    np.testing.assert_allclose(num, [2, 6, 4], rtol=4e-16)  # the gain went through the sections
    assert den.tolist() == [1, 12, 47, 60]
    b, a = ss.to_ba(ss.from_zpk([], [0.5, -0.25], 2.0, dt=1.0))
    np.testing.assert_allclose(b, [0, 0, 2], rtol=4e-16)
    assert a.tolist() == [1, -0.25, -0.125]


def test_given_poles_and_zeros_come_back_bit_for_bit():
    z, p, k = signal.ellip(9, 1, 60, 0.3, output="zpk")
    got = ss.to_zpk(ss.from_zpk(z, p, k, fs=1.0))
    for one, other in zip(got[:2], (z, p), strict=True):
        assert set(np.round(one, 14)) == set(np.round(np.where(np.abs(other.imag) < 1e-15, other.real, other), 14))
    assert got[2] == pytest.approx(k, rel=1e-14)


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("order", [2, 7, 12, 20])
@pytest.mark.parametrize("rate", [4, 30, 1000])
def test_high_orders_keep_their_response(kind, order, rate):
    """zpk and sos at 1e-10 of the peak over six decades; biquads lose eps/(|p − p̄|(1 − |p|)), 6e-11 at worst."""
    system = ss.from_zpk(*FILTERS[kind](order, rate), fs=rate)
    z = np.exp(2j * np.pi * np.geomspace(5e-7, 0.4999, 300))
    want = system(z)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ss.AccuracyWarning)  # an elliptic edge between these points, at 1000
        rows = ss.to_sos(system)
    assert relative(ss.from_zpk(*ss.to_zpk(system), fs=rate)(z), want) < 1e-14
    assert relative(ss.from_sos(rows, fs=rate)(z), want) < 1e-10
    scipys = signal.freqz_sos(rows, 2 * np.pi * np.geomspace(5e-7, 0.4999, 300))[1]
    assert relative(scipys, want[:, 0, 0]) < 1e-9  # which evaluates them in double precision


@pytest.mark.parametrize("order", [4, 12, 20])
def test_analog_sections_keep_their_response(order):
    """In rad/s of a 1 kHz filter, coefficients of 1e7: relative to the peak 1e-14."""
    system = ss.from_zpk(*signal.butter(order, 2 * np.pi * 1e3, analog=True, output="zpk"))
    s = 2j * np.pi * np.geomspace(1, 1e6, 200)
    again = ss.from_sos(ss.to_sos(system), dt=None)
    assert relative(again(s), system(s)) < 1e-13


@pytest.mark.parametrize("order", [4, 8, 16, 20])
def test_a_discretized_filter_finds_its_zeros(order):
    """By zoh the zeros are new and come from the matrices; poles are kept, and the response stays."""
    system = ss.discretize(ss.from_zpk(*signal.butter(order, 2 * np.pi, analog=True, output="zpk")), fs=10)
    z = np.exp(2j * np.pi * np.geomspace(5e-7, 0.4999, 200))
    again = ss.from_zpk(*ss.to_zpk(system), fs=10)
    assert relative(again(z), system(z)) < 1e-10
    np.testing.assert_array_equal(np.sort_complex(again.poles), np.sort_complex(system.poles))


# --------------------------------------------------------------- what the coefficients still know


def polynomial(coefficients, x):
    value = x * 0
    for c in coefficients.tolist():
        value = value * x + c
    return value


@pytest.mark.parametrize(("order", "rate"), [(5, 100), (7, 100), (8, 40), (12, 20), (20, 8)])
def test_the_warning_says_how_bad_it_is(order, rate):
    """The response of the rounded coefficients, evaluated with 50 digits, is off by the figure of the warning."""
    mpmath = pytest.importorskip("mpmath")
    system = ss.from_zpk(*FILTERS["butter"](order, rate), fs=rate)
    with pytest.warns(ss.AccuracyWarning, match="^to_ba: coefficients in double precision fix") as caught:
        b, a = ss.to_ba(system)
    told = float(re.search(r"about (\S+) of its peak", str(caught[0].message))[1])
    z = np.exp(2j * np.pi * np.linspace(1e-3, 2, 300) / rate)
    with mpmath.workdps(50):
        got = [polynomial(b, w) / polynomial(a, w) for w in map(mpmath.mpc, z)]
    off = relative(np.array([complex(v) for v in got]), system(z)[:, 0, 0])
    assert told / 20 < off < 2 * told


@pytest.mark.parametrize(("order", "rate"), [(4, 40), (8, 40), (10, 40)])
def test_from_ba_says_what_was_lost_before(order, rate):
    """The figure bounds what the filter has lost: 3e-12, 1e-8, 2e-5 at a cutoff of 0.05."""
    zpk = FILTERS["butter"](order, rate)
    want = ss.from_zpk(*zpk, fs=rate)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = ss.from_ba(*signal.zpk2tf(*zpk), fs=rate)
    told = float(re.search(r"about (\S+) of its peak", str(caught[0].message))[1]) if caught else 1e-10
    z = np.exp(2j * np.pi * np.linspace(1e-3, 4, 300) / rate)
    assert relative(got(z), want(z)) < 10 * told
    assert bool(caught) == (order > 4)


@pytest.mark.parametrize("kind", ["butter", "high", "band", "cheby"])
def test_sections_at_a_thousand_samples_a_period_are_good_enough(kind):
    """No warning: their rounding, seen in extended precision, moves the response by less than 1e-10."""
    for order in (2, 10, 20):
        ss.to_sos(ss.from_zpk(*FILTERS[kind](order, 1000), fs=1000))


def test_hopeless_coefficients_are_called_so():
    system = ss.from_zpk(*FILTERS["butter"](16, 1000), fs=1000)
    with pytest.warns(ss.AccuracyWarning, match=r"^to_tf: coefficients in double precision do not fix this response"):
        num, den = ss.to_tf(system)
    with pytest.warns(ss.AccuracyWarning, match=r"^from_tf: coefficients in double precision do not fix"):
        ss.from_tf(num, den, fs=1000)


def test_an_integrator_does_not_warn():
    """Its pole comes back at 1 + 1e-13 or so; away from there nothing is lost."""
    for poles in ([1.0, 0.9, 0.8], [1.0], [1.0, 0.5], [1.0, 0.7, 0.6 + 0.2j, 0.6 - 0.2j]):
        b, a = ss.to_ba(ss.from_zpk([], poles, 1.0, dt=0.1))
        ss.from_ba(b, a, dt=0.1)


# --------------------------------------------------------------- special cases


def test_static_gains_have_no_states():
    for gain in (3.0, -0.5):
        analog, digital = ss.from_zpk([], [], gain), ss.from_zpk([], [], gain, dt=0.1)
        assert [x.tolist() for x in ss.to_zpk(analog)] == [[], [], gain]
        assert ss.to_sos(digital).tolist() == [[gain, 0, 0, 1, 0, 0]]
        assert ss.to_sos(analog).tolist() == [[0, 0, gain, 0, 0, 1]]
        assert [x.tolist() for x in ss.to_tf(analog)] == [[gain], [1]]
        assert [x.tolist() for x in ss.to_ba(digital)] == [[gain], [1]]
        assert ss.modal(analog) is analog
        for again in (ss.from_sos(ss.to_sos(digital), dt=0.1), ss.from_ba(*ss.to_ba(digital), dt=0.1)):
            assert again.n_states == 0
            assert again.D.tolist() == [[gain]]
        assert ss.from_sos(ss.to_sos(analog), dt=None).n_states == 0


def test_taps_come_back_as_they_were():
    taps = [0.1, 0.0, -3.0, 0.25, 1e-9]
    b, a = ss.to_ba(ss.from_ba(taps, [1.0], dt=1.0))
    assert (b.tolist(), a.tolist()) == (taps, [1.0])
    fir = ss.from_ba(taps, [1.0], dt=1.0)
    assert relative(ss.from_sos(ss.to_sos(fir), dt=1.0)(RING), fir(RING)) < 1e-13
    scaled = ss.DiscreteSystem(ss.DelayLine(2), [[2.0], [0.0]], [[1.0, 3.0]], [[0.0]], dt=1.0)
    b, a = ss.to_ba(scaled)
    np.testing.assert_allclose(b, [0.0, 2.0, 6.0], rtol=1e-14, atol=1e-14)


def test_delays_and_gains_of_zero():
    b, a = ss.to_ba(ss.from_ba([0.0, 0.0, 0.5], [1.0, -0.5], dt=1.0))
    np.testing.assert_allclose(b, [0, 0, 0.5])
    np.testing.assert_allclose(a, [1, -0.5])
    nothing = ss.from_zpk([], [-1.0], 0.0)
    assert [x.tolist() for x in ss.to_tf(nothing)] == [[0.0], [1.0, 1.0]]
    b, a = ss.to_ba(ss.from_zpk([], [0.5], 0.0, dt=1.0))
    assert b.tolist() == [0.0]


def test_sections_are_scaled_to_unit_peaks():
    """The first section passes at most 1 on the unit circle; the gain is in the last."""
    z, p, k = signal.butter(6, 0.2, output="zpk")
    rows = ss.to_sos(ss.from_zpk(z, p, 100 * k, dt=1.0))
    w = np.linspace(0, np.pi, 2000)
    peaks = [np.abs(signal.freqz_sos(row[None], w)[1]).max() for row in rows]
    np.testing.assert_allclose(peaks[:-1], 1.0, rtol=2e-3)
    radius = np.abs([np.roots(row[3:])[0] for row in rows])
    assert np.all(np.diff(radius) > 0)  # the least damped last


def test_sections_that_were_given_come_back():
    rows = signal.cheby2(6, 40, 0.3, output="sos")
    again = ss.to_sos(ss.from_sos(rows, dt=1.0))
    for one, other in zip(again, rows, strict=True):
        np.testing.assert_allclose(one[3:], other[3:], rtol=1e-14)
        np.testing.assert_allclose(one[:3] / one[0], other[:3] / other[0], rtol=1e-13)


def test_sosfilt_takes_the_rows():
    system = ss.from_zpk(*signal.butter(7, 0.3, output="zpk"), fs=2.0)
    x = np.random.default_rng(0).normal(size=300)
    assert relative(signal.sosfilt(ss.to_sos(system), x), ss.filter(system, x)) < 1e-13


def test_batches():
    system = ss.ContinuousSystem(*random_matrices(4, n=3, m=1, p=1, batch=(2, 3)))
    z, p, k = ss.to_zpk(system)
    assert (z.shape, p.shape, k.shape) == ((2, 3, 3), (2, 3, 3), (2, 3))
    rows = ss.to_sos(system)
    assert rows.shape == (2, 3, 2, 6)
    for i in np.ndindex(2, 3):
        one = ss.ContinuousSystem(*(m[i] for m in system))
        assert relative(ss.from_zpk(z[i], p[i], k[i])(PLANE), one(PLANE)) < 1e-13
        assert relative(ss.from_sos(rows[i], dt=None)(PLANE), one(PLANE)) < 1e-13


def test_zeros_that_cannot_be_found_are_reported():
    """A companion form of order 16 does not know its response: the zeros found in it do not reproduce it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        companion = signal.zpk2ss(*signal.ellip(14, 0.1, 80, 2 * np.pi * 1e3, analog=True, output="zpk"))
    with pytest.warns(ss.AccuracyWarning, match=r"^to_zpk: poles and zeros computed .* to \de-\d\d of its peak"):
        ss.to_zpk(ss.ContinuousSystem(*companion))


@pytest.mark.parametrize("seed", range(20))
def test_a_dense_pole_on_the_circle_does_not_decide_the_gain(seed):
    """Its eigenvalue misses 1 by 1e-15, and beside it the response is noise: the fit took its gain from there."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(6, 6))
    a /= np.abs(np.linalg.eigvals(a)).max()
    system = ss.DiscreteSystem(a, rng.normal(size=(6, 1)), rng.normal(size=(1, 6)), dt=1.0)
    z = np.exp(1j * np.linspace(0.05, 3.1, 60))
    clear = np.abs(z[:, None] - system.poles).min(axis=-1) > 0.01
    assert relative(ss.from_zpk(*ss.to_zpk(system), dt=1.0)(z[clear]), system(z[clear])) < 1e-11


@pytest.mark.parametrize("angle", [0.1, 1.0, 2.0])
def test_an_oscillator_does_not_warn(angle):
    """Roots of coefficients miss the circle by 1e-15; clear of it nothing is lost."""
    poles = [np.exp(1j * angle), np.exp(-1j * angle), 0.5, -0.2]
    ss.from_ba(*ss.to_ba(ss.from_zpk([], poles, 1.0, dt=1.0)), dt=1.0)
    analog = ss.from_zpk([], [10j * angle, -10j * angle, -3.0, -4.0], 1.0)
    ss.from_tf(*ss.to_tf(analog))


# --------------------------------------------------------------- modal


@pytest.mark.parametrize("name", [n for n in systems() if n not in ("jordan", "integrators", "cascade")])
@pytest.mark.parametrize("discrete", [False, True])
def test_modal_has_the_same_transfer_matrix(name, discrete):
    system = systems()[name]
    system = ss.discretize(system, 0.1) if discrete else system
    got = ss.modal(system)
    s = points_of(system)
    assert relative(got(s), system(s)) < 1e-13
    assert got.is_complex == system.is_complex
    assert type(got) is type(system)
    if discrete:
        assert (got.dt, got.method) == (system.dt, system.method)


def test_modal_structures():
    real = ss.modal(ss.ContinuousSystem([[0, 1], [-2, -3]], [[0], [1]], [[1, 0]]))
    assert isinstance(real.A, ss.Diagonal)
    assert real.A.diagonal.dtype == np.float64
    pair = ss.modal(ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]]))
    assert pair.stores_pairs
    assert pair.state_size == 1
    mixed = ss.modal(ss.from_zpk([-2.0], [-1 + 2j, -1 - 2j, -3.0, -0.1 + 5j, -0.1 - 5j], 2.0))
    a = np.asarray(mixed.A)
    blocks = [(a[i : i + 2, i : i + 2]).tolist() for i in (0, 2)] if a[0, 1] else [a[0, 0]]
    assert np.count_nonzero(a) == 9
    assert all(block[0][0] == block[1][1] and block[0][1] == -block[1][0] for block in blocks if not np.isscalar(block))
    complex_ = ss.modal(ss.from_zpk([], [-1 + 2j], 1.0))
    assert isinstance(complex_.A, ss.Diagonal)
    assert complex_.is_complex
    np.testing.assert_array_equal(
        np.sort_complex(mixed.poles), np.sort_complex([-1 + 2j, -1 - 2j, -3, -0.1 + 5j, -0.1 - 5j])
    )


def test_modal_of_a_batch_that_mixes_kinds():
    a = np.array([[[0, 1], [-2, -3]], [[0, 1], [-4, -0.4]]])
    system = ss.ContinuousSystem(a, [[0], [1]], [[1, 0]])
    got = ss.modal(system)
    assert relative(got(PLANE), system(PLANE)) < 1e-14
    assert not got.is_complex


@pytest.mark.parametrize(
    "system",
    [
        ss.ContinuousSystem([[-1, 1], [0, -1]], [[0], [1]], [[1, 0]]),
        ss.ContinuousSystem([[-1, 1], [0, -1 - 1e-9]], [[0], [1]], [[1, 0]]),
        ss.ContinuousSystem(np.eye(3, k=1), [[0], [0], [1]], [[1, 0, 0]]),
        ss.from_zpk([], [-1.0, -1.0], 1.0),
        ss.from_zpk([], [-1.0, -1.0 - 1e-9], 1.0),
    ],
)
def test_modal_refuses_what_it_cannot_tell_apart(system):
    with pytest.raises(ValueError, match=r"modal: the modes cannot be told apart, .* is .*above max_condition="):
        ss.modal(system)


def test_modal_loses_what_it_was_allowed_to():
    """Condition 1e8 leaves eight digits, as max_condition says."""
    close = ss.ContinuousSystem([[-1, 1], [0, -1 - 1e-8]], [[0], [1]], [[1, 0]])
    got = ss.modal(close, max_condition=1e9)
    assert relative(got(PLANE), close(PLANE)) < 1e-7


@pytest.mark.parametrize("band", [1.0, [0.95, 1.05]])
def test_modal_of_a_high_order(band):
    """Order 20: residues of known poles, condition 2e4, so 5e-12 (2e4·eps)."""
    kind = "low" if np.isscalar(band) else "band"
    system = ss.from_zpk(*signal.butter(20 if kind == "low" else 10, band, kind, analog=True, output="zpk"))
    omega = 1j * np.geomspace(0.1, 10, 300)
    assert relative(ss.modal(system)(omega), system(omega)) < 1e-11


@pytest.mark.parametrize("method", ["zoh", "foh", "impulse"])
def test_zeros_that_are_computed_are_exact_pairs(method):
    """The two of a pair came as quotients of their own, a rounding apart: SciPy then saw complex coefficients."""
    for order in (3, 5, 8):
        for dt in (0.1, 0.3, 1.0):
            analog = ss.from_zpk(*signal.cheby1(order, 1, 5.0, analog=True, output="zpk"))
            z, p, k = ss.to_zpk(ss.discretize(analog, dt, method))
            for roots in (z, p):
                assert set(roots.conj()) == set(roots)
            assert all(np.isrealobj(c) for c in signal.zpk2tf(z, p, k))


def test_gains_whose_parts_overflow():
    slow, fast = -1e30 * np.arange(1, 13), 1e300
    assert ss.to_zpk(ss.from_zpk([], slow, fast))[2] == pytest.approx(fast, rel=1e-14)


@pytest.mark.parametrize("method", ["zoh", "foh", "impulse"])
@pytest.mark.parametrize("kind", ["butter", "bessel"])
def test_modal_of_a_discretized_filter_keeps_ten_digits(kind, method):
    """From its poles, which it knows: by eigenvectors Bessel 20 by zoh was off by 8e-8."""
    z = np.exp(1j * np.linspace(1e-3, 3.1, 300))
    for order in (4, 8, 12, 16, 20):
        analog = ss.from_zpk(*getattr(signal, kind)(order, 1.0, analog=True, output="zpk"))
        digital = ss.discretize(analog, 0.6, method)
        # 1e6 roundings, which max_condition allows, of a few products each: Bessel 20 comes to 4e-10.
        assert relative(ss.modal(digital)(z), digital(z)) < 3e6 * np.finfo(float).eps


def test_modal_of_structures_with_orthogonal_modes():
    """Many decades, light damping, a mode that no output sees: well conditioned all the same."""
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    for a, b, c in (
        (q @ np.diag([-1e-3, -1.0, -1e2, -1e5]) @ q.T, np.ones((4, 1)), np.ones((1, 4))),
        ([[-2.0, 1.0], [1.0, -2.0]], [[1.0], [1.0]], [[1.0, -1.0]]),
        ([[0.0, 1.0], [-4.0, -0.4]], [[0.0], [1.0]], [[[1.0, 0.0]], [[0.0, 1.0]]]),  # a batch of outputs
        ([[0.0, 1.0], [-4.0, -0.4]], [[[0.0], [1.0]], [[1.0], [0.0]]], [[1.0, 0.0]]),
    ):
        system = ss.ContinuousSystem(a, b, c)
        assert np.abs(ss.modal(system)(2.0j) - system(2.0j)).max() < 1e-11  # eps·‖A‖ of the first


def test_modal_does_not_mind_units():
    """A companion matrix in rad/s at 1 kHz: the condition is that of the balanced matrix."""
    system = ss.ContinuousSystem([[0, 1], [-4e7, -4e3]], [[0], [1]], [[1, 0]])
    s = 1j * np.geomspace(1, 1e5, 30)
    assert relative(ss.modal(system, max_condition=100)(s), system(s)) < 1e-13


# --------------------------------------------------------------- refusals


LAG = ss.from_zpk([], [-1.0], 1.0)
MIMO = ss.ContinuousSystem(np.diag([-1.0, -2.0, -3.0]), np.ones((3, 2)), np.ones((3, 3)))


@pytest.mark.parametrize("verb", [ss.to_zpk, ss.to_sos, ss.to_tf])
def test_refusals(verb):
    name = verb.__name__
    with pytest.raises(TypeError, match=f"{name} needs a ContinuousSystem or DiscreteSystem, got ndarray"):
        verb(np.ones(3))
    with pytest.raises(ValueError, match=rf"{name} needs one input and one output, .* 2 inputs and 3 .*system\[i, j"):
        verb(MIMO)


def test_complex_poles_without_their_partner():
    alone = ss.from_zpk([], [-1 + 2j, -3.0], 1.0)
    with pytest.raises(ValueError, match=r"to_sos needs a real system: -1\+2j has no conjugate partner; .*to_zpk"):
        ss.to_sos(alone)
    with pytest.raises(ValueError, match=r"to_sos needs a real system: its coefficients are complex"):
        ss.to_sos(ss.from_zpk([], [-1.0], 1j))
    num, den = ss.to_tf(alone)
    assert relative(np.polyval(num, PLANE) / np.polyval(den, PLANE), alone(PLANE)[:, 0, 0]) < 1e-15
