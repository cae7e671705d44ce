"""The examples of filtering and control as they run; their numbers by other means: SciPy, NumPy, closed forms."""

import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from scipy import linalg, signal

import statespace as ss

ROOT = Path(__file__).resolve().parents[1]
NEEDS_C = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler (cc, gcc, clang) on this machine"
)


def loaded(name):
    spec = spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ecg():
    pytest.importorskip("pywt", reason="PyWavelets, which has the record, is not installed")
    yield loaded("filter_ecg")
    del sys.modules["filter_ecg"]


@pytest.fixture(scope="module")
def control():
    yield loaded("controller_to_c")
    del sys.modules["controller_to_c"]


def printed(module, target, monkeypatch, capsys, *sizes):
    """What main() says when its picture goes to target."""
    monkeypatch.setattr(sys, "argv", ["example", str(target)])
    module.main(*sizes)
    return capsys.readouterr().out


def image_size(path):
    import matplotlib.image

    return matplotlib.image.imread(path).shape[1::-1]


# --------------------------------------------------------------- ECG: the record


def test_the_record_is_what_is_said_of_it(ecg):
    t, clean = ecg.record()
    assert t.shape == clean.shape == (1024,)
    assert abs(clean.mean()) < 1e-12
    assert ecg.r_waves(clean) == [190, 518, 848]  # 329 samples, 66 beats a minute at the assumed rate


def test_its_own_hum_is_at_a_sixth_of_its_rate(ecg):
    """Which is 60 Hz if the rate is 360: the largest line from 50 to 70 Hz, to the width of a bin, 0.35 Hz."""
    _, clean = ecg.record()
    hz = np.fft.rfftfreq(len(clean), 1 / ecg.RATE)
    lines = np.abs(np.fft.rfft(clean * signal.windows.hann(len(clean))))
    band = (hz > 50) & (hz < 70)
    assert hz[band][lines[band].argmax()] == pytest.approx(60, abs=0.36)
    assert lines[band].max() > 2 * np.median(lines[band])


# --------------------------------------------------------------- ECG: the filters


def scipy_sections(ecg):
    """Poles and zeros through s = c (ζ − 1)/(ζ + 1), c = ω/tan(ω/2 fs), by hand; SciPy makes sections of them."""
    parts = []
    butter = signal.butter(2, ecg.CUTOFF, "highpass", analog=True, output="zpk")
    notch = ([1j * ecg.HUM, -1j * ecg.HUM], np.roots([1, ecg.WIDTH, ecg.HUM**2]), 1.0)
    for (z, p, k), omega in ((notch, ecg.HUM), (butter, ecg.CUTOFF)):
        c = omega / np.tan(omega / 2 / ecg.RATE)
        z, p = np.asarray(z, complex), np.asarray(p, complex)
        k = float((k * np.prod(c - z) / np.prod(c - p)).real)
        parts.append(signal.zpk2sos((c + z) / (c - z), (c + p) / (c - p), k))
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def by_scipy(ecg):
    """The three ways, of any signal, by sosfilt and sosfiltfilt."""
    sos = scipy_sections(ecg)
    rest = signal.sosfilt_zi(sos)
    return {
        "as it came": lambda x: x,
        "causal": lambda x: signal.sosfilt(sos, x, zi=rest * x[0])[0],
        "zero phase": lambda x: signal.sosfiltfilt(sos, x, padtype="even", padlen=ecg.PAD),
    }


def test_each_way_follows_scipy(ecg, by_scipy):
    """Signals of some 300 units: two recursions of 2,500 samples with a pole 0.006 from 1 leave 1e-9 of that."""
    t, clean = ecg.record()
    for way, run in by_scipy.items():
        for x in (clean, ecg.added(t)):
            np.testing.assert_allclose(ecg.run(way, x), run(x), atol=3e-7)


def test_the_table_follows_scipy(ecg, by_scipy):
    """From SciPy's outputs, and from the definition of the SNR: power of the record over power of what changed."""
    t, clean = ecg.record()
    for row in ecg.table():
        y, left, kept = (by_scipy[row.way](x) for x in (clean + ecg.added(t), ecg.added(t), clean))
        assert row.snr == pytest.approx(10 * np.log10(np.var(clean) / np.var(y - clean)), abs=1e-6)
        assert row.snr_added == pytest.approx(10 * np.log10(np.var(kept) / np.var(left)), abs=1e-6)
        assert (row.left, row.taken) == pytest.approx((np.std(left), np.std(kept - clean)), abs=1e-6)
        np.testing.assert_allclose(y - clean, left + (kept - clean), atol=1e-8)  # the error is their sum


def test_what_is_claimed_holds(ecg):
    """Zero phase against causal: better by every column. The bounds are the values of SciPy, rounded."""
    before, causal, zero_phase = ecg.table()
    assert before.snr == pytest.approx(-6.3, abs=0.05)
    assert causal.snr == pytest.approx(4.4, abs=0.05)
    assert zero_phase.snr == pytest.approx(9.8, abs=0.05)
    assert zero_phase.snr_added == pytest.approx(18.0, abs=0.05)
    assert zero_phase.taken < causal.taken
    assert abs(zero_phase.st_error) < 1.5 < 14 < -causal.st_error


def test_the_r_waves_stay_where_they_are(ecg):
    assert [row.late for row in ecg.table()] == [[1, -1, -1], [0, 0, 0], [0, 0, 0]]


def test_zero_phase_is_zero_phase(ecg):
    """The answer to a sample in the middle of 6,001 is the same in both directions of time, to rounding."""
    y = ecg.run("zero phase", np.eye(1, 6001, 3000)[0])
    np.testing.assert_allclose(y, y[::-1], atol=1e-10)
    causal = ecg.run("causal", np.eye(1, 6001, 3000)[0])
    assert abs(causal - causal[::-1]).max() > 0.01


def test_turning_the_ends_about_the_hum_costs_decibels(ecg):
    """What the text says of the default padding: a displacement of twice the hum, 2·50·sin(1) at the first sample."""
    t, clean = ecg.record()
    odd = ss.filtfilt(ecg.cleaner(), clean + ecg.added(t), padlen=ecg.PAD)
    assert ecg.table()[2].snr - ecg.ratio(clean, odd - clean) > 3


def test_the_notch_is_at_60_hz_because_it_is_prewarped(ecg):
    """A zero on the unit circle, known to eps: |H| ≤ eps·ω/width times a few. Plain, it is at (fs/π) atan(π 60/fs)."""
    exact = ss.discretize(ecg.notch(), fs=ecg.RATE, method=ss.Bilinear(prewarp=ecg.HUM))
    plain = ss.discretize(ecg.notch(), fs=ecg.RATE, method="bilinear")
    eps = np.finfo(float).eps
    assert abs(ss.frequency_response(exact, [ecg.HUM]).H[0]) < 10 * eps * ecg.HUM / ecg.WIDTH
    assert ecg.gain(exact, 60.0)[0] <= -400  # run both ways, in dB; the floor of the function
    missed = ecg.RATE / np.pi * np.arctan(np.pi * 60 / ecg.RATE)
    assert missed == pytest.approx(55.27, abs=0.01)
    assert ecg.gain(plain, missed)[0] < -400 + 1e-6
    assert ecg.gain(plain, 60.0)[0] > -1


def test_the_high_pass_is_as_wide_as_it_is_said_to_be(ecg):
    """Run both ways: (f/fc)⁴/(1 + (f/fc)⁴), which is ½ at the cutoff."""
    assert ecg.gain(ecg.highpass(), 0.5)[0] == pytest.approx(-20 * np.log10(2), abs=1e-9)
    assert ecg.gain(ecg.highpass(), 0.62)[0] == pytest.approx(-3, abs=0.1)


def test_filter_ecg_runs(ecg, tmp_path, monkeypatch, capsys):
    said = printed(ecg, tmp_path / "ecg.png", monkeypatch, capsys)
    assert "360 samples per second (assumed)" in said
    rows = {line[:12].strip(): re.findall(r"-?\d+\.?\d*", line[12:]) for line in said.splitlines() if " dB " in line}
    for row in ecg.table():
        numbers = [float(x) for x in rows[row.way]]
        assert numbers[:5] == pytest.approx(row[1:6], abs=0.051)  # one digit is printed
        assert numbers[5:] == row.late
    assert image_size(tmp_path / "ecg.png") == (1000, 900)


# --------------------------------------------------------------- control: the loops


def loop_by_hand(control, method):
    """The open loop as a function of ω: fractions for the controller, scipy's zoh for the plant."""
    z, p, k = ss.to_zpk(control.controller())
    regulator = signal.zpk2tf(z, p, k)
    if method == control.ANALOG:
        return lambda w: np.polyval(regulator[0], 1j * w) / np.polyval(regulator[1], 1j * w) / (4 - w**2 + 0.4j * w)
    a, b, c, _, _ = signal.cont2discrete(tuple(control.plant()), control.DT, "zoh")
    point = lambda w: np.exp(1j * w * control.DT)  # noqa: E731
    plant = lambda w: (c @ np.linalg.solve(point(w) * np.eye(2) - a, b))[0, 0]  # noqa: E731
    if method == control.HELD:
        num, den, _ = signal.cont2discrete(regulator, control.DT, "zoh")
        return lambda w: plant(w) * np.polyval(num[0], point(w)) / np.polyval(den, point(w))
    rate = control.CROSSOVER / np.tan(control.CROSSOVER * control.DT / 2)
    s = lambda w: rate * (point(w) - 1) / (point(w) + 1)  # noqa: E731
    return lambda w: plant(w) * np.polyval(regulator[0], s(w)) / np.polyval(regulator[1], s(w))


def test_the_margins_are_those_of_the_loops(control):
    """At the crossover the loop by hand has gain 1 and the phase that is printed."""
    for row in control.table():
        at_crossover = loop_by_hand(control, row.way)(row.crossover)
        assert abs(at_crossover) == pytest.approx(1, abs=1e-9)
        assert 180 + np.degrees(np.angle(at_crossover)) == pytest.approx(row.margin, abs=1e-6)


def test_the_design_is_met_and_the_hold_costs_what_is_said(control):
    """8 rad/s and 55°; a hold of one step turns the phase by half a step, and moves the crossover by 0.5 %."""
    analog, bilinear, held = control.table()
    assert (analog.crossover, analog.margin) == pytest.approx((8, 55), abs=1e-9)
    assert (bilinear.gain, bilinear.phase) == pytest.approx((0, 0), abs=1e-9)
    assert bilinear.margin == pytest.approx(55 - np.degrees(8 * control.DT / 2), abs=0.1)
    assert held.crossover > 1.5 * bilinear.crossover


def by_recursion(control):
    """The digital loop written out: two coefficients each way, and the plant by an exponential."""
    (z1, z2), (p1, p2), k = (np.real(x) for x in ss.to_zpk(control.controller()))
    rate = control.CROSSOVER / np.tan(control.CROSSOVER * control.DT / 2)
    b, a = signal.bilinear(k * np.poly([z1, z2]), np.poly([p1, p2]), fs=rate / 2)
    block = linalg.expm(control.DT * np.array([[0, 1, 0], [-4, -0.4, 1], [0, 0, 0]]))
    x, errors, forces, positions = np.zeros(3), [0.0, 0.0], [0.0, 0.0], []
    for _ in range(control.SAMPLES):
        positions.append(x[0])
        errors.append(control.TARGET - x[0])
        forces.append(b @ errors[:-4:-1] - a[1:] @ forces[:-3:-1])
        x[2] = forces[-1]
        x = block @ x
    return np.array(positions), np.array(forces[2:])


def test_the_digital_loop_is_its_recursion(control):
    """A stable loop of 126 samples: rounding of 1e-15 of 17 N, amplified by its gains."""
    positions, forces = by_recursion(control)
    np.testing.assert_allclose(control.position(control.BILINEAR), positions, atol=1e-12)
    np.testing.assert_allclose(control.force(control.BILINEAR), forces, atol=1e-10)


@pytest.mark.parametrize("way", ["bilinear, prewarped", "zoh"])
def test_the_continuous_plant_agrees_at_the_samples(control, way):
    _, y = control.between(way)
    np.testing.assert_allclose(y[::10], control.position(way), atol=1e-13)


def test_the_analog_loop_makes_the_step(control):
    """Against scipy.signal of the closed loop's fraction; 5 s are five of its slowest time constants, 0.97 s."""
    z, p, k = ss.to_zpk(control.controller())
    num, den = k * np.poly(z), np.polymul(np.poly(p), [1, 0.4, 4])
    _, y = signal.step((num, np.polyadd(den, num)), T=np.linspace(0, 5, 501))
    run = control.analog()
    np.testing.assert_allclose(run.y[::10], control.TARGET * y, atol=1e-10)
    assert run.y[-1] == pytest.approx(control.TARGET, rel=0.01)


# --------------------------------------------------------------- control: the C program


def rounding_bound(system, u):
    """How far the step in float can be from the exact one: |A|, |B|, |C| carry errors on, each step adds its own.

    Every product of a rounded coefficient and its share of the sums is wrong by at most 4 roundings of ε/2, a
    coefficient by one of them; doubled, for what is of second order.
    """
    a, b, c, d = (np.abs(x) for x in system)
    x, error, bounds = np.zeros(len(a)), np.zeros(len(a)), []
    signed, unit = system, 4 * np.finfo(np.float32).eps
    state = np.zeros(len(a))
    for u_k in u:
        bounds.append(float((c @ (error + unit * x) + unit * d @ [abs(u_k)])[0]))
        error = a @ error + unit * (a @ x + b @ [abs(u_k)])
        state = np.asarray(signed.A) @ state + signed.B @ [u_k]
        x = np.abs(state)
    return np.array(bounds)


@NEEDS_C
def test_c_is_python_within_the_rounding_of_float(control):
    """The running bound is a worst case; rounding errors cancel, so that far less than all of it is seen."""
    run = control.compare()
    assert run.force.shape == (control.SAMPLES,)
    bound = rounding_bound(control.digital(control.BILINEAR), run.error)
    assert np.all(np.abs(run.difference) <= bound)
    assert bound.max() < 1e-2 < np.abs(run.force).max()  # N: a bound that says something
    assert np.abs(run.difference).max() < 2e-5


@NEEDS_C
def test_the_integrator_survives_the_export(control):
    """A pole at exactly 1: what it holds after 1,000 samples it holds, bit for bit, after 100,000."""
    assert control.digital(control.BILINEAR).poles.real.max() == 1.0
    run = control.compare()
    assert run.kept[-1] > 0.5
    assert np.all(run.kept[1000:] == run.kept[-1])


def test_without_a_compiler_it_says_so(control, monkeypatch):
    monkeypatch.setattr(control, "compiler", lambda: None)
    assert "There is no C compiler here" in control.report()


def test_controller_to_c_runs(control, tmp_path, monkeypatch, capsys):
    said = printed(control, tmp_path / "controller.png", monkeypatch, capsys)
    for row in control.table():
        line = next(line for line in said.splitlines() if line.startswith(row.way + " "))
        numbers = [float(x) for x in re.findall(r"-?\d+\.\d+", line)]
        assert numbers == pytest.approx(row[1:], abs=0.051)  # one or two digits are printed
    if control.compiler():
        worst = np.abs(control.compare().difference).max()
        assert f"differ by {worst:.1e} N" in " ".join(said.split())
    header = (tmp_path / "controller.h").read_text(encoding="ascii")
    assert header == ss.to_c(control.digital(control.BILINEAR), "controller")
    assert image_size(tmp_path / "controller.png") == (1000, 750)


# --------------------------------------------------------------- laws for your own


def test_your_own_filter_passes():
    """As it is run by hand, by pytest; nothing is left beside it."""
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/test_your_own_filter.py"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


# --------------------------------------------------------------- what the pages say


@pytest.mark.parametrize(("name", "size"), [("ecg", (1000, 900)), ("controller", (1000, 750))])
def test_the_pictures_of_the_pages_are_there(name, size):
    path = ROOT / "docs" / f"{name}.png"
    assert image_size(path) == size
    assert path.stat().st_size < 150_000


def test_the_pages_give_the_numbers_of_the_examples(ecg, control):
    """README: the SNR. docs/discretization.md: where a plain notch lands, the margin that is lost, two crossovers."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    before, _, after = ecg.table()
    assert f"its SNR from −{-before.snr:.1f} to {after.snr:.1f} dB" in readme
    page = " ".join((ROOT / "docs" / "discretization.md").read_text(encoding="utf-8").split())
    assert f"lands at {ecg.RATE / np.pi * np.arctan(np.pi * 60 / ecg.RATE):.1f} Hz" in page
    analog, bilinear, held = control.table()
    assert f"{analog.margin - bilinear.margin:.1f}° of {analog.margin:.0f}°" in page
    assert f"crosses over at {held.crossover:.0f} rad/s instead of {analog.crossover:.0f}" in page
