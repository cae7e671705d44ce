"""filtfilt: SciPy's numbers where SciPy has them, the definition where it has not, and |H|² without a phase."""

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import random_matrices, relative

EPS = np.finfo(float).eps
PADS = ("odd", "even", "constant", None)
KINDS = {
    "butter": ((), (1, 2, 5, 8, 12, 14)),
    "cheby1": ((1,), (1, 2, 5, 8, 12)),
    "cheby2": ((40,), (1, 2, 5, 8, 12, 14)),
    "ellip": ((1, 40), (1, 2, 5, 8, 12, 14)),
}
BANDS = {
    "low": (0.1, "lowpass"),
    "very low": (0.05, "lowpass"),
    "high": (0.3, "highpass"),
    "band": ([0.2, 0.3], "bandpass"),
}
DESIGNS = [(kind, band, n) for kind, (_, orders) in KINDS.items() for band in BANDS for n in orders]


def design(kind, band, order, output):
    return getattr(signal, kind)(order, *KINDS[kind][0], *BANDS[band], output=output)


def walk(length=400, channels=3, seed=0):
    """Something with a trend, so that the ends matter."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(length, channels)), axis=0)


def rounding(sos, x):
    """What the coefficients of the sections, rounded to eps, leave undetermined in the answer, for every column of x.

    Σ|a| of a section, changed by eps, changes 1/den by eps·Σ|a|/|den| at each frequency, and so both runs; the
    changes at all frequencies of the continued signal are added as if they had one phase.
    """
    around = np.concatenate([2 * x[0] - x[:0:-1], x, 2 * x[-1] - x[-2::-1]])
    spectrum = np.abs(np.fft.rfft(around, axis=0))
    z = np.exp(-1j * np.linspace(0, np.pi, len(spectrum)))
    num, den = (np.array([row[0] + row[1] * z + row[2] * z**2 for row in part]) for part in (sos, sos[:, 3:]))
    spread = (np.abs(sos[:, 3:]).sum(axis=1)[:, None] / np.abs(den)).sum(axis=0)
    each = spectrum * (np.abs((num / den).prod(axis=0)) ** 2 * spread)[:, None]
    return 2 * EPS * float((2 * each.sum(axis=0) / len(around)).max())


def polynomial(a, x, y):
    """What the coefficients of a multiplied-out denominator, rounded to eps, leave undetermined in |H|², at worst.

    To which the subtractions of a high-pass add, whose answer is smaller than its input: eps·max|x| each way.
    """
    smallest = np.abs(np.polyval(a, np.exp(1j * np.linspace(0, np.pi, 20001)))).min()
    return 2 * EPS * (np.abs(a).sum() / smallest + 4 * np.abs(x).max() / np.abs(y).max())


# --------------------------------------------------------------- SciPy


@pytest.mark.parametrize(("kind", "band", "order"), DESIGNS)
def test_agrees_with_sosfiltfilt(kind, band, order):
    """To 1e-12 of the largest output, or less where the rounding of the coefficients allows less.

    That rounding leaves 1e-14 to 2e-11 undetermined; measured, a sixth of it and less, 8e-13 at most.
    """
    sos, x = design(kind, band, order, "sos"), walk()
    system = ss.from_sos(sos, dt=1.0)
    for padtype, padlen in (*((p, None) for p in PADS), ("odd", 7), ("even", 399)):
        wanted = signal.sosfiltfilt(sos, x, axis=0, padtype=padtype, padlen=padlen)
        got = ss.filtfilt(system, x, axis=0, padtype=padtype, padlen=padlen)
        assert np.abs(got - wanted).max() < min(1e-12 * np.abs(wanted).max(), rounding(sos, x))


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_agrees_with_the_filtfilt_of_a_polynomial(order, band):
    """Up to order 4, where a multiplied-out denominator still holds its poles: to `polynomial`, 5e-12 measured.

    SciPy's own two filters differ by as much, and above order 4 by up to 3e-5: nothing here multiplies out.
    """
    if band == "band" and order > 2:  # a band-pass has twice the order
        return
    x = walk()
    b, a = design("butter", band, order, "ba")
    for padtype in PADS:
        wanted = signal.filtfilt(b, a, x, axis=0, padtype=padtype)
        for system in (ss.from_ba(b, a, dt=1.0), ss.from_zpk(*design("butter", band, order, "zpk"), dt=1.0)):
            assert relative(ss.filtfilt(system, x, axis=0, padtype=padtype), wanted) < polynomial(a, x, wanted)


def sections(*rows):
    return np.array(rows, float)


DEFAULTS = {
    "b2 = 0": sections([1, 0.5, 0, 1, -0.5, 0.3]),
    "b2 = 0 in one, a2 = 0 in the other": sections([1, 0.5, 0, 1, -0.5, 0.3], [1, 0.2, 0.1, 1, -0.4, 0]),
    "two of first order": sections([1, 0.5, 0, 1, -0.5, 0], [1, 0.2, 0, 1, -0.4, 0]),
    "order 5": signal.butter(5, 0.3, output="sos"),
    "FIR": sections([1, 0.5, 0.25, 1, 0, 0], [1, 0.3, 0, 1, 0, 0]),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_of_padlen_is_that_of_scipy(name):
    """3·(order + 1), where a pole and a zero at 0 cancel: one sample less refuses the signal in all three."""
    sos = DEFAULTS[name]
    b, a = signal.sos2tf(sos)
    b, a = np.trim_zeros(b, "b"), np.trim_zeros(a, "b")
    edge = 3 * max(len(a), len(b))
    x = walk(edge + 1)
    wanted = signal.sosfiltfilt(sos, x, axis=0)
    assert relative(signal.filtfilt(b, a, x, axis=0), wanted) < 1e-13
    for system in (ss.from_sos(sos, dt=1.0), ss.from_ba(b, a, dt=1.0)):
        assert relative(ss.filtfilt(system, x, axis=0), wanted) < 1e-13
        with pytest.raises(ValueError, match=f"padlen={edge}, got {edge} samples"):
            ss.filtfilt(system, x[1:], axis=0)
    for call in (lambda: signal.sosfiltfilt(sos, x[1:], axis=0), lambda: signal.filtfilt(b, a, x[1:], axis=0)):
        with pytest.raises(ValueError, match=f"which is {edge}"):
            call()


@pytest.mark.parametrize("length", [50, 500])
@pytest.mark.parametrize("band", ["low", "high", "band"])
@pytest.mark.parametrize("kind", ["butter", "cheby1", "ellip"])
def test_gust_agrees_with_scipy(kind, band, length):
    """Orders 1 to 4, several channels, to five times `polynomial`, at most 2e-11.

    SciPy's states are those of the multiplied-out filter. Least squares multiplies its error by what the states are
    hidden by, up to three here; a reference in 60 digits says that the cascade is right to 1e-15 at order 4 and
    SciPy to 1e-12, which has 7 digits left at order 6 and none at order 8.
    """
    x = walk(length)
    for order in (1, 2) if band == "band" else (1, 2, 3, 4):
        b, a = design(kind, band, order, "ba")
        system = ss.from_zpk(*design(kind, band, order, "zpk"), dt=1.0)
        for irlen in (None, 60, 300):
            wanted = signal.filtfilt(b, a, x, axis=0, method="gust", irlen=irlen)
            got = ss.filtfilt(system, x, axis=0, method="gust", irlen=irlen)
            assert relative(got, wanted) < 5 * polynomial(a, x, wanted)


# --------------------------------------------------------------- the definitions


def matrices(system, length):
    """Plain matrices of one system: F, lower triangular with the kernel, and O = (C, CA, …)."""
    a, b, c, d = system
    powers = [np.eye(len(a))]
    for _ in range(length):
        powers.append(powers[-1] @ a)
    h = np.array([d[0, 0], *((c @ p @ b)[0, 0] for p in powers[: length - 1])])
    lag = np.arange(length)[:, None] - np.arange(length)
    return np.where(lag >= 0, h[lag], 0.0), np.stack([(c @ p)[0] for p in powers[:length]])


def by_definition(system, x):
    """Both orders of running as plain matrices, and their distance minimised over the two states."""
    f, o = matrices(system, len(x))
    back, o_back = f.conj()[::-1, ::-1], o.conj()[::-1]
    columns = np.concatenate([back @ o - o, o_back - f @ o_back], axis=1)
    w = np.linalg.lstsq(columns, f @ back @ x - back @ f @ x)[0]
    n = o.shape[1]
    return back @ (f @ x + o @ w[:n]) + o_back @ w[n:]


def one_of_each():
    rng = np.random.default_rng(5)
    poles = 0.9 * np.exp(1j * rng.uniform(0.2, 2.5, 2))
    b, c = np.ones((2, 1)), rng.normal(size=(1, 2)) + 1j * rng.normal(size=(1, 2))
    whole = random_matrices(3, m=1, p=1, complex_=True)
    return {
        "cascade": ss.from_zpk([-1, 0.3], [0.7 + 0.5j, 0.7 - 0.5j, 0.2], 0.3, dt=1.0),
        "complex cascade": ss.from_zpk([0.5j], [0.7 + 0.5j, 0.3j - 0.5], 1 + 1j, dt=1.0),
        "dense": ss.discretize(ss.ContinuousSystem(*random_matrices(2, m=1, p=1)), 0.2, "foh"),
        "complex dense": ss.discretize(ss.ContinuousSystem(*whole), 0.2),
        "diagonal": ss.DiscreteSystem(ss.Diagonal(poles), b, c, [[0.5j]], dt=1.0),
        "pairs": ss.DiscreteSystem(ss.Diagonal(poles, pairs=True), b, c, [[0.5]], dt=1.0),
        "fir": ss.from_ba([0.5, 1.0, -0.3, 0.2], [1.0], dt=1.0),
    }


SYSTEMS = one_of_each()


@pytest.mark.parametrize("length", [70, 900])
@pytest.mark.parametrize("name", SYSTEMS)
def test_gust_is_its_definition(name, length):
    """For every structure, real or complex, against dense matrices of the whole signal, however long it is."""
    system, x = SYSTEMS[name], walk(length, 1)[:, 0]
    for signal_ in (x,) if name == "pairs" else (x, x + 1j * walk(length, 1, seed=1)[:, 0]):
        # eps, times the 900 products of a sum of random signs, √900, times what least squares adds: measured 4e-15.
        assert relative(ss.filtfilt(system, signal_, method="gust"), by_definition(system, signal_)) < 5e-14


@pytest.mark.parametrize("name", SYSTEMS)
def test_padding_is_its_definition(name):
    """Continue, run from the steady state, turn, run again (a complex system with its conjugate), cut."""
    system, x = SYSTEMS[name], walk(70, 1)[:, 0]
    edge = 3 * (system.n_states + 1)
    y = np.concatenate([2 * x[0] - x[edge:0:-1], x, 2 * x[-1] - x[-2 : -edge - 2 : -1]])
    mirrored = ss.DiscreteSystem(*(m.conj() for m in system), dt=1.0)  # four plain matrices
    for each in (system, mirrored):
        y = ss.filter(each, y, state="steady")[0][::-1]
    # One rounding of each of the two runs in another basis, times the condition of I − A, below 100.
    assert relative(ss.filtfilt(system, x), y[edge:-edge]) < 1e-13


def length_of_response(system, tolerance=1e-16):
    return int(np.ceil(np.log(tolerance) / np.log(np.abs(system.poles).max(initial=0.5))))


@pytest.mark.parametrize("method", ["pad", "gust"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_phase_is_zero(name, method):
    """A tone, of positive or negative frequency, comes out |H|² times as large and with its own phase.

    Away from the ends by as much as the response needs to fall to 1e-16. A state may be larger than the tone by
    max|H|, both runs round it, and the ends begin with errors of the size of their transients: 100 roundings.
    """
    system = SYSTEMS[name]
    margin = length_of_response(system) + 10
    k = np.arange(2 * margin + 200)
    peak = np.abs(system(np.exp(1j * np.linspace(-np.pi, np.pi, 1001)))).max()
    for omega in (0.05, 0.4, 2.0, -0.4):
        tone = np.exp(1j * omega * k)
        gain = abs(system(np.exp(1j * omega))[0, 0]) ** 2
        parts = (tone.real, tone.imag) if name == "pairs" else (tone,)
        y = sum(f * ss.filtfilt(system, part, method=method) for f, part in zip((1, 1j), parts, strict=False))
        ratio = (y / tone)[margin:-margin]
        assert np.abs(ratio.imag).max() < 100 * EPS * max(peak, 1.0) ** 2
        assert np.abs(ratio.real - gain).max() < 100 * EPS * max(peak, 1.0) ** 2


@pytest.mark.parametrize("method", ["pad", "gust"])
def test_running_backward_first_changes_little(method):
    """Turning the signal turns the answer, away from the ends to what the ends have been forgotten to."""
    system, x = SYSTEMS["cascade"], walk(600, 2)
    margin = length_of_response(system)
    there, back = (ss.filtfilt(system, v, axis=0, method=method)[margin:-margin] for v in (x, x[::-1]))
    assert relative(there, back[::-1]) < 1e-14


def test_gust_does_without_a_steady_state():
    """An integrator has none, but there are states for which the order of the runs matters least."""
    leaky, integrator = (ss.from_zpk([-1], [p], 0.5, dt=1.0) for p in (1 - 1e-7, 1.0))
    x = walk(40, 1)[:, 0]
    got = ss.filtfilt(integrator, x, method="gust")
    assert relative(got, by_definition(integrator, x)) < 1e-10
    # 1e-7 · 40 samples of leak, twice, times what an integral of an integral makes of it.
    assert relative(ss.filtfilt(leaky, x, method="gust"), got) < 1e-4
    with pytest.raises(ValueError, match="integrates a constant input"):
        ss.filtfilt(integrator, x, padtype=None)


# --------------------------------------------------------------- shapes and types


@pytest.mark.parametrize("options", [{}, {"padtype": None}, {"method": "gust"}, {"method": "gust", "irlen": 8}])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_every_other_axis_is_a_channel(axis, options):
    x = np.random.default_rng(0).normal(size=(26, 27, 28))
    system = SYSTEMS["cascade"]
    y = ss.filtfilt(system, x, axis=axis, **options)
    assert y.shape == x.shape
    lane = [3, 4, 5]
    lane[axis] = slice(None)
    # Least squares of several columns may be blocked otherwise than of one: rounding, no more.
    assert relative(y[tuple(lane)], ss.filtfilt(system, x[tuple(lane)], **options)) < 1e-13


@pytest.mark.parametrize("options", [{}, {"method": "gust"}, {"method": "gust", "irlen": 8}])
def test_a_batch_of_systems_lies_along_the_channels(options):
    layer = ss.from_zpk([[-1.0]] * 3, [[0.5], [0.7], [-0.2]], [1.0, 2.0, 3.0], dt=1.0)
    x = walk(40, 3).reshape(1, 40, 3) * np.array([1.0, 2.0])[:, None, None]
    y = ss.filtfilt(layer, x, axis=1, **options)
    alone = ss.filtfilt(layer, x[0, :, 0], **options)
    assert y.shape == (2, 40, 3)
    assert alone.shape == (40, 3)
    for i, (pole, gain) in enumerate([(0.5, 1.0), (0.7, 2.0), (-0.2, 3.0)]):
        one = ss.from_zpk([-1.0], [pole], gain, dt=1.0)
        assert relative(y[1, :, i], ss.filtfilt(one, x[1, :, i], **options)) < 1e-13
        assert relative(alone[:, i], ss.filtfilt(one, x[0, :, 0], **options)) < 1e-13


@pytest.mark.parametrize("options", [{}, {"method": "gust"}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("name", ["cascade", "complex cascade"])
def test_precision_follows_the_signal(name, dtype, options):
    """float32 in, float32 out, with one rounding: both runs and what lies between them are double."""
    x = walk(60, 2).astype(dtype)
    before = x.copy()
    y = ss.filtfilt(SYSTEMS[name], x, axis=0, **options)
    wide = ss.filtfilt(SYSTEMS[name], x.astype(np.result_type(dtype, np.float64)), axis=0, **options)
    assert y.dtype == (np.result_type(dtype, np.complex64) if "complex" in name else dtype)
    assert np.array_equal(y, wide.astype(y.dtype))
    assert np.array_equal(x, before)
    assert ss.filtfilt(SYSTEMS["cascade"], np.arange(60)).dtype == np.float64


@pytest.mark.parametrize("length", [0, 1, 2, 5])
@pytest.mark.parametrize(
    "options", [{"method": "gust"}, {"method": "gust", "irlen": 1}, {"padlen": 0}, {"padtype": None}]
)
def test_very_short_signals(length, options):
    """Fewer samples than unknowns: the least states. Nothing in, nothing out, but a steady state needs a sample."""
    system, x = SYSTEMS["cascade"], walk(length, 2)
    if length == 0 and "method" not in options:
        with pytest.raises(ValueError, match="longer than padlen=0, got 0 samples"):
            ss.filtfilt(system, x, axis=0, **options)
        return
    y = ss.filtfilt(system, x, axis=0, **options)
    assert y.shape == x.shape
    assert np.isfinite(y).all()


@pytest.mark.parametrize("options", [{}, {"padtype": None}, {"method": "gust"}])
def test_a_gain_is_squared(options):
    gain = ss.from_zpk([], [], -3.0, dt=1.0)
    x = walk(10)
    assert relative(ss.filtfilt(gain, x, axis=0, **options), 9.0 * x) < 4 * EPS
