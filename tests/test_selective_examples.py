"""The examples of selective systems as they run; what they claim is counted again here."""

import json
import re
import subprocess
import sys
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from test_examples import ROOT, image_size, loaded, printed

import statespace as ss


@pytest.fixture(scope="module")
def copying():
    yield loaded("selective_copying")
    del sys.modules["selective_copying"]


@pytest.fixture(scope="module")
def lengths():
    yield loaded("attention_and_scan")
    del sys.modules["attention_and_scan"]


@pytest.fixture(scope="module")
def clock():
    sys.path.insert(0, str(ROOT / "examples"))  # it reads the record of the quickstart
    yield loaded("what_does_it_select")
    sys.path.remove(str(ROOT / "examples"))
    for name in ("what_does_it_select", "quickstart"):
        del sys.modules[name]


@pytest.fixture(scope="module")
def trained(clock):
    return {seed: clock.train(clock.task(), seed=seed) for seed in (0, 1, 2)}


# --------------------------------------------------------------- selective copying


def test_counting_gives_back_every_token(copying):
    """Δ is known to 64·ε/2, and turns a state by 7π/8 in each of 16 steps: 3e-13."""
    rows = [row for row in copying.table() if row.system == "selective"]
    assert [row.length for row in rows] == [64, 64, 64, 4096]
    for row in rows:
        assert np.all(row.right == 1.0)
        assert row.rms < 3e-13
    long = copying.task(copying.RANDOM, 100_000, 1)
    answers = copying.by_counting(copying.RANDOM, long.u)
    np.testing.assert_allclose(answers, copying.wanted(long.symbols), rtol=0, atol=3e-13)


def test_blanks_do_not_exist_for_it(copying):
    """Without them the outputs are the same bits; a step of 2e-28 is none."""
    u = copying.task(copying.RANDOM, 4096, 200).u[0]
    heard = u.any(axis=-1)
    assert heard.sum() == 16
    layer = copying.counter()
    assert layer.selective == {"delta"}
    np.testing.assert_array_equal(ss.simulate(layer, u).y[heard], ss.simulate(layer, u[heard]).y)


def test_the_odds_are_those_of_all_choices(copying):
    choices = np.array(list(combinations(range(12), 8)))
    counted = (choices[:, :, None] == np.arange(12)).mean(axis=0)
    np.testing.assert_allclose(copying.odds(copying.RANDOM, 12), counted, rtol=1e-13)


def fitted(x, wanted):
    """The outputs that the first half has a fit of, by least squares, for the second half."""
    half = len(x) // 2
    return np.tensordot(x[half:], np.linalg.lstsq(x[:half], wanted[:half])[0], 1)


def test_no_fit_is_better_than_the_kernels(copying):
    """Fits that may use all inputs and need not treat symbols alike; on new sequences they lose what is overfitted.

    That is half the numbers fitted over the equations: 216 of 24,000 for one kernel, 153 of 3,000 for eight.
    """
    length, n = 16, 6000
    u, _, symbols = copying.task(copying.RANDOM, length, n)
    wanted = copying.wanted(symbols)
    late = np.concatenate([np.zeros_like(u), u], axis=1)
    windows = np.stack([late[:, i + length + 1 : i + 2 * length + 9] for i in range(8)], axis=1)  # 24 lags of each mark
    shared = fitted(windows.reshape(n * 8, -1), wanted.reshape(n * 8, -1)).reshape(n // 2, 8, 8)
    apart = fitted(u[:, : length + 1].reshape(n, -1), wanted.reshape(n, -1)).reshape(n // 2, 8, 8)
    for fit, run in ((shared, copying.by_age), (apart, copying.by_age_each)):
        ours = run(copying.RANDOM, u[n // 2 :])
        rms = [np.sqrt(np.mean((y - wanted[n // 2 :]) ** 2)) for y in (fit, ours)]
        assert rms[1] < rms[0] < 1.03 * rms[1]


def test_what_is_claimed_of_the_kernels(copying):
    """All right where the places are fixed; at random one kernel is a count, and eight know where a token often is."""
    rows = {(row.places, row.length, row.system): row.right.mean() for row in copying.table()}
    for places in (copying.START, copying.EVEN):
        assert rows[places, 64, "LTI, one kernel"] == rows[places, 64, "LTI, eight kernels"] == 1.0
    for length, one, eight in ((64, 0.343, 0.570), (4096, 0.324, 0.564)):
        assert rows[copying.RANDOM, length, "LTI, one kernel"] == pytest.approx(one, abs=0.005)
        assert rows[copying.RANDOM, length, "LTI, eight kernels"] == pytest.approx(eight, abs=0.005)
    lag = np.arange(72)
    count = np.where((lag >= 8) & (lag <= 64), 64 / (8 * 57), 0)
    np.testing.assert_allclose(copying.best_kernel(copying.RANDOM, 64), count, rtol=1e-12)


def test_selective_copying_runs(copying, tmp_path, monkeypatch, capsys):
    said = printed(copying, tmp_path / "copying.png", monkeypatch, capsys)
    lines = [line for line in said.splitlines() if re.search(r" (64|4096) ", line)]
    numbers = [float(x) for line in lines for x in re.findall(r"(\S+) %", line)]
    assert numbers == pytest.approx([100 * row.right.mean() for row in copying.table()], abs=0.051)
    assert image_size(tmp_path / "copying.png") == image_size(ROOT / "docs" / "selective_copying.png") == (1000, 1000)


# --------------------------------------------------------------- attention and the scan


def test_attention_is_a_causal_softmax(lengths):
    """The first sample hears itself alone; equal keys hear all so far alike; the future changes nothing."""
    q, k, v = lengths.queries(40)
    np.testing.assert_array_equal(lengths.attention(q, k, v)[0], v[0])
    means = np.cumsum(v, axis=0, dtype=float) / np.arange(1, 41)[:, None]
    np.testing.assert_allclose(lengths.attention(q, np.ones_like(k), v), means, atol=40 * np.finfo("f").eps)
    np.testing.assert_allclose(
        lengths.attention(q, k, v)[:20], lengths.attention(q[:20], k[:20], v[:20]), atol=40 * np.finfo("f").eps
    )


def test_both_ways_are_checked_before_they_are_timed(lengths, monkeypatch):
    """A sum of L products may be wrong by L roundings; 7 and 1 of 256 are seen."""
    assert lengths.scan_error() < 25
    assert lengths.attention_error() < 25
    monkeypatch.setattr(lengths, "scan", lambda u, *arrays: u)
    with pytest.raises(AssertionError):
        lengths.check()


def test_weights_are_the_memory_of_attention_and_its_output_that_of_a_scan(lengths):
    """L² weights of 4 bytes and a mask of 1, and L outputs of 256 bytes; the same outputs, and 0.3 MB at most."""
    arrays = lengths.queries(8192)
    attended = lengths.peak(lambda: lengths.attention(*arrays))
    assert attended == pytest.approx(5 * 8192**2, rel=0.02)
    lengths.scan(*lengths.steps(256))  # compiles
    scanned = [lengths.peak(partial(lengths.scan, *lengths.steps(length))) for length in (8192, 65_536)]
    for length, most in zip((8192, 65_536), scanned, strict=True):
        assert 256 * length < most < 256 * length + 300_000
    assert (f"{attended / 1e6:.0f}", f"{scanned[0] / 1e6:.0f}", f"{scanned[1] / 1e6:.0f}") == ("336", "2", "17")


def test_growth_is_that_of_the_longest_sequences(lengths):
    rows = [lengths.Row(2**k, 1.0 if k < 5 else 3e-3 * 4**k, 2**k) for k in range(2, 9)]
    assert lengths.exponent(rows, "seconds") == pytest.approx(2)
    assert lengths.exponent(rows, "memory") == pytest.approx(1)
    assert lengths.quadratic(rows, "seconds") == pytest.approx(3e-3)


def test_attention_and_scan_runs(lengths, tmp_path, monkeypatch, capsys):
    """Memory is counted, and grows as it must but for what is constant; times are noisy, and only positive."""
    monkeypatch.setattr(lengths, "PATIENCE", 0.0)
    said = printed(lengths, tmp_path / "lengths.png", monkeypatch, capsys, 2048, 32_768)
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines() if re.match(r" *[\d,]+ |grows", line)}
    assert list(lines) == ["256", "512", "1,024", "2,048", "4,096", "8,192", "16,384", "32,768", "grows"]
    *rows, (_, *grows) = lines.values()
    assert all(float(x.strip("~").replace(",", "")) > 0 for row in rows for x in row)
    assert [row[0].startswith("~") for row in rows] == [False] * 4 + [True] * 4
    _, _, of_attention, of_scan = (float(x.removeprefix("L^")) for x in grows)
    assert of_attention == pytest.approx(2, abs=0.2)  # from 256 samples on
    assert of_scan == pytest.approx(1, abs=0.1)
    assert image_size(tmp_path / "lengths.png") == (1000, 500)


# --------------------------------------------------------------- what does it select


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_step_rises_at_the_turns(clock, trained, seed):
    """In the years that were held out. Eight seeds: 0.89 to 0.99, steps larger by 4.7 times and more.

    Untrained they have anything from 0.01 to 0.98, as a projection may follow any phase of the year, but steps that
    are larger by 2.6 times at most.
    """
    it, one = clock.task(), trained[seed]
    assert clock.score(one, it) > 0.85
    channel, turn = clock.chosen(one, it), clock.near_turns(it)[it.held_out]
    step, weeks = clock.moments(one).dt[it.held_out, channel], clock.memory(one, channel)[it.held_out].max(axis=1)
    assert np.median(step[turn]) > 5 * np.median(step[~turn])
    assert np.median(weeks[turn]) < np.median(weeks[~turn]) / 5


def test_the_area_under_the_curve_counts_pairs(clock):
    score, event = np.array([3.0, 1.0, 2.0, 2.0, 0.0]), np.array([True, False, True, False, False])
    assert clock.area_under_curve(score, event) == pytest.approx((3 + 2.5) / 6)
    assert clock.area_under_curve(-score, event) == pytest.approx(1 - 5.5 / 6)


def test_a_constant_layer_is_the_worse_clock(clock, trained):
    """7.8 weeks off; selective ones 5.4 to 6.4, in the years that were held out."""
    it = clock.task()
    constant = clock.train(it, ())
    assert constant.layer.selective == frozenset()
    off = clock.rms_weeks(constant, it, it.held_out)
    assert off == pytest.approx(7.8, abs=0.2)
    assert all(clock.rms_weeks(one, it, it.held_out) < 0.85 * off for one in trained.values())


def test_nothing_of_the_years_held_out_is_learned(clock, trained):
    """Another future: the same parameters, bit for bit."""
    it = clock.task()
    changed = it._replace(since=np.where(np.arange(len(it.since)) < it.held_out.start, it.since, 0.0))
    again = clock.train(changed, seed=0)
    np.testing.assert_array_equal(again.layer.delta_up, trained[0].layer.delta_up)
    np.testing.assert_array_equal(again.answer, trained[0].answer)


def test_the_turns_are_the_autumns(clock):
    """One a year, around the beginning of October; what is heard ends with the week itself."""
    it = clock.task()
    day = (it.dates - it.dates.astype("datetime64[Y]"))[it.turns].astype(int)
    assert 255 < day.min() < day.max() < 295
    assert np.all(np.abs(np.diff(it.turns) - 52) <= 4)
    assert np.all(it.since[it.turns] == 0)
    np.testing.assert_array_equal(it.windows[20:, 1], it.windows[19:-1, 0])


def test_gradients_of_the_whole_model(clock):
    """Between its two maps, against differences along a random direction."""
    it, rng = clock.task(), np.random.default_rng(0)
    parameters, part = clock.start(clock.PARTS, 0), slice(0, 200)
    _, gradients = clock.loss_and_gradients(parameters, it.windows[part], it.since[part])
    way = {name: rng.normal(size=value.shape) for name, value in parameters.items()}

    def loss(h):
        moved = {name: value + h * way[name] for name, value in parameters.items()}
        return clock.loss_and_gradients(moved, it.windows[part], it.since[part])[0]

    slope = sum(np.sum(gradients[name] * way[name]) for name in parameters)
    assert set(gradients) == set(parameters)
    assert slope == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-6)


def test_what_does_it_select_runs(clock, tmp_path, monkeypatch, capsys):
    said = printed(clock, tmp_path / "clock.png", monkeypatch, capsys)
    for text in ("835 held out with 16 turns", "in 89 of 100 cases"):
        assert text in said
    errors = [float(x) for x in re.findall(r"  (?:selective|constant) .* (\S+)$", said, re.M)]
    assert errors == pytest.approx([5.4, 7.8], abs=0.15)
    assert image_size(tmp_path / "clock.png") == image_size(ROOT / "docs" / "what_does_it_select.png") == (1040, 600)


# --------------------------------------------------------------- the benchmark


def test_the_benchmark_checks_and_prints():
    """Small signals: every row is there, and what is timed is right."""
    script = ROOT / "examples" / "benchmarks" / "selective.py"
    command = [sys.executable, str(script), "--quick", "--json"]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [row["name"].split(" / ")[0] for row in rows][4:] == ["s4_zoh", "zoh", "bilinear", "foh", "exp_trapezoidal"]
    assert all(row["ours"] > 0 for row in rows)
    assert all(0 < row["error"] < 1e-5 for row in rows[:2])


# --------------------------------------------------------------- what the pages say


@pytest.mark.parametrize(
    ("name", "size"),
    [("attention_and_scan", (1000, 500)), ("selective_copying", (1000, 1000)), ("what_does_it_select", (1040, 600))],
)
def test_the_pictures_are_there(name, size):
    path = ROOT / "docs" / f"{name}.png"
    assert image_size(path) == size
    assert path.stat().st_size < 250_000
