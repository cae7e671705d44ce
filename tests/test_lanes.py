"""Lanes: channels eight at a time, blocks of time eight at a time, and threads over both."""

import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import digital_systems, random_matrices, relative
from statespace import scan
from statespace.cpu import share, thread_count
from statespace.cpu.threads import _pool as shared_pool
from statespace.scan.time_blocks import Blocks
from statespace.simulation import choice, forms

SYSTEMS = {
    name: system for name, system in digital_systems().items() if scan.as_lanes(system) is not None
}  # fmt: skip
SISO = {name: s for name, s in SYSTEMS.items() if s.n_inputs == s.n_outputs == 1 and not s.stores_pairs}
BAND = ss.from_sos(signal.butter(4, [0.1, 0.2], "bandpass", output="sos"), dt=1.0)
SLOW = ss.from_sos(signal.butter(4, [0.1, 0.101], "bandpass", output="sos"), dt=1.0)
LOWPASS = ss.discretize(ss.from_zpk([], [-1 + 2j, -1 - 2j, -3], 15.0), 0.2, "bilinear")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def over_lanes(system, u, x0=None, blocks=None):
    """Output and state of a run over lanes: rows in units of the recurrence, or blocks of time in those of chunks."""
    x0 = np.zeros(system.state_size) if x0 is None else x0
    y, single = scan.output_like(system, u, x0), scan.in_single(system, u.dtype)
    if blocks is None:
        return y, scan.run_lanes(system, scan.as_lanes(system), u, x0, y)
    past = scan.memory(system, blocks.length, single)
    lanes = scan.quick_lanes(system, single)
    return y, scan.run_lanes(system, lanes, u, x0, y, scan.run_blocks, blocks=blocks, past=past)


# --------------------------------------------------------------- the same numbers


@pytest.mark.parametrize("rows", [1, 3, 7, 8, 9, 20])
@pytest.mark.parametrize("name", SYSTEMS)
def test_rows_as_lanes_are_the_recurrence(name, rows):
    system = SYSTEMS[name]
    batch = (rows, *(1,) * len(system.batch_shape))
    u, x0 = noise(*batch, 150, system.n_inputs), noise(*batch, system.state_size, seed=1)
    x0 = x0 + (1j * x0 if system.stores_pairs else 0)
    y, final = over_lanes(system, u, x0)
    wanted = ss.simulate(system, u, x0=x0, form="recurrent")
    assert relative(y, wanted.y) < 1e-13
    assert relative(final, wanted.final_state) < 1e-13


@pytest.mark.parametrize("length", [512, 700, 1000])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", SYSTEMS)
def test_blocks_of_time_are_the_recurrence(name, rows, length):
    """Eight blocks of 56: some systems forget within one, others are carried; what is left over runs at the end."""
    system = SYSTEMS[name]
    batch = (rows, *(1,) * len(system.batch_shape))
    u, x0 = noise(*batch, length, system.n_inputs), noise(*batch, system.state_size, seed=1)
    if scan.memory(system, 56) is None:
        pytest.skip("powers of A grow")
    y, final = over_lanes(system, u, x0 + 0j if system.stores_pairs else x0, Blocks(8, 56))
    wanted = ss.simulate(system, u, x0=x0, form="recurrent")
    assert relative(y, wanted.y) < 1e-12  # integrators: 1000 roundings
    assert relative(final, wanted.final_state) < 1e-12


@pytest.mark.parametrize(("system", "forgets"), [(BAND, True), (SLOW, False), (LOWPASS, True)])
def test_long_signals_are_cut_into_blocks(system, forgets):
    u = noise(300_000)
    blocks = forms.lane_blocks(system, 1, len(u))
    assert blocks == (64, 4680)  # an odd number of eights
    assert forms.lane_blocks(system, 1, 2**20) == (64, 2**14 - 8)
    assert (scan.memory(system, blocks.length).power is None) == forgets
    said = ss.explain(system, u)
    assert (said.form, said.block) == ("chunked", blocks.length)
    y, state = ss.filter(system, u, state="zero")
    assert relative(ss.filter(system, u), y) < 1e-13
    run = ss.simulate(system, u, form="chunked")
    assert relative(run.y, y) < 1e-13
    assert relative(run.final_state, state) < 1e-13


def test_memory_is_where_the_states_are_forgotten():
    """Seen on the powers of the block-triangular matrix itself, which rounds to 1e-16 of its largest."""
    past = scan.memory(BAND, 10_000)
    a = np.asarray(BAND.A).astype(np.longdouble)
    power, peak = np.eye(8, dtype=np.longdouble), np.eye(8, dtype=np.longdouble)
    for _ in range(past.samples):
        power = a @ power
        peak = np.maximum(peak, np.abs(power))
    assert (np.abs(power) <= 2.0**-70 * peak).all()
    assert 1000 < past.samples < 1800
    assert scan.memory(BAND, 1000).samples == 1000


@pytest.mark.parametrize("n", range(3, 33))
def test_columns_of_every_row_count(n):
    """Rows were taken eight at a time with the columns of the lower four: a companion matrix lost its last one."""
    rng = np.random.default_rng(n)
    companion = np.eye(n, k=-1)
    companion[0, [0, -1]] = 0.1, 0.5
    sparse = np.where(rng.uniform(size=(n, n)) < 0.1, rng.normal(size=(n, n)), 0.0)
    for a in (companion, companion.T, sparse, np.diag(rng.uniform(size=n))[::-1]):
        a = 0.9 * a / max(np.abs(np.linalg.eigvals(a)).max(), 1.0)
        system = ss.DiscreteSystem(a, rng.normal(size=(n, 1)), rng.normal(size=(1, n)), dt=1.0)
        u = noise(9, 1500, 1)
        wanted = scan.run(system, u)
        for y, final in (over_lanes(system, u), over_lanes(system, u, blocks=Blocks(16, 90))):
            assert relative(y, wanted.y) < 1e-13
            assert relative(final, wanted.final) < 1e-13


@pytest.mark.parametrize("turns", [(3, 7), (1, 2), (10, 20)])
def test_powers_are_looked_at_in_many_places(turns):
    """Powers of this one are near 0 at S/4 and at S, and reach 1e6 between: 1e-2 of the output was wrong."""
    S = 4687
    poles = (1 - 1e-5) * np.exp(4j * np.pi * np.array(turns) / S)
    a = np.eye(4, k=-1)
    a[0] = -np.poly(np.concatenate([poles, poles.conj()])).real[1:]
    companion = ss.DiscreteSystem(a, np.eye(4, 1), [[0, 0, 0, 1.0]], dt=1.0)
    assert scan.memory(companion, S) is None
    u = noise(300_000)
    assert ss.explain(companion, u).form == "recurrent"
    assert ss.explain(companion, u, form="chunked").block == forms.block_length(companion)


def test_powers_that_grow_are_not_carried():
    """The companion matrix of poles 0.99999 e^{±0.01j}: 64 blocks with one error in A^S were 1e-10 off."""
    companion = ss.DiscreteSystem([[2 * 0.99999 * np.cos(0.01), -(0.99999**2)], [1, 0]], [[1], [0]], [[1, 0]], dt=1.0)
    assert scan.memory(companion, 4000) is None
    u = noise(100_000)
    said = ss.explain(companion, u)
    assert (said.form, said.why) == ("recurrent", "chunks would cost less, but powers of A grow within a block")
    assert np.array_equal(ss.filter(companion, u), ss.filter(companion, u, state="zero")[0])
    rotation = ss.DiscreteSystem(*(0.99999 * np.array([[np.cos(0.01), -np.sin(0.01)], [np.sin(0.01), np.cos(0.01)]]),
                                   [[1], [0]], [[1, 0]]), dt=1.0)  # fmt: skip
    assert scan.memory(rotation, 4000) is not None


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "f8") for name in ("spring", "dense", "sections", "diagonal", "pairs")), ("band", "f4")]
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 400, 1023, 3000])
def test_what_is_not_finite_stays_where_the_recurrence_has_it(name, kind, bad, place):
    """In blocks that forget, too: a NaN does not leave with the window."""
    system = {**SYSTEMS, "band": LOWPASS}[name]
    u = noise(2, 3000 + 1, system.n_inputs).astype(kind)
    u[0, place, 0] = bad
    y, final = over_lanes(system, u, blocks=Blocks(16, 184))
    wanted = scan.run(system, u)
    assert np.array_equal(np.isfinite(y), np.isfinite(wanted.y))
    assert np.array_equal(np.isfinite(final), np.isfinite(wanted.final))
    finite = np.isfinite(wanted.y)
    assert relative(y[finite], wanted.y[finite]) < (1e-12 if kind == "f8" else 1e-6)


def test_a_state_that_overflows_is_as_large_as_in_the_recurrence():
    unstable = ss.DiscreteSystem([[1.5, 0.0], [0.0, 0.5]], np.ones((2, 1)), np.ones((1, 2)), dt=1.0)
    u = noise(2000)
    assert scan.memory(unstable, 1776) is None  # 1.5^1776 overflows
    with np.errstate(over="ignore", invalid="ignore"):
        chunked, recurrent = (ss.simulate(unstable, u, form=form).y for form in ("chunked", "recurrent"))
    assert np.array_equal(np.isfinite(chunked), np.isfinite(recurrent))


def test_a_block_triangular_matrix_takes_half_the_products():
    """From foh of a cascade: columns of each four rows up to their last that is not zero."""
    from statespace.scan.lanes import _ends

    digital = ss.discretize(ss.from_zpk([], [-1 + 2j, -1 - 2j, -3 + 1j, -3 - 1j, -0.5, -2.0], 2.0), 0.1, "foh")
    a = np.abs(np.asarray(digital.A))
    assert np.array_equal(_ends(a, 1), [4, 6])
    assert np.array_equal(_ends(np.zeros((8, 8)), 2), [4, 8, 8])
    assert np.array_equal(_ends(np.eye(12)[:, ::-1], 1), [12, 12, 12, 12])  # columns of those above as well
    u = noise(3000)
    y, _ = over_lanes(digital, u[:, None], blocks=Blocks(16, 184))
    assert relative(y[:, 0], ss.filter(digital, u, state="zero")[0]) < 1e-14


def test_every_cascade_has_its_own_numbers_in_its_lane():
    """A batch of systems over channels: lane by lane another filter."""
    edges = np.linspace(0.05, 0.4, 11)
    each = [ss.from_sos(signal.butter(3, [e, e + 0.1], "bandpass", output="sos"), dt=1.0) for e in edges]
    zeros, poles, gains = (np.stack([getattr(s.A, k) for s in each]) for k in ("zeros", "known_poles", "gains"))
    batch = ss.DiscreteSystem(ss.Cascade(poles, zeros, gains), dt=1.0)
    x = noise(11, 4000)
    together = ss.filter(batch, x, axis=1)
    alone = np.stack([ss.filter(s, row, state="zero")[0] for s, row in zip(each, x, strict=True)])
    assert relative(together, alone) < 1e-13


# --------------------------------------------------------------- the same bits


@pytest.mark.parametrize("channels", [1, 2, 7, 8, 13])
@pytest.mark.parametrize("system", [BAND, LOWPASS])
def test_a_channel_has_the_same_bits_among_others(system, channels):
    """Eight lanes round as one does: fma, in the same order."""
    x = noise(300, channels)
    together, state = ss.filter(system, x, axis=0, state="zero")
    for k in range(channels):
        y, final = ss.filter(system, x[:, k], state="zero")
        assert np.array_equal(together[:, k], y)
        assert np.array_equal(state[k], final)
        assert np.array_equal(ss.simulate(system, x[:, k], form="recurrent", states=True).y, y)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    dense = ss.discretize(ss.ContinuousSystem(*random_matrices(3, 8, 2, 2)), 0.01)
    runs = {
        "one channel": lambda: ss.filter(BAND, noise(300_000)),
        "carried": lambda: ss.filter(SLOW, noise(300_000)),
        "single": lambda: ss.filter(BAND, noise(300_000).astype(np.float32)),
        "64 channels": lambda: ss.filter(BAND, noise(20_000, 64), axis=0),
        "67 channels, time last": lambda: ss.filter(BAND, noise(67, 20_000), axis=1),
        "dense": lambda: ss.simulate(dense, noise(200_000, 2)).y,
    }
    for name, run in runs.items():
        found = []
        for threads in ("1", "2", "5"):
            monkeypatch.setenv("STATESPACE_THREADS", threads)
            found.append(run())
        assert np.array_equal(found[0], found[1]), name
        assert np.array_equal(found[0], found[2]), name


# --------------------------------------------------------------- every shape


def lfilter_like(x, axis):
    return signal.sosfilt(signal.butter(4, [0.1, 0.2], "bandpass", output="sos"), x, axis=axis)


SHAPES = {
    "1": lambda x: (x[0], 0),
    "7 channels, time last": lambda x: (x[:7], 1),
    "7 channels, time first": lambda x: (np.ascontiguousarray(x[:7].T), 0),
    "3 channels, time first": lambda x: (np.ascontiguousarray(x[:3].T), 0),
    "24 channels, time first": lambda x: (np.ascontiguousarray(x.T), 0),
    "Fortran order": lambda x: (np.asfortranarray(x), 1),
    "time in the middle": lambda x: (x.reshape(4, 6, -1).swapaxes(1, 2).copy(), 1),
    "every second channel": lambda x: (x[::2], 1),
    "every second sample": lambda x: (x[:, ::2], 1),
    "backward": lambda x: (x[:, ::-1], 1),
    "channels backward": lambda x: (x[::-1], 1),
    "a broadcast": lambda x: (np.broadcast_to(x[0], (9, x.shape[1])), 1),
    "unaligned": lambda x: (np.frombuffer(b"x" + x.tobytes(), np.uint8)[1:].view("f8").reshape(x.shape), 1),
    "other order of bytes": lambda x: (x.astype(">f8"), 1),
    "empty": lambda x: (x[:0], 1),
    "no sample": lambda x: (x[:, :0], 1),
}


@pytest.mark.parametrize("length", [40, 3000, 30_000])
@pytest.mark.parametrize("kind", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape(shape, kind, length):
    x = noise(24, length)
    if kind[0] == "c":
        x = x + 1j * noise(24, length, seed=1)
    if shape in ("unaligned", "other order of bytes") and kind != "f8":
        pytest.skip("one type will do")
    x, axis = SHAPES[shape](x if shape in ("unaligned", "other order of bytes") else x.astype(kind))
    if x.dtype.isnative:
        x = x.view()
        x.setflags(write=False)
    before = x.copy()
    y = ss.filter(BAND, x, axis=axis)
    assert np.array_equal(x, before)
    assert y.shape == x.shape
    assert y.dtype == x.dtype.newbyteorder("=")
    assert y.flags.writeable
    if x.size:
        wanted = lfilter_like(x.astype("c16" if kind[0] == "c" else "f8"), axis)
        assert relative(y, wanted) < (1e-13 if y.dtype.itemsize > 8 or y.dtype == "f8" else 1e-6)


@pytest.mark.parametrize("shape", ["7 channels, time first", "24 channels, time first", "time in the middle"])
def test_an_output_lies_in_memory_as_its_input(shape):
    x, axis = SHAPES[shape](noise(24, 3000))
    assert ss.filter(BAND, x, axis=axis).flags.c_contiguous
    assert ss.filtfilt(BAND, x, axis=axis).flags.c_contiguous


@pytest.mark.parametrize("system", [BAND, SLOW])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((200_000,), 0), ((3, 100_000), 1), ((100_000, 3), 0), ((50_000, 24), 0), ((50_000, 13), 0), ((13, 50_000), 1)],
)
def test_zero_phase_runs_backward_in_its_own_place(system, shape, axis):
    """In blocks each must know what it remembers before a neighbour is overwritten. x stays as it was."""
    x = noise(*shape)
    before = x.copy()
    y = ss.filtfilt(system, x, axis=axis)
    assert np.array_equal(x, before)
    edge = 3 * (system.n_states + 1)
    pad = [(edge, edge) if k == axis else (0, 0) for k in range(x.ndim)]
    z = np.pad(x, pad, "reflect", reflect_type="odd")
    for _ in range(2):
        z = np.flip(ss.filter(system, z, axis=axis, state="steady")[0], axis)
    assert relative(y, np.take(z, range(edge, edge + x.shape[axis]), axis)) < 1e-11


# --------------------------------------------------------------- single precision


def bandlike(kind, order, edges, **how):
    return ss.from_zpk(*signal.iirfilter(order, edges, btype=kind, output="zpk", **how), dt=1.0)


QUIET = {
    "band-pass": BAND,
    "order 16": bandlike("bandpass", 8, [0.1, 0.2]),
    "low and slow": bandlike("lowpass", 8, 0.02),
    "narrow band-stop": bandlike("bandstop", 4, [0.3, 0.32]),
    "elliptic": bandlike("bandpass", 6, [0.2, 0.4], ftype="ellip", rp=0.1, rs=80),
    "odd order": bandlike("highpass", 5, 0.05),
    "Bessel": bandlike("lowpass", 7, 0.01, ftype="bessel"),
    "gain of 1e12": 1e12 * BAND,
    "two slow poles": ss.from_zpk([], [0.98998] * 2, 0.01002**2, dt=1.0),
}
LOUD = {
    "slow": SLOW,
    "four slow poles": ss.from_zpk([], [0.98998] * 4, 0.01002**4, dt=1.0),
    "a pole at 0.991": ss.from_zpk([], [0.991], 0.01, dt=1.0),
    "order 40": bandlike("lowpass", 40, 0.2),
    "gain of 1e20": 1e20 * BAND,
    "gain of 1e-20": 1e-20 * BAND,
    "almost a double pole": ss.from_zpk([], [0.9 + 1e-20j, 0.9 - 1e-20j], 0.01, dt=1.0),
    "no gain": 0 * BAND,
    "dense": ss.DiscreteSystem([[0.5, 0.1], [0.0, 0.5]], [[1], [0]], [[1, 1]], dt=1.0),
    "complex": ss.from_zpk([], [0.5j], 1.0, dt=1.0),
    "several systems": ss.from_zpk([], [[0.5], [0.6]], [1.0, 1.0], dt=1.0),
}


@pytest.mark.parametrize("name", [*QUIET, *LOUD])
def test_single_precision_is_for_one_cascade_that_forgets_soon_and_is_quiet(name):
    system = {**QUIET, **LOUD}[name]
    assert [scan.in_single(system, kind) for kind in ("f4", "c8")] == 2 * [name in QUIET]
    assert not any(scan.in_single(system, kind) for kind in ("f8", "c16", "i4"))


def test_explain_says_which_precision():
    u = noise(100_000).astype(np.float32)
    said = ss.explain(BAND, u)
    assert (said.form, said.block, said.state, said.output) == ("chunked", 1552, "float32", "float32")
    assert ss.explain(BAND, u + 0j).state == np.complex64
    for other in (
        ss.explain(BAND, u, form="recurrent"),
        ss.explain(BAND, u[:1000]),
        ss.explain(BAND, u.reshape(100, 1000, 1)),  # as many channels as lanes: not cut, and a fifth quicker only
        ss.explain(BAND, u.astype(float)),
        ss.explain(SLOW, u),
    ):
        assert other.state == np.float64


@pytest.mark.parametrize("name", QUIET)
def test_single_precision_is_off_by_a_hundred_thousandth(name):
    """Noise, a constant, and the tone that the slowest pole answers most. sosfilt in float32 is up to 1e-4 off here."""
    system = QUIET[name]
    pole = system.poles[np.argmax(np.abs(system.poles))]
    for u in (noise(50_000), np.ones(50_000), np.cos(np.angle(pole) * np.arange(50_000))):
        narrow = u.astype(np.float32)
        wanted = ss.simulate(system, narrow.astype(float), form="recurrent", states=True)
        found = ss.simulate(system, narrow, form="chunked")
        assert found.y.dtype == np.float32
        assert np.abs(found.y - wanted.y).max() < 1.5e-5 * np.abs(wanted.y).max()
        assert np.all(np.abs(found.final_state - wanted.final_state) < 1.5e-5 * np.abs(wanted.x).max(axis=0))
        through_channels = ss.simulate(system, np.stack(16 * [narrow])[..., None], form="chunked").y[3, :, 0]
        assert np.abs(through_channels - wanted.y).max() < 1.5e-5 * np.abs(wanted.y).max()


def test_single_precision_knows_a_small_output_as_well_as_its_input():
    """A tone that a high-pass takes 80 dB off is off by a rounding of the tone, as the tone itself is."""
    high = bandlike("highpass", 4, 0.1)
    u = (signal.windows.tukey(200_000) * np.sin(0.01 * np.pi * np.arange(200_000))).astype(np.float32)
    wanted = ss.filter(high, u.astype(float))
    assert np.abs(wanted).max() < 1e-4
    assert np.abs(ss.filter(high, u) - wanted).max() < 5e-7
    assert np.abs(ss.filter(high, u, state="zero")[0] - wanted).max() < 1e-11


def test_a_state_beyond_single_precision_is_run_in_double():
    """It was infinite, and the whole record NaN."""
    u, x0 = noise(100_000).astype(np.float32), np.full(8, 1e37)
    chunked, recurrent = (ss.simulate(BAND, u, x0=x0, form=form).y for form in ("chunked", "recurrent"))
    assert np.isfinite(recurrent).all()
    assert relative(chunked, recurrent) < 1e-6


def test_remnants_are_cut_at_the_same_samples_whatever_a_thread_takes(monkeypatch):
    """At the ends of tiles, which are shorter for many channels, it depended on the threads."""
    x = np.zeros((20_000, 40), np.float32)
    x[:1000] = noise(1000, 40)
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("STATESPACE_THREADS", threads)
        found.append(ss.simulate(QUIET["order 16"], x.T[..., None], form="chunked").y)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_pulses_take_as_long_as_noise(monkeypatch):
    """Between them states went through subnormal numbers: 33 for 0.9 ns a sample. Ten times is for a busy machine."""
    monkeypatch.setenv("STATESPACE_THREADS", "1")
    steady, pulses = noise(500_000).astype(np.float32), np.zeros(500_000, np.float32)
    pulses[::200] = 1
    spent = {}
    for name, u in (("noise", steady), ("pulses", pulses)):
        spent[name] = []
        for _ in range(5):
            start = time.perf_counter()
            ss.filter(bandlike("lowpass", 8, 0.3), u)
            spent[name].append(time.perf_counter() - start)
    assert min(spent["pulses"]) < 10 * min(spent["noise"])


def test_single_precision_is_nearer_than_sosfilt_in_float32():
    for order, edges in ((4, [0.1, 0.2]), (8, [0.1, 0.2]), (4, [0.3, 0.32]), (4, [0.02, 0.2])):
        sos = signal.butter(order, edges, "bandpass", output="sos")
        u = noise(50_000).astype(np.float32)
        wanted = signal.sosfilt(sos, u.astype(float))
        theirs, ours = signal.sosfilt(sos.astype(np.float32), u), ss.filter(ss.from_sos(sos, dt=1.0), u)
        assert np.abs(ours - wanted).max() < 0.7 * np.abs(theirs - wanted).max()


@pytest.mark.parametrize("power", [-83, 100])
def test_single_precision_is_the_same_for_loud_and_faint_signals(power):
    """To the bit, from 1e-25 to 1e30."""
    u = noise(100_000).astype(np.float32)
    scale = np.float32(2.0**power)
    assert np.array_equal(ss.filter(BAND, scale * u), scale * ss.filter(BAND, u))


def test_silence_after_a_signal_is_silence():
    """States die away through 1e-38, where products of subnormal numbers take a hundred times as long: they are cut."""
    u = np.zeros(400_000, np.float32)
    u[:1000] = noise(1000)
    run = ss.simulate(BAND, u, form="chunked")
    assert not run.y[20_000:].any()
    assert not run.final_state.any()
    u[1000:] = 1e-25 * noise(399_000)  # and faint is not silent
    wanted = ss.simulate(BAND, u.astype(float), form="recurrent").y
    assert relative(ss.filter(BAND, u)[20_000:], wanted[20_000:]) < 1e-5


# --------------------------------------------------------------- memory


MEMORY = """
import resource, sys
import numpy as np, statespace as ss
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
sos = np.array([[0.1, 0.2, 0.1, 1, -0.5, 0.25], [1, -1, 0.5, 1, -0.9, 0.5]])
system = ss.from_sos(sos, dt=1.0)
kind = sys.argv[2]
{prepare}
x = np.ones({shape}, kind)
ss.filter(system, x[tuple(slice(0, 20000) for _ in x.shape)], axis={axis})
{warm}
before = peak()
y = {run}
print((peak() - before - x.nbytes * {outputs}) / x.nbytes, peak() - before - x.nbytes * {outputs})
"""


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(
    ("shape", "axis", "run"),
    [
        ("2**24", 0, "ss.filter(system, x)"),
        ("(2**18, 64)", 0, "ss.filter(system, x, axis=0)"),
        ("(64, 2**18)", 1, "ss.filter(system, x, axis=1)"),
        ("2**24", 0, "ss.simulate(system, x, form='chunked').y"),
        ("2**24", 0, "ss.filtfilt(system, x)"),
        ("(64, 2**18)", 1, "ss.filtfilt(system, x, axis=1)"),
        ("(2**18, 64)", 0, "ss.filtfilt(system, x, axis=0)"),
    ],
)
def test_working_memory(shape, axis, run, kind):
    """Beyond input and output at most 5 %, or 32 MB: what a subprocess held at its peak. simulate has stamps too."""
    if "filtfilt" in run and kind == "f4":
        pytest.skip("both ways in double")
    code = MEMORY.format(shape=shape, axis=axis, run=run, prepare="", warm="", outputs=1)
    done = subprocess.run([sys.executable, "-c", code, "", kind], capture_output=True, text=True, check=True)
    share_of, size = map(float, done.stdout.split())
    stamps = 8 * 2**24 if "simulate" in run else 0
    assert share_of < 0.05 or size - stamps < 32e6, (share_of, size)


# --------------------------------------------------------------- threads and processes


def test_threads_are_counted(monkeypatch):
    monkeypatch.delenv("STATESPACE_THREADS", raising=False)
    assert thread_count() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("STATESPACE_THREADS", "3")
    assert thread_count() == 3


@pytest.mark.parametrize("threads", ["1", "2", "5"])
@pytest.mark.parametrize("count", [0, 1, 2, 17])
def test_every_task_is_done_once(monkeypatch, threads, count):
    monkeypatch.setenv("STATESPACE_THREADS", threads)
    done = []
    share(lambda first, last: done.extend(range(first, last)), count)
    assert sorted(done) == list(range(count))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="nobody to ask")
def test_the_pool_keeps_away_from_the_processor_of_the_caller(monkeypatch):
    """Linux put both on one, and two threads were as quick as one. The caller itself may go where it could before."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("one processor")
    monkeypatch.setenv("STATESPACE_THREADS", "2")
    one = min(allowed)
    try:
        os.sched_setaffinity(0, {one})
        share(lambda first, last: None, 8)  # one processor is allowed: nothing to keep away from
        os.sched_setaffinity(0, allowed)
        share(lambda first, last: None, 8)
        pool = [t.native_id for t in threading.enumerate() if t.name == "statespace"]
        found = [os.sched_getaffinity(thread) for thread in pool]
        assert len(allowed) - 1 in [len(where) for where in found]
        assert os.sched_getaffinity(0) == allowed
    finally:
        os.sched_setaffinity(0, allowed)


def test_tasks_are_taken_in_pieces_that_shrink(monkeypatch):
    """Long ones first, so that a thread on its way gets Python's lock; at least as many as asked for."""
    monkeypatch.setenv("STATESPACE_THREADS", "1")
    pieces = []
    share(lambda *piece: pieces.append(piece), 16)
    assert pieces == [(0, 8), (8, 12), (12, 14), (14, 15), (15, 16)]
    pieces.clear()
    share(lambda *piece: pieces.append(piece), 16, least=7)
    assert pieces == [(0, 8), (8, 15), (15, 16)]


def test_nan_stays_in_a_state_that_forgets_at_once():
    """Columns of zeros were left out, and with them 0·NaN: 3 samples were NaN, 99,900 in the recurrence."""
    a, b = np.zeros((16, 16)), np.zeros((16, 1))
    a[8:, :8], b[[0, 8]] = 0.5 * np.eye(8), 1.0
    system = ss.DiscreteSystem(a, b, np.ones((1, 16)), dt=1.0)
    u = noise(100_000)
    u[100] = np.nan
    assert np.array_equal(np.isnan(ss.filter(system, u)), np.isnan(ss.filter(system, u, state="zero")[0]))


@pytest.mark.parametrize(("speed", "number_by_number"), [(700.0, False), (400.0, True)])
def test_a_section_that_hardly_hears(speed, number_by_number):
    """b of 1e-309 was divided by: not finite. With one of 1e-175 a cascade runs number by number."""
    gone = np.exp(-speed)
    system = ss.from_zpk([0.5, 0.2, gone / 2], [0.9, 0.8, gone], 1.0, dt=1.0)
    assert (scan.as_lanes(system) is None) == number_by_number
    u = noise(20_000)
    assert relative(ss.filter(system, u), ss.filter(ss.from_zpk([0.5, 0.2], [0.9, 0.8], 1.0, dt=1.0), u)) < 1e-14


INTERRUPTED = """
import os, signal, time
import numpy as np, statespace as ss
os.environ["STATESPACE_THREADS"] = "2"
x = np.random.default_rng(0).normal(size=(17, 200_000))
system = ss.from_sos(np.array([[0.1, 0.2, 0.1, 1, -0.5, 0.25]] * 8), dt=1.0)
for _ in range(3):
    start = time.perf_counter()
    wanted = ss.filter(system, x, axis=1)
    full = time.perf_counter() - start
signal.signal(signal.SIGALRM, signal.default_int_handler)
caught = 0
for k in range(24):
    signal.setitimer(signal.ITIMER_REAL, (0.3 + 0.03 * k) * full)
    try:
        ss.filter(system, x, axis=1)
        time.sleep(0.2)
    except KeyboardInterrupt:
        caught += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
assert np.array_equal(ss.filter(system, x, axis=1), wanted)
print("survived", caught > 0)
"""


def test_an_interrupt_waits_for_the_threads():
    """Ctrl-C left while a helper went on writing to an output that was gone."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "survived True", (done.returncode, done.stderr)


AFTERWARDS = """
import os, threading, time
import numpy as np, statespace as ss
os.environ["STATESPACE_THREADS"] = "2"
system, x = ss.from_sos(np.array([[0.1, 0.2, 0.1, 1, -0.5, 0.25]]), dt=1.0), np.ones({length})
{warm}
def late():
    time.sleep(0.5)
    print(ss.filter(system, x).shape)
threading.Thread(target=late).start()
"""


@pytest.mark.parametrize("length", [100, 1_000_000])
@pytest.mark.parametrize("warm", ["", "ss.filter(system, x)"])
def test_a_thread_that_outlives_the_main_one_works_alone(warm, length):
    """The pool takes no more tasks then."""
    code = AFTERWARDS.format(warm=warm, length=length)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == f"({length},)", done.stderr


@pytest.mark.parametrize("threads", ["1", "3"])
def test_an_error_in_a_task_is_raised(monkeypatch, threads):
    monkeypatch.setenv("STATESPACE_THREADS", threads)

    def task(first, last):
        raise ArithmeticError(f"task {first}")

    with pytest.raises(ArithmeticError, match="task"):
        share(task, 8)


def test_a_job_that_nobody_took_keeps_no_arrays(monkeypatch):
    """A thread that is busy elsewhere leaves it in the queue: a long run of many pieces would fill the memory."""
    monkeypatch.setenv("STATESPACE_THREADS", "2")
    busy, array = threading.Event(), np.ones(10)
    shared_pool(1).queue.put(busy.wait)
    share(lambda first, last, array=array: None, 4)
    kept = weakref.ref(array)
    del array
    try:
        assert kept() is None
    finally:
        busy.set()


def test_an_error_waits_for_the_other_threads(monkeypatch):
    monkeypatch.setenv("STATESPACE_THREADS", "3")
    running = set()

    def task(k, _):
        running.add(k)
        time.sleep(0.05 * k)
        if k == 0:
            raise MemoryError
        running.remove(k)

    with pytest.raises(MemoryError):
        share(task, 3)
    assert running == {0}


def test_python_threads_meet_in_the_pool(monkeypatch):
    """Each works on its own tasks, whether the pool is busy or not."""
    monkeypatch.setenv("STATESPACE_THREADS", "2")
    x = noise(300_000)
    wanted, found = ss.filter(BAND, x), [None] * 6

    def work(i):
        found[i] = ss.filter(BAND, x)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(y, wanted) for y in found)


PROCESSES = """
import multiprocessing, os, sys
import numpy as np, statespace as ss
from functools import partial

os.environ["STATESPACE_THREADS"] = "2"
system = ss.from_ba([0.1, 0.2, 0.1], [1.0, -1.2, 0.5], dt=1.0)
x = np.random.default_rng(0).normal(size=300_000)

def work(k):
    return ss.filter(system, x + k)

if __name__ == "__main__":
    wanted = [work(k) for k in range(4)]  # the pool of threads is there before the processes
    {run}
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    print("the same")
"""


@pytest.mark.parametrize(
    "run",
    [
        "found = multiprocessing.get_context('fork').Pool(2).map(work, range(4))",
        "found = multiprocessing.get_context('spawn').Pool(2).map(work, range(4))",
        "import joblib; found = joblib.Parallel(2, 'loky')(joblib.delayed(work)(k) for k in range(4))",
        "import joblib; found = joblib.Parallel(2, 'threading')(joblib.delayed(work)(k) for k in range(4))",
    ],
    ids=["fork", "spawn", "joblib, processes", "joblib, threads"],
)
def test_inside_other_processes(run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PROCESSES.format(run=run))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "the same", done.stderr


FIRST = """
import time
import numpy as np, statespace as ss
system = ss.from_ba([0.1, 0.2, 0.1], [1.0, -1.2, 0.5], dt=1.0)
x = np.ones(100_000)
start = time.perf_counter()
ss.filter(system, x)
print(time.perf_counter() - start)
"""


def test_the_first_call_of_a_process(tmp_path):
    """5 s with nothing compiled, 0.6 s with the cache on disk; three times that are allowed on a busy machine."""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    cold, warm, again = (
        float(subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, env=env, check=True).stdout)
        for _ in range(3)
    )
    assert cold < 15
    assert min(warm, again) < 1.8


# --------------------------------------------------------------- the rule


def test_one_shot_runs_ask_what_costs_least(monkeypatch):
    """filter without a state; with one it goes sample by sample."""
    asked = []
    monkeypatch.setattr(choice, "choose", lambda *args: asked.append(args) or ("recurrent", "", {}))
    choice.chosen.cache_clear()
    ss.filter(BAND, noise(50_000))
    ss.filter(BAND, noise(50_000), state="zero")
    ss.filter(BAND, noise(50))
    ss.filter(BAND, noise(50_000).astype(np.float32))
    assert [args[1:] for args in asked] == [(50_000, 1, "auto", False), (50_000, 1, "auto", True)]
    choice.chosen.cache_clear()


def test_channels_are_lanes_without_being_cut():
    pairs = ss.discretize(ss.hippo.s4d_lin(16), 0.1)
    assert forms.lane_blocks(pairs, 8, 10_000) == (1, 10_000)
    said = ss.explain(pairs, np.ones((8, 10_000, 1)))
    assert (said.form, said.block) == ("chunked", None)
    u = noise(8, 10_000, 1)
    assert relative(ss.simulate(pairs, u).y, ss.simulate(pairs, u, form="recurrent").y) < 1e-13
