"""The example as a user runs it, and its numbers against closed forms that know nothing of this library."""

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, signal

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "examples" / "quickstart.py"
YEARLY = 2 * np.pi
WEEK = 7 / 365.25
BAND = signal.butter(2, [YEARLY / 1.5, YEARLY * 1.5], "bandpass", analog=True, output="zpk")


@pytest.fixture(scope="module")
def quickstart():
    spec = spec_from_file_location("quickstart", SCRIPT)
    module = module_from_spec(spec)
    sys.modules["quickstart"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["quickstart"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the script printed, run from somewhere else, and the picture it saved."""
    folder = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-W", "error", str(SCRIPT), "picture.png"]
    run = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", env=utf8())
    assert run.returncode == 0, run.stderr
    return run.stdout, folder / "picture.png"


def utf8():
    return {**os.environ, "PYTHONIOENCODING": "utf-8"}


# --------------------------------------------------------------- the numbers


def analog(omega):
    z, p, k = BAND
    return k * np.prod(1j * omega - z) / np.prod(1j * omega - p)


def sampled(weight, terms=4000):
    """Response of a digital filter that joins its samples by a hold: Σ H(jω_k) W(ω_k Δ) over the aliases.

    W is sinc·e^{−jθ/2} for a hold of one step (zoh) and sinc² for straight lines (foh).
    """
    omega = YEARLY + 2 * np.pi / WEEK * np.arange(-terms, terms + 1)
    return sum(analog(w) * weight(w * WEEK) for w in omega)


def zoh(angle):
    return np.sinc(angle / (2 * np.pi)) * np.exp(-0.5j * angle)


def foh(angle):
    return np.sinc(angle / (2 * np.pi)) ** 2


def bilinear():
    """The analog filter at (2/Δ') j tan(ωΔ/2), with Δ' such that this is ω."""
    step = 2 / YEARLY * np.tan(YEARLY * WEEK / 2)
    return analog(2 / step * np.tan(YEARLY * WEEK / 2))


EXPECTED = {"zoh": sampled(zoh), "foh": sampled(foh), "bilinear, prewarped": bilinear()}


def test_gain_and_phase_follow_the_closed_forms(quickstart):
    rows = {row.method: row for row in quickstart.table()}
    assert set(rows) == set(EXPECTED)
    for name, h in EXPECTED.items():
        ratio = h / analog(YEARLY)
        assert rows[name].gain_error == pytest.approx(100 * (abs(ratio) - 1), abs=1e-6)
        assert rows[name].phase_error == pytest.approx(np.degrees(np.angle(ratio)), abs=1e-6)
        assert rows[name].delay == pytest.approx(-np.angle(ratio) / (2 * np.pi) * 365.25, abs=1e-6)


def test_the_holds_do_what_the_text_says(quickstart):
    rows = {row.method: row for row in quickstart.table()}
    assert rows["zoh"].delay == pytest.approx(3.5, abs=1e-3)  # half a week
    assert rows["foh"].gain_error == pytest.approx(-0.12, abs=0.005)
    assert rows["foh"].difference < 1e-11  # the exact run, to rounding
    assert abs(rows["bilinear, prewarped"].gain_error) < 1e-9
    assert 1e-3 < rows["bilinear, prewarped"].difference < 0.01 < rows["zoh"].difference


def test_differences_follow_scipy(quickstart):
    """scipy.signal made digital by cont2discrete, and its foh run as the reference."""
    _, co2 = quickstart.read()
    known = ~np.isnan(co2)
    filled = np.interp(np.arange(len(co2)), np.flatnonzero(known), co2[known])
    warped = WEEK * np.tan(YEARLY * WEEK / 2) / (YEARLY * WEEK / 2)
    runs = {"zoh": output("zoh", WEEK, filled), "bilinear, prewarped": output("bilinear", warped, filled)}
    reference = output("foh", WEEK, filled)
    rows = {row.method: row for row in quickstart.table()}
    for name, y in runs.items():
        assert rows[name].difference == pytest.approx(np.abs(y - reference)[known].max(), rel=1e-6)


def output(method, step, u):
    """The band-pass of scipy, started in the steady state of the first sample."""
    a, b, c, d = signal.zpk2ss(*BAND)
    a, b, c, d, _ = signal.cont2discrete((a, b, c, d), step, method)
    x = np.linalg.solve(np.eye(len(a)) - a, b[:, 0] * u[0])
    y = np.empty_like(u)
    for k, value in enumerate(u):
        y[k] = c[0] @ x + d[0, 0] * value
        x = a @ x + b[:, 0] * value
    return y


def test_the_irregular_run_solves_the_differential_equation(quickstart):
    """Against an adaptive integrator, over the first two years with their gaps of up to nine weeks."""
    run = quickstart.exact(quickstart.season_filter())
    dates, co2 = quickstart.read()
    known = ~np.isnan(co2)
    t, u = (dates - dates[0]).astype(float)[known][:80] / 365.25, co2[known][:80]
    a, b, c, d = signal.zpk2ss(*BAND)
    x = np.linalg.solve(-a, b[:, 0] * u[0])
    expected = [c[0] @ x + d[0, 0] * u[0]]
    for k in range(len(t) - 1):
        line = lambda s, k=k: u[k] + (u[k + 1] - u[k]) * (s - t[k]) / (t[k + 1] - t[k])  # noqa: E731
        step = lambda s, x, line=line: a @ x + b[:, 0] * line(s)  # noqa: E731
        x = integrate.solve_ivp(step, (t[k], t[k + 1]), x, method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
        expected.append(c[0] @ x + d[0, 0] * u[k + 1])
    np.testing.assert_allclose(run.y[:80], expected, atol=1e-6)  # rtol of the integrator times 316 ppm, steps


def test_the_trend_delay_is_the_group_delay(quickstart):
    """Butterworth of order 4: 2.6131 / cutoff, the sum of its damping coefficients."""
    damping = 2 * (np.sin(np.pi / 8) + np.sin(3 * np.pi / 8))
    assert quickstart.trend_delay() == pytest.approx(damping / (YEARLY / 2.5))
    run = quickstart.exact(quickstart.trend_filter())
    late = np.interp(1990.0 + quickstart.trend_delay(), year(run.t), run.y)
    record = quickstart.read()
    known = ~np.isnan(record[1])
    mean = record[1][known & (np.abs(year(record[0]) - 1990.0) < 1.0)].mean()
    assert late == pytest.approx(mean, abs=0.5)


def year(dates):
    return 1970 + dates.astype("datetime64[D]").astype(float) / 365.25


def test_the_season_grew(quickstart):
    """Against the record itself: a yearly wave fitted beside its harmonic and a bent trend, decade by decade."""
    dates, co2 = quickstart.read()
    for decade in (1960, 1990):
        which = ~np.isnan(co2) & (np.abs(year(dates) - decade - 5) < 5)
        time, y = year(dates)[which] - decade - 5, co2[which]
        waves = [f(k * YEARLY * time) for k in (1, 2) for f in (np.cos, np.sin)]
        fit, *_ = np.linalg.lstsq(np.stack([*waves, *(time**k for k in range(5))], axis=1), y)
        assert quickstart.swing(decade) == pytest.approx(2 * np.hypot(*fit[:2]), rel=0.08)
    assert quickstart.swing(1990) / quickstart.swing(1960) == pytest.approx(1.17, abs=0.02)


# --------------------------------------------------------------- the data


def test_the_record_is_whole(quickstart):
    dates, co2 = quickstart.read()
    assert (str(dates[0]), str(dates[-1]), len(dates)) == ("1958-03-29", "2001-12-29", 2284)
    assert set(np.diff(dates).astype(int)) == {7}
    assert np.isnan(co2).sum() == 59
    assert (np.nanmin(co2), np.nanmax(co2)) == (313.0, 373.9)


def test_the_data_say_where_they_are_from():
    text = (SCRIPT.parent / "data" / "README.md").read_text(encoding="utf-8")
    for word in ("Keeling", "Scripps", "CDIAC", "statsmodels", "public domain"):
        assert word in text


# --------------------------------------------------------------- the script


def test_the_printed_table_is_the_closed_form(ran):
    lines = {
        line[:22].strip(): line for line in ran[0].splitlines() if "days" in line and "%" in line and "ppm" in line
    }
    assert set(lines) == set(EXPECTED)
    for name, h in EXPECTED.items():
        numbers = [float(x) for x in re.findall(r"-?\d+\.\d+(?:e[-+]\d+)?", lines[name])]
        ratio = h / analog(YEARLY)
        assert numbers[0] == pytest.approx(100 * (abs(ratio) - 1), abs=5.1e-4)
        assert numbers[1] == pytest.approx(np.degrees(np.angle(ratio)), abs=5.1e-3)
        assert lines[name].endswith({"zoh": "  0.23 ppm", "foh": "< 1e-9 ppm"}.get(name, "  0.0067 ppm"))
        assert numbers[2] == pytest.approx(-np.angle(ratio) / (2 * np.pi) * 365.25, abs=5.1e-3)
    assert "-0.00" not in ran[0].replace("-0.060", "")


def test_the_script_says_what_it_ran_on(ran):
    assert "2284 weeks from 1958-03-29 to 2001-12-29, 59 of them without a value" in ran[0]
    assert "2225, in steps of 7 to 133 days" in ran[0]
    assert "5.2 ppm in the 1960s, 6.1 ppm in the 1990s" in ran[0]
    assert ran[0].rstrip().endswith("picture: picture.png")


@pytest.mark.parametrize("where", ["run", "docs"])
def test_the_picture_is_there(ran, where):
    import matplotlib.image

    path = ran[1] if where == "run" else ROOT / "docs" / "mauna_loa_co2.png"
    height, width, _ = matplotlib.image.imread(path).shape
    assert (width, height) == (1000, 950)
    assert 50_000 < path.stat().st_size < 250_000
