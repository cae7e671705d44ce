"""From poles and zeros, coefficients or biquads to a system: the transfer function is the one that was given."""

import numpy as np
import pytest
from scipy import signal

import statespace as ss

S = np.array([0.3 + 1.1j, -0.7 + 0.2j, 2.0 - 0.5j, 1.4j, 30.0, 1e-3 + 1e-3j])
RING = 1.2 * np.exp(1j * np.linspace(0.1, 3.0, 7))  # off the unit circle and off every root below


def zpk_value(z, p, k, s):
    """K Π(s − z)/Π(s − p) by the book, one root at a time."""
    value = np.full(np.shape(s), complex(k))
    for i in range(max(len(z), len(p))):
        value = value * (s - z[i] if i < len(z) else 1) / (s - p[i] if i < len(p) else 1)
    return value


def close(got, wanted, tolerance):
    assert got.shape == wanted.shape
    assert np.all(np.abs(got - wanted) <= tolerance * np.abs(wanted) + 1e-300), np.max(np.abs(got / wanted - 1))


def butter_poles(n, wc=1.0):
    return wc * np.exp(1j * np.pi * (2 * np.arange(n) + n + 1) / (2 * n))


CONJUGATE = butter_poles(5)
CONJUGATE = np.where(np.abs(CONJUGATE.imag) < 1e-12, CONJUGATE.real, CONJUGATE)
ZPK = {
    "one real pole": ([], [-2.0], 3.0),
    "even": ([], [-1 + 2j, -1 - 2j], 5.0),
    "odd": ([-1.0], [-1 + 2j, -1 - 2j, -3.0], 5.0),
    "order 5": ([], CONJUGATE, 1.0),
    "repeated": ([-3.0, -3.0], [-1.0, -1.0, -1.0, -1.0], 2.0),
    "repeated pair": ([], [-1 + 1j, -1 - 1j] * 3, 2.0),
    "integrator": ([], [0.0], 1.0),
    "three integrators": ([-1.0], [0.0, 0.0, 0.0], -2.0),
    "oscillator": ([], [2j, -2j], 4.0),
    "oscillator with notch": ([1j, -1j], [2j, -2j], 4.0),
    "zeros at 0": ([0.0, 0.0], [-1 + 1j, -1 - 1j, -2.0], 1.0),
    "band-pass": ([0.0] * 4, np.r_[[-0.1 + 2j, -0.1 - 2j] * 2, [-0.2 + 3j, -0.2 - 3j] * 2], 1e-3),
    "all-pass": ([1 + 2j, 1 - 2j, 3.0], [-1 + 2j, -1 - 2j, -3.0], 1.0),
    "unstable": ([-1.0], [2.0, -3.0, 0.5 + 1j, 0.5 - 1j], 1.0),
    "zero gain": ([-1.0], [-2.0, -3.0], 0.0),
    "complex, unpaired": ([2j], [-1 + 2j, -1.0, -3j - 1], 1 + 1j),
    "complex, all alone": ([], [-1 + 1j], 1.0),
    "complex zeros only": ([1j], [-1.0, -2.0], 1.0),
    "complex gain": ([], [-1.0, -2.0], 2j),
    "far apart": ([-1e-3], [-1e-6, -1e6, -1.0], 1e6),
    "huge and tiny": ([], [-1e150] * 2 + [-1e-150] * 2, 1e-30),
    "no poles": ([], [], 3.0),
    "no poles, complex": ([], [], 3j),
    "pole on its zero": ([-1.0], [-1.0, -2.0], 1.0),
    "as many zeros": ([-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0], 7.0),
    "zeros in the right half": ([1.0, 2.0], [-4.0, -5.0, -6.0], -7.0),
    "close pairs": ([], [-1 + 1e-9j, -1 - 1e-9j, -1 + 2e-9j, -1 - 2e-9j], 1.0),
    "complex pair of zeros, real poles": ([1 + 1j, 1 - 1j], [-1.0, -2.0, -3.0], 1.0),
}


@pytest.mark.parametrize("dt", [None, 0.5])
@pytest.mark.parametrize("name", ZPK)
def test_from_zpk_is_the_product_of_its_factors(name, dt):
    z, p, k = ZPK[name]
    system = ss.from_zpk(z, p, k, dt=dt)
    # A product of n factors, each rounded a few times: 4 eps a factor and 16 at most of them.
    points = S[np.abs(S[:, None] - np.r_[p, 1e9]).min(axis=1) > 1e-6]
    close(system(points)[:, 0, 0], zpk_value(z, p, k, points), 64 * 2.2e-16)
    assert type(system) is (ss.ContinuousSystem if dt is None else ss.DiscreteSystem)
    assert isinstance(system.A, ss.Cascade) == (len(p) > 0)
    assert system.n_states == len(p)


def ordered(roots):
    return np.sort_complex(np.asarray(roots, complex) + 0.0)  # −0 becomes 0


@pytest.mark.parametrize("dt", [None, 0.5])
@pytest.mark.parametrize("name", ZPK)
def test_poles_and_zeros_are_kept_bit_for_bit(name, dt):
    z, p, k = ZPK[name]
    system = ss.from_zpk(z, p, k, dt=dt)
    # Butterworth poles by formula are conjugate to eps only, and one of each pair is kept.
    exact = 4e-16 if name == "order 5" else 0.0
    np.testing.assert_allclose(ordered(system.poles), ordered(p), rtol=exact)
    np.testing.assert_array_equal(ordered(system.zeros), ordered(z))
    real = "complex" not in name or name.startswith("complex pair")
    assert system.is_complex == (not real)
    assert all(m.dtype.kind == ("f" if real else "c") for m in system if m.size)


@pytest.mark.parametrize("dt", [None, 0.5])
@pytest.mark.parametrize("name", [n for n in ZPK if n != "huge and tiny"])
def test_the_realization_has_the_same_transfer_function(name, dt):
    z, p, k = ZPK[name]
    a, b, c, d = ss.from_zpk(z, p, k, dt=dt)
    points = S[np.abs(S[:, None] - np.r_[p, 1e9]).min(axis=1) > 1e-2]
    if name in ("far apart", "close pairs", "integrator", "three integrators"):
        points = points[np.abs(points) > 0.1]  # at 1e-3, 1e-9 of the input is left of three large numbers
    h = np.array([(c @ np.linalg.solve(s * np.eye(len(a)) - a, b) + d)[0, 0] for s in points])
    wanted = zpk_value(z, p, k, points)
    # The solve adds eps·cond of a triangular matrix, and cancels near a zero: 1e-13 of the largest value.
    assert np.abs(h - wanted).max() <= 1e-13 * np.abs(wanted).max()


# --------------------------------------------------------------- sections


def section_responses(system, points):
    """|H| of each section on the frequency axis, (sections, F)."""
    a = system.A
    parts = []
    for i in range(a.n_sections):
        part = slice(2 * i, 2 * i + 2)
        section = ss.Cascade(a.poles[part], a.zeros[part], a.gains[i : i + 1])
        parts.append(np.abs(ss.ContinuousSystem(section)(points)[:, 0, 0]))
    return np.array(parts)


def filters():
    for kind in ("lowpass", "highpass", "bandpass", "bandstop"):
        for order in (1, 2, 3, 6, 9):
            band = [1.0, 1.3] if kind.startswith("band") else 1.0
            yield signal.butter(order, band, kind, analog=True, output="zpk"), None
            yield signal.cheby1(order, 1, band, kind, analog=True, output="zpk"), None
            yield signal.ellip(order, 1, 40, np.asarray(band) / 4, kind, output="zpk"), 1.0
            yield signal.butter(order, np.asarray(band) / 50, kind, output="zpk"), 1.0


FILTERS = list(filters())


@pytest.mark.parametrize(("zpk", "dt"), FILTERS, ids=range(len(FILTERS)))
def test_sections_of_a_filter_are_real_and_have_unit_peaks(zpk, dt):
    system = ss.from_zpk(*zpk, dt=dt)
    assert not system.is_complex
    if dt is None:
        near = system.poles.imag[:, None] + system.poles.real[:, None] * np.linspace(-3, 3, 301)
        points = 1j * np.r_[0.0, np.geomspace(1e-4, 1e4, 4001), near.ravel()]
    else:
        near = np.angle(system.poles)[:, None] + (1 - np.abs(system.poles))[:, None] * np.linspace(-3, 3, 301)
        points = np.exp(1j * np.r_[0.0, np.geomspace(1e-6, np.pi, 4001), near.ravel()])
    peaks = section_responses(system, points).max(axis=1)
    np.testing.assert_allclose(peaks[:-1], 1.0, rtol=0.01)  # found from a few points a pole: within 1 %
    at = points[:4001:100]
    close(system(at)[:, 0, 0], zpk_value(*zpk, at), 1e-12)  # SciPy's zeros at ±1 are off by eps·order


# --------------------------------------------------------------- polynomials

TF = {
    "gain": ([3.0], [2.0]),
    "lag": ([1.0], [1.0, 2.0]),
    "spring": ([1.0], [1.0, 0.4, 4.0]),
    "biquad": ([1.0, 0.0, 4.0], [2.0, 0.4, 4.0]),
    "leading zeros": ([0.0, 0.0, 1.0], [1.0, 2.0, 3.0]),
    "all zeros": ([0.0, 0.0], [1.0, 2.0]),
    "roots at 0": ([1.0, 0.0], [1.0, 2.0, 0.0, 0.0]),
    "large and small": ([1e-8], [1.0, 1e4, 1e8]),
    "SI units": ([1e18], [1.0, 1e6, 1e12, 1e18]),
    "cubic": ([1.0, 2.0], [1.0, 6.0, 11.0, 6.0]),
    "complex": ([1j, 1.0], [1.0, 2j, 3.0]),
    "complex lag": ([1.0], [1.0, -1j]),
    "integers": ([1], [1, 2]),
    "double root": ([1.0], [1.0, 2.0, 1.0]),
}


@pytest.mark.parametrize("dt", [None, 0.5])
@pytest.mark.parametrize("name", TF)
def test_from_tf_is_the_quotient(name, dt):
    num, den = TF[name]
    system = ss.from_tf(num, den, dt=dt)
    # A polynomial of order ≤ 3 evaluated from its roots: a few eps times their condition, below 100 at these points.
    close(system(S)[:, 0, 0], np.polyval(num, S) / np.polyval(den, S), 1e-13)
    assert system.n_states == len(den) - 1
    assert system.is_complex == (np.iscomplexobj(num) or np.iscomplexobj(den))


def test_freqs_agrees():
    b, a = signal.butter(4, 2.0, analog=True)
    w, h = signal.freqs(b, a, np.geomspace(0.1, 10, 20))
    close(ss.frequency_response(ss.from_tf(b, a), w).H, h, 1e-13)  # roots of order 4: condition about 30


BA = {
    "gain": ([3.0], [2.0]),
    "FIR": ([1.0, -2.0, 3.0], [1.0]),
    "FIR, a scaled": ([1.0, -2.0, 3.0], [4.0]),
    "one delay": ([0.0, 1.0], [1.0]),
    "nothing": ([0.0, 0.0], [1.0]),
    "nothing, with a pole": ([0.0], [1.0, -0.5]),
    "FIR with trailing zeros": ([1.0, 2.0, 0.0, 0.0], [1.0, 0.0]),
    "smoother": ([0.5], [1.0, -0.5]),
    "delayed smoother": ([0.0, 0.0, 0.5], [1.0, -0.5]),
    "more b than a": ([1.0, 2.0, 3.0, 4.0], [1.0, -0.5]),
    "more a than b": ([1.0, 2.0], [1.0, -0.5, 0.25, -0.1]),
    "trailing zeros": ([1.0, 2.0, 0.0], [1.0, -0.5, 0.0, 0.0]),
    "a[0] is 2": ([1.0, 2.0], [2.0, -0.5]),
    "integrator": ([1.0], [1.0, -1.0]),
    "differentiator": ([1.0, -1.0], [1.0]),
    "moving sum": ([1.0, 0, 0, 0, 0, -1.0], [1.0, -1.0]),
    "unstable": ([1.0], [1.0, -1.5]),
    "butter": signal.butter(4, 0.3),
    "notch": signal.iirnotch(0.3, 20),
    "complex": ([1.0, 1j], [1.0, -0.5j]),
    "complex FIR": ([1.0, 1j], [1.0]),
    "integers": ([1, 2], [2, 1]),
}
U = np.random.default_rng(3).standard_normal(60)


@pytest.mark.parametrize("name", BA)
def test_from_ba_is_lfilter(name):
    b, a = BA[name]
    system = ss.from_ba(b, a, fs=10.0)
    y = ss.filter(system, U)
    wanted = signal.lfilter(b, a, U)
    # 60 steps of the recurrence, eps each, with roots of order ≤ 4, relative to the largest value.
    np.testing.assert_allclose(y, wanted, rtol=0, atol=3e-14 * max(np.abs(wanted).max(), 1.0))
    assert system.dt == 0.1
    z = 1 / RING
    close(system(RING)[:, 0, 0] + 1, np.polyval(b[::-1], z) / np.polyval(a[::-1], z) + 1, 1e-13)


def test_from_ba_agrees_with_freqz():
    b, a = BA["butter"]
    w, h = signal.freqz(b, a, 40)
    np.testing.assert_allclose(ss.frequency_response(ss.from_ba(b, a, dt=1.0), w).H, h, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in BA if "FIR" in n or n in ("one delay", "differentiator")])
def test_fir_is_a_delay_line_with_the_exact_taps(name):
    b, a = BA[name]
    system = ss.from_ba(b, a, dt=1.0)
    assert isinstance(system.A, ss.DelayLine)
    taps = np.trim_zeros(np.asarray(b), "b") / a[0]
    np.testing.assert_array_equal(np.r_[system.D[0], system.C[0]], taps)
    np.testing.assert_array_equal(ss.impulse_response(system, len(taps)).y, taps)
    assert system.n_states == len(taps) - 1


def test_leading_zeros_are_a_delay():
    system = ss.from_ba([0, 0, 0, 1.0], [1.0, -0.5], dt=1.0)
    np.testing.assert_array_equal(ss.impulse_response(system, 6).y, [0, 0, 0, 1.0, 0.5, 0.25])


# --------------------------------------------------------------- sections as rows

SOS = {
    "butter 4": signal.butter(4, 0.2, output="sos"),
    "butter 5": signal.butter(5, 0.2, "high", output="sos"),
    "band-pass": signal.butter(3, [0.2, 0.3], "band", output="sos"),
    "ellip": signal.ellip(7, 1, 60, 0.3, output="sos"),
    "first order": [[0.1, 0.0, 0.0, 1.0, -0.9, 0.0]],
    "two of first order": [[0.1, 0.0, 0.0, 1.0, -0.9, 0.0], [1.0, 1.0, 0.0, 1.0, 0.5, 0.0]],
    "first and second": [[0.1, 0.0, 0.0, 1.0, -0.9, 0.0], [1.0, 0.0, 1.0, 1.0, 0.5, 0.25]],
    "FIR section": [[1.0, 2.0, 3.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0, -0.5, 0.0]],
    "delays": [[0.0, 0.0, 1.0, 1.0, -0.5, 0.25], [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]],
    "gain": [[2.0, 0.0, 0.0, 4.0, 0.0, 0.0]],
    "zero": [[0.0, 0.0, 0.0, 1.0, -0.5, 0.0]],
    "real poles": [[1.0, 0.0, 0.0, 1.0, -0.75, 0.125]],
    "double pole": [[1.0, 0.0, 0.0, 1.0, -1.0, 0.25]],
    "a0 is 2": [[1.0, 2.0, 1.0, 2.0, -1.0, 0.25]],
    "complex": [[1.0, 1j, 0.0, 1.0, -0.5j, 0.0]],
}


@pytest.mark.parametrize("name", SOS)
def test_from_sos_is_sosfilt(name):
    sos = np.asarray(SOS[name])
    system = ss.from_sos(sos, dt=1.0)
    scaled = sos / sos[:, 3:4]  # SciPy wants a0 = 1
    wanted = signal.sosfilt(scaled, U.astype(scaled.dtype)) if name != "complex" else signal.lfilter(
        scaled[0, :3], scaled[0, 3:], U)  # fmt: skip
    np.testing.assert_allclose(ss.filter(system, U), wanted, rtol=0, atol=2e-14)  # 60 steps, eps each, values near 1
    assert system.is_complex == (name == "complex")


def test_analog_sections():
    z, p, k = signal.ellip(5, 1, 40, 3.0, analog=True, output="zpk")
    sos = signal.zpk2sos(z, p, k, analog=True)
    system = ss.from_sos(sos, dt=None)
    assert isinstance(system, ss.ContinuousSystem)
    close(system(S)[:, 0, 0], zpk_value(z, p, k, S), 1e-13)
    integrator = ss.from_sos([[0, 0, 1, 0, 1, 0]], dt=None)
    close(integrator(S)[:, 0, 0], 1 / S, 1e-15)


@pytest.mark.peer
@pytest.mark.parametrize("ratio", [100, 1000, 10_000])
def test_sections_keep_their_accuracy_at_low_frequencies(ratio):
    """The poles of a narrow low-pass are the roots that its rounded coefficients have, computed with 50 digits."""
    mpmath = pytest.importorskip("mpmath")
    sos = signal.butter(4, 2 / ratio, output="sos")
    system = ss.from_sos(sos, dt=1.0)
    with mpmath.workdps(50):
        halves = [(-mpmath.mpf(a1) / 2, mpmath.mpf(a2)) for a1, a2 in sos[:, 4:]]
        wanted = np.array([complex(h + sign * mpmath.sqrt(h * h - q)) for h, q in halves for sign in (1, -1)])
    off = np.abs(np.sort_complex(system.poles) - np.sort_complex(wanted))
    # Rounded to double; the discriminant in 64-bit mantissas costs 5e-20/angle, nothing at these angles.
    assert off.max() < 4e-16
    u = np.random.default_rng(0).standard_normal(2000)
    y = signal.sosfilt(sos, u)
    # sosfilt itself loses eps/(|p − p̄| (1 − |p|)), of the order of eps·ratio².
    np.testing.assert_allclose(ss.filter(system, u), y, rtol=0, atol=1e-16 * ratio**2 * np.abs(y).max())


# --------------------------------------------------------------- batch and steps


@pytest.mark.parametrize("dt", [None, 0.5])
def test_a_batch_is_a_loop(dt):
    rng = np.random.default_rng(5)
    real = -rng.uniform(0.1, 3, (4, 3, 1))
    pair = -rng.uniform(0.1, 2, (4, 3, 1)) + 1j * rng.uniform(0.1, 4, (4, 3, 1))
    p, k = np.concatenate([real, pair, pair.conj()], axis=-1), rng.uniform(1, 2, (4, 1))
    z = rng.standard_normal((3, 1))
    whole = ss.from_zpk(z, p, k, dt=dt)
    assert whole.batch_shape == (4, 3)
    for i, j in np.ndindex(4, 3):
        one = ss.from_zpk(z[j], p[i, j], k[i, 0], dt=dt)
        for got, wanted in zip(whole, one, strict=True):
            np.testing.assert_allclose(got[i, j], wanted, rtol=1e-14, atol=1e-15)  # sums in another order
        np.testing.assert_array_equal(whole.poles[i, j], one.poles)


def test_a_batch_without_poles():
    system = ss.from_zpk([], [], [1.0, 2.0])
    assert system.batch_shape == (2,)
    np.testing.assert_array_equal(system.dc_gain[:, 0, 0], [1.0, 2.0])


@pytest.mark.parametrize(
    "build",
    [
        lambda **step: ss.from_zpk([], [0.5], 1.0, **step),
        lambda **step: ss.from_tf([1.0], [1.0, -0.5], **step),
        lambda **step: ss.from_ba([1.0], [1.0, -0.5], **step),
        lambda **step: ss.from_ba([1.0, 2.0], [1.0], **step),
        lambda **step: ss.from_sos([[1, 0, 0, 1, -0.5, 0]], **step),
    ],
)
def test_dt_fs_and_the_unit(build):
    by_dt, by_fs = build(dt=0.25, time_unit="h"), build(fs=4.0, time_unit="h")
    assert by_dt.dt == by_fs.dt == 0.25
    assert by_dt.time_unit == "h"
    assert by_dt.method is None
    assert build(dt=[0.1, 0.2]).batch_shape == (2,)
    with pytest.raises(ValueError, match="exactly one of dt="):
        build(dt=0.25, fs=4.0)


def test_what_was_given_is_not_changed():
    z, p = np.array([-1.0]), np.array([-2.0, -3.0])
    b, a, sos = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.5, 0.0]), signal.butter(3, 0.1, output="sos")
    before = [x.copy() for x in (z, p, b, a, sos)]
    ss.from_zpk(z, p, 1.0), ss.from_tf(b, a), ss.from_ba(b, a, dt=1.0), ss.from_sos(sos, dt=1.0)
    for now, then in zip((z, p, b, a, sos), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("taps", [19, 20, 25, 40, 100])
def test_a_long_b_over_a_short_a(taps):
    """As sections 40 coefficients lost 5e-10 and 60 1e-4: taps come first, then the poles."""
    rng = np.random.default_rng(0)
    b, a, u = rng.normal(size=taps), [1.0, -1.6, 0.8], rng.normal(size=300)
    system = ss.from_ba(b, a, dt=1.0)
    wanted = signal.lfilter(b, a, u)
    assert np.abs(ss.filter(system, u) - wanted).max() < 1e-13 * np.abs(wanted).max()
    assert isinstance(system.A, ss.Cascade) == (taps <= 19)
    roots = [0.8 + 0.4j, 0.8 - 0.4j]
    assert np.abs(np.sort_complex(system.poles)[-2:] - np.sort_complex(roots)).max() < 1e-15


def test_sections_that_stop_each_other_warn():
    """The figure is what happens: 60 random zeros over poles at 0."""
    zeros = np.roots(np.random.default_rng(0).normal(size=61))
    with pytest.warns(ss.AccuracyWarning, match=r"running these 30 sections loses about (\S+) of the peak") as caught:
        system = ss.from_zpk(zeros, np.zeros(60), 1.0, dt=1.0)
    told = float(str(caught[0].message).split("about ")[1].split(" ")[0])
    u = np.random.default_rng(1).normal(size=300)
    wanted = np.convolve(np.poly(zeros), u)[:300]
    happened = np.abs(ss.filter(system, u) - wanted).max() / np.abs(wanted).max()
    assert told / 100 < happened < 100 * told
