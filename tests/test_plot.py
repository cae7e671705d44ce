"""Pictures: what is drawn is what was computed, axes carry units, and wrong arguments say what to write."""

import subprocess
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

import statespace as ss
from statespace.kernels import kernel
from statespace.kernels.realization import realize
from statespace.simulation.forms import error_bound

matplotlib.use("Agg")

import matplotlib.pyplot as plt

SPRING = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
LAG = ss.from_zpk([], [-1.0], 1.0, time_unit="year")
DIGITAL = ss.discretize(SPRING, 0.5, "foh")
WIDE = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0, 1, 2], [1, 0, 0]], np.eye(2))  # 2 outputs, 3 inputs
BATCH = ss.ContinuousSystem(np.array([-1.0, -2.0, -4.0])[:, None, None], [[1.0]], [[1.0]])


@pytest.fixture(autouse=True)
def closed_figures():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def data(ax, k=0):
    return tuple(np.asarray(x) for x in ax.lines[k].get_data())


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []


def rendered(ax):
    """Draw it in earnest: a warning while drawing is an error."""
    ax.figure.canvas.draw()
    return ax


# --------------------------------------------------------------- response


def test_response_draws_the_output():
    run = ss.simulate(SPRING, np.ones(300), dt=0.1)
    ax = rendered(ss.plot.response(run))
    t, y = data(ax)
    np.testing.assert_array_equal(t, run.t)
    np.testing.assert_array_equal(y, run.y)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "output")
    assert len(ax.lines) == 1
    assert legend(ax) == []


def test_response_of_a_system_is_its_step_response():
    ax = ss.plot.response(LAG)
    np.testing.assert_array_equal(data(ax)[1], ss.step_response(LAG).y)
    assert ax.get_xlabel() == "time (year)"


@pytest.mark.parametrize(("length", "marker"), [(100, "o"), (101, "None")])
def test_few_samples_are_dots(length, marker):
    ax = ss.plot.response(ss.simulate(DIGITAL, np.ones(length)))
    assert ax.lines[0].get_marker() == marker


@pytest.mark.parametrize("length", [0, 1])
def test_response_may_be_almost_empty(length):
    assert len(data(rendered(ss.plot.response(ss.simulate(DIGITAL, np.ones(length)))))[1]) == length


def test_response_over_dates_names_no_unit():
    dates = np.array(["1958-03-29", "1958-04-05", "1958-05-17"], "datetime64[D]")
    ax = rendered(ss.plot.response(ss.simulate(LAG, [1.0, 2.0, 0.0], t=dates)))
    assert ax.get_xlabel() == "time"
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), dates)


def test_response_shows_reset_gaps():
    run = ss.simulate(DIGITAL, [1.0, np.nan, 1.0, 1.0], gaps="reset")
    np.testing.assert_array_equal(data(rendered(ss.plot.response(run)))[1], run.y)


def test_outputs_are_lines_of_one_axes():
    run = ss.simulate(WIDE, np.ones((50, 3)), dt=0.1)
    ax = ss.plot.response(run, label="pushed")
    assert legend(ax) == ["pushed, output 0", "pushed, output 1"]
    for k in range(2):
        np.testing.assert_array_equal(data(ax, k)[1], run.y[:, k])


@pytest.mark.parametrize("verb", [ss.step_response, ss.impulse_response])
@pytest.mark.parametrize("system", [WIDE, ss.discretize(WIDE, 0.1, "foh")])
def test_standard_responses_are_a_grid(verb, system):
    run = verb(system)
    axes = ss.plot.response(run)
    assert axes.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(data(axes[i, j])[1], run.y[:, i, j])
    assert [ax.get_title() for ax in axes[0]] == ["input 0", "input 1", "input 2"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["output 0", "output 1"]
    assert {ax.get_xlabel() for ax in axes[-1]} == {"time (s)"}


def test_batches_are_lines():
    run = ss.step_response(BATCH)
    ax = ss.plot.response(run)
    assert legend(ax) == ["batch 0", "batch 1", "batch 2"]
    for k in range(3):
        np.testing.assert_array_equal(data(ax, k)[1], run.y[k, :, 0, 0])


def test_a_batch_of_signals_is_not_taken_for_inputs():
    run = ss.simulate(DIGITAL, np.ones((3, 20, 1)))  # y (3, 20, 1), as an impulse response could be
    ax = ss.plot.response(run)
    assert len(ax.lines) == 3
    np.testing.assert_array_equal(data(ax, 2)[1], run.y[2, :, 0])


def test_a_batch_of_steps_has_stamps_of_its_own():
    systems = ss.discretize(SPRING, [0.1, 0.3], "zoh")
    ax = ss.plot.response(ss.simulate(systems, np.ones((20, 1))))
    np.testing.assert_allclose([data(ax, k)[0][-1] for k in range(2)], [1.9, 5.7], rtol=1e-15)


def test_a_large_batch_is_not_named():
    ax = ss.plot.response(ss.simulate(DIGITAL, np.ones((30, 20, 1))), label="all")
    assert len(ax.lines) == 30
    assert legend(ax) == ["all"]


def test_complex_output_is_two_lines():
    turn = ss.DiscreteSystem([[0.9j]], [[1.0]], [[1.0]], dt=1.0)
    run = ss.simulate(turn, np.ones(10))
    ax = rendered(ss.plot.response(run, label="turn"))
    np.testing.assert_array_equal(data(ax, 0)[1], run.y.real)
    np.testing.assert_array_equal(data(ax, 1)[1], run.y.imag)
    assert legend(ax) == ["turn", "turn, imaginary"]


def test_given_axes_keep_their_look():
    _, ax = plt.subplots()
    ax.set(xlabel="mine")
    ax.plot([0, 1], [0, 1])
    assert ss.plot.response(SPRING, ax=ax, label="spring") is ax
    assert ax.get_xlabel() == "mine"
    assert ax.spines["top"].get_visible()
    assert ax.lines[1].get_color() == plt.rcParams["axes.prop_cycle"].by_key()["color"][1]


def test_two_responses_share_axes():
    ax = ss.plot.response(SPRING, label="analog")
    ss.plot.response(DIGITAL, ax=ax, label="digital")
    assert legend(ax) == ["analog", "digital"]
    assert ax.lines[0].get_color() != ax.lines[1].get_color()


# --------------------------------------------------------------- bode


@pytest.mark.parametrize(("hz", "per"), [(False, 1.0), (True, 2 * np.pi)])
@pytest.mark.parametrize("system", [SPRING, DIGITAL])
def test_bode_draws_the_frequency_response(system, hz, per):
    omega, h = ss.frequency_response(system, np.geomspace(0.1, 6.0, 50))
    magnitude, phase = ss.plot.bode(system, omega=omega, hz=hz)
    rendered(magnitude)
    for ax, expected in ((magnitude, 20 * np.log10(abs(h))), (phase, np.degrees(np.unwrap(np.angle(h))))):
        np.testing.assert_allclose(data(ax)[0], omega / per, rtol=1e-15)
        np.testing.assert_allclose(data(ax)[1], expected, rtol=1e-13, atol=1e-12)
        assert ax.get_xscale() == "log"
    assert (magnitude.get_ylabel(), phase.get_ylabel()) == ("magnitude (dB)", "phase (°)")


@pytest.mark.parametrize(
    ("unit", "hz", "label"),
    [
        ("s", False, "frequency (rad/s)"),
        ("s", True, "frequency (Hz)"),
        ("year", False, "frequency (rad/year)"),
        ("year", True, "frequency (cycles/year)"),
    ],
)
def test_bode_names_its_unit(unit, hz, label):
    _, phase = ss.plot.bode(ss.from_zpk([], [-1.0], 1.0, time_unit=unit), hz=hz)
    assert phase.get_xlabel() == label


def test_bode_takes_a_frequency_response():
    response = ss.frequency_response(SPRING)
    magnitude, _ = ss.plot.bode(response)
    np.testing.assert_array_equal(data(magnitude)[0], response.omega)


@pytest.mark.parametrize(("hz", "at"), [(False, 2 * np.pi), (True, 1.0)])
def test_nyquist_is_a_thin_line(hz, at):
    for ax in ss.plot.bode([DIGITAL, SPRING], hz=hz):
        lines = [line for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert [line.get_xdata()[0] for line in lines] == [pytest.approx(at)]
        assert lines[0].get_linewidth() < 1


def test_bode_of_several_channels_is_a_grid():
    omega, h = ss.frequency_response(WIDE, [0.5, 1.0, 3.0])
    grid = ss.plot.bode(WIDE, omega=omega)
    assert grid.shape == (4, 3)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(data(grid[2 * i, j])[1], 20 * np.log10(abs(h[:, i, j])), rtol=1e-14)
        np.testing.assert_allclose(np.exp(1j * np.radians(data(grid[2 * i + 1, j])[1])), h[:, i, j] / abs(h[:, i, j]))
    assert [ax.get_ylabel() for ax in grid[:, 0]] == [
        "output 0\nmagnitude (dB)", "output 0\nphase (°)",
        "output 1\nmagnitude (dB)", "output 1\nphase (°)",
    ]  # fmt: skip
    assert [ax.get_title() for ax in grid[0]] == ["input 0", "input 1", "input 2"]
    assert {ax.get_xlabel() for ax in grid[-1]} == {"frequency (rad/s)"}


def test_bode_of_a_batch_is_lines():
    omega, h = ss.frequency_response(BATCH, [0.5, 1.0])
    magnitude, _ = ss.plot.bode(BATCH, omega=omega)
    assert legend(magnitude) == ["batch 0", "batch 1", "batch 2"]
    np.testing.assert_allclose(data(magnitude, 1)[1], 20 * np.log10(abs(h[1, :, 0, 0])))


def test_magnitude_zero_leaves_a_gap():
    notch = ss.from_zpk([2j, -2j], [-1.0, -1.0], 1.0)
    magnitude, phase = ss.plot.bode(notch, omega=[1.0, 2.0, 3.0])
    rendered(magnitude)
    for ax in (magnitude, phase):
        assert np.isnan(data(ax)[1]).tolist() == [False, True, False]


def test_a_silent_system_can_be_drawn():
    magnitude, phase = ss.plot.bode(0.0 * SPRING)
    rendered(magnitude)
    assert np.isnan(data(magnitude)[1]).all()
    assert np.isnan(data(phase)[1]).all()


def test_a_pole_on_the_axis_leaves_a_gap():
    oscillator = ss.ContinuousSystem([[0, 1], [-4, 0]], [[0], [1]], [[1, 0]])
    magnitude, _ = ss.plot.bode(oscillator, omega=[1.0, 2.0, 3.0])
    assert np.isnan(data(rendered(magnitude))[1]).tolist() == [False, True, False]


def test_a_zero_at_nyquist_does_not_flatten_the_picture():
    magnitude, _ = ss.plot.bode(ss.discretize(SPRING, 0.5, "bilinear"))
    assert data(magnitude)[1].min() < -250
    low, high = magnitude.get_ylim()
    top = np.nanmax(data(magnitude)[1])
    assert high - low == pytest.approx(220)  # 200 dB and a margin of 5 % at both ends
    assert high == pytest.approx(top + 10)


def test_a_flat_line_is_not_a_picture_of_rounding():
    allpass = ss.from_zpk([1.0], [-1.0], 1.0)
    magnitude, _ = ss.plot.bode(allpass)
    low, high = magnitude.get_ylim()
    assert high - low == pytest.approx(1.0)


def test_phase_starts_at_or_above_minus_180():
    double = ss.from_tf([1.0], [1.0, 0.0, 0.0])
    for system in (double, ss.discretize(double, 0.1, "zoh")):
        _, phase = ss.plot.bode(system, omega=[1e-3, 1e-2])
        assert data(phase)[1] == pytest.approx([-180, -180], abs=0.1)


def test_a_differentiator_starts_at_180():
    band = ss.from_tf([1.0, 0.0, 0.0], [1.0, 0.02, 2.0001, 0.02, 1.0])  # narrow: 180° but for a hair
    for system in (band, ss.discretize(band, 0.01, "bilinear")):
        _, phase = ss.plot.bode(system, omega=np.geomspace(1e-3, 1e1, 20_000))
        assert data(phase)[1][[0, -1]] == pytest.approx([180, -180], abs=1.0)


def test_phase_falls_at_an_undamped_pole_and_rises_at_an_undamped_zero():
    """In every structure: rounding drew a dense plant at +180°, and with an integrator at +90°."""
    dense = ss.ContinuousSystem([[0, 1], [-4, 0]], [[0], [1]], [[1, 0]])
    integrator, omega = ss.from_tf([1.0], [1.0, 0.0]), [1.0, 1.9, 2.1, 3.0]
    for plant in (dense, ss.from_tf([1.0], [1.0, 0.0, 4.0]), ss.modal(dense), ss.discretize(dense, 1e-5)):
        _, phase = ss.plot.bode(plant, omega=omega)
        assert data(phase)[1] == pytest.approx([0, 0, -180, -180], abs=0.01)
    _, phase = ss.plot.bode(dense * integrator, omega=omega)
    assert data(phase)[1] == pytest.approx([-90, -90, -270, -270])
    lagged = ss.from_zpk([], [1j, -1j, -1.0], 1.0)
    double = ss.from_zpk([], [1j, -1j, 1j, -1j], 1.0)
    rising = ss.from_zpk([1j, -1j, -1.0], [-5.0, -5.0, -5.0], 1.0)
    for system, end in ((lagged, -270), (double, -360), (rising, 0), (ss.discretize(lagged, 1e-5, "foh"), -270)):
        for omega in (None, [1e-3, 0.5, 0.9, 1.1, 2.0, 1e3], [1e-3, 0.5, 1.0, 2.0, 9.0, 1e3]):
            _, phase = ss.plot.bode(system, omega=omega)
            drawn = data(phase)[1][np.isfinite(data(phase)[1])]
            assert drawn[-1] == pytest.approx(end, abs=3)
            assert drawn[0] == pytest.approx(0, abs=1)


def test_phase_of_a_negative_gain_starts_below_180():
    _, phase = ss.plot.bode(-1.0 * LAG, omega=[1e-3, 2e-3, 1e3])
    assert data(phase)[1][[0, -1]] == pytest.approx([180, 90], abs=0.1)


def test_phase_of_one_point():
    _, phase = ss.plot.bode(SPRING, omega=[2.0])
    assert data(phase)[1] == pytest.approx([-90])


def test_phase_is_unwrapped():
    lags = ss.from_zpk([], [-1.0] * 6, 1.0)
    _, phase = ss.plot.bode(lags)
    assert data(phase)[1][-1] == pytest.approx(-540, abs=5)


def test_frequencies_at_or_below_zero_are_left_out():
    magnitude, _ = ss.plot.bode(SPRING, omega=[2.0, 0.0, -1.0, 1.0])
    assert data(magnitude)[0].tolist() == [1.0, 2.0]


def test_several_systems_are_named_by_their_method():
    systems = [SPRING, DIGITAL, ss.discretize(SPRING, 0.5, ss.Bilinear(prewarp=2.0))]
    magnitude, _ = ss.plot.bode(systems)
    assert legend(magnitude) == ["system 0", "FirstOrderHold, dt=0.5", "Bilinear(prewarp=2.0), dt=0.5"]
    named, _ = ss.plot.bode(systems, label=["a", "b", "c"])
    assert legend(named) == ["a", "b", "c"]


def test_bode_draws_on_given_axes():
    _, axes = plt.subplots(2)
    ss.plot.bode(SPRING, axes=axes, label="analog")
    magnitude, phase = ss.plot.bode(DIGITAL, axes=axes, label="digital")
    assert magnitude is axes[0]
    assert phase is axes[1]
    assert legend(magnitude) == ["analog", "digital"]


# --------------------------------------------------------------- poles


def marks(ax, marker):
    return [
        complex(x, y) for line in ax.lines if line.get_marker() == marker for x, y in zip(*line.get_data(), strict=True)
    ]


def test_poles_and_zeros_of_a_continuous_system():
    system = ss.from_zpk([-2.0], [-1 + 3j, -1 - 3j], 1.0, time_unit="week")
    ax = rendered(ss.plot.poles(system))
    assert sorted(marks(ax, "x"), key=lambda p: p.imag) == [-1 - 3j, -1 + 3j]
    assert marks(ax, "o") == [-2.0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("real part (1/week)", "imaginary part (rad/week)")
    assert ax.get_aspect() == 1.0
    low, high = ax.get_xlim()
    assert low < 0 < high


def test_poles_of_a_discrete_system_have_the_unit_circle():
    ax = ss.plot.poles(DIGITAL)
    circle = [line for line in ax.lines if len(line.get_xdata()) > 100]
    assert len(circle) == 1
    np.testing.assert_allclose(np.hypot(*circle[0].get_data()), 1.0)
    assert ax.get_xlabel() == "real part of z"


def test_repeated_roots_are_counted():
    ax = ss.plot.poles(ss.from_zpk([-5.0, -5.0, -5.0], [-1.0, -1.0, -2.0, -3.0], 1.0))
    assert sorted(text.get_text() for text in ax.texts) == ["2", "3"]
    assert len(ss.plot.poles(SPRING).texts) == 0


def test_a_system_without_roots_can_be_drawn():
    assert marks(rendered(ss.plot.poles(ss.from_zpk([], [], 2.0))), "x") == []


def test_members_of_a_batch_have_colours():
    ax = ss.plot.poles(BATCH)
    colours = {line.get_color() for line in ax.lines if line.get_marker() == "x"}
    assert len(colours) == 3
    assert sorted(p.real for p in marks(ax, "x")) == [-4, -2, -1]


# --------------------------------------------------------------- kernel

TURN = ss.DiscreteSystem([[0.9j]], [[1.0]], [[1.0]], dt=1.0)


def stems(ax, k=0):
    """Where the stems of one line of dots end."""
    return np.array([segment[1] for segment in ax.collections[k].get_segments()])


def test_kernel_draws_the_kernel_of_a_system():
    ax = rendered(ss.plot.kernel(DIGITAL, label="foh"))
    t, h = data(ax)
    np.testing.assert_array_equal(h, kernel(DIGITAL, len(h))[:, 0, 0])
    np.testing.assert_array_equal(t, 0.5 * np.arange(len(h)))
    np.testing.assert_array_equal(stems(ax), np.stack([t, h], axis=-1))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "kernel")
    assert legend(ax) == ["foh"]


def test_kernel_names_the_unit_of_a_system():
    assert ss.plot.kernel(ss.discretize(LAG, 0.1)).get_xlabel() == "time (year)"


@pytest.mark.parametrize("system", [DIGITAL, TURN, ss.discretize(WIDE, 0.01), ss.discretize(BATCH, 0.1, "bilinear")])
def test_kernel_shows_what_matters_and_little_else(system):
    """At most a hundredth of Σ|h| is left for each channel; that is left after some 89 % of what is shown."""
    axes = np.reshape(ss.plot.kernel(system), (system.n_outputs, system.n_inputs))
    shown = len(data(axes[0, 0])[1])
    size = np.abs(kernel(system, 20 * shown))
    left = np.cumsum(size[..., ::-1, :, :], axis=-3)[..., ::-1, :, :] / size.sum(axis=-3, keepdims=True)
    assert left[..., shown, :, :].max() <= 0.01
    assert left[..., int(0.85 * shown), :, :].max() > 0.01


@pytest.mark.parametrize(
    ("system", "length"),
    [
        (ss.from_ba([0.5, 0.5], [1.0], dt=1.0), 16),  # two taps, and that they end
        (ss.DiscreteSystem([], [], [], [[2.0]], dt=1.0), 16),
        (ss.DiscreteSystem([[1.0]], [[1.0]], [[1.0]], dt=1.0), 32),  # an integrator, as far as impulse_response goes
        (ss.DiscreteSystem([[1.0 - 1e-9]], [[1.0]], [[1.0]], dt=1.0), 100_000),
        (ss.DiscreteSystem([[1.1]], [[1.0]], [[1.0]], dt=1.0), 32),
    ],
)
def test_kernel_has_a_length_for_every_system(system, length):
    assert len(data(ss.plot.kernel(system))[1]) == length


@pytest.mark.parametrize(("length", "marker"), [(100, "o"), (101, "None")])
def test_few_samples_of_a_kernel_are_stems(length, marker):
    ax = ss.plot.kernel(np.ones(length))
    assert ax.lines[0].get_marker() == marker
    assert len(ax.collections) == (marker == "o")


@pytest.mark.parametrize("length", [0, 1])
def test_kernel_may_be_almost_empty(length):
    assert len(data(rendered(ss.plot.kernel(np.ones(length))))[1]) == length


@pytest.mark.parametrize(
    ("dt", "step", "label"), [(None, 1.0, "time (samples)"), (0.1, 0.1, "time (in the unit of dt)")]
)
def test_kernel_of_an_array(dt, step, label):
    ax = rendered(ss.plot.kernel([1, 2, 1], dt=dt))
    np.testing.assert_allclose(data(ax), [[0, step, 2 * step], [1, 2, 1]], rtol=1e-15)
    assert ax.get_xlabel() == label
    if dt is None:
        assert all(tick == round(tick) for tick in ax.get_xticks())


def test_kernel_of_several_channels_is_a_grid():
    system = ss.discretize(WIDE, 0.1)
    axes = ss.plot.kernel(system)
    rendered(axes[0, 0])
    assert axes.shape == (2, 3)
    h = kernel(system, len(data(axes[0, 0])[1]))
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(data(axes[i, j])[1], h[:, i, j])
    assert [ax.get_title() for ax in axes[0]] == ["input 0", "input 1", "input 2"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["output 0", "output 1"]
    assert {ax.get_xlabel() for ax in axes[-1]} == {"time (s)"}
    again = ss.plot.kernel(h, dt=0.1, ax=axes)
    assert again is not None
    np.testing.assert_array_equal(data(axes[1, 2], 1)[1], h[:, 1, 2])


def test_kernels_of_a_batch_are_lines():
    system = ss.discretize(BATCH, 0.1)
    ax = ss.plot.kernel(system)
    assert legend(ax) == ["batch 0", "batch 1", "batch 2"]
    h = kernel(system, len(data(ax)[1]))
    for k in range(3):
        np.testing.assert_array_equal(data(ax, k)[1], h[k, :, 0, 0])


def test_kernels_of_a_batch_of_steps_have_times_of_their_own():
    """Matrices without batch axes too: their kernel is the same over other times."""
    for system in (ss.discretize(SPRING, [0.1, 0.3]), ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=[0.1, 0.3])):
        ax = ss.plot.kernel(system)
        last = len(data(ax)[0]) - 1
        assert [data(ax, k)[0][-1] for k in range(2)] == pytest.approx([0.1 * last, 0.3 * last])


def test_complex_kernel_is_two_lines():
    ax = rendered(ss.plot.kernel(TURN, label="turn"))
    h = kernel(TURN, len(data(ax)[1]))[:, 0, 0]
    np.testing.assert_array_equal(data(ax, 0)[1], h.real)
    np.testing.assert_array_equal(data(ax, 1)[1], h.imag)
    assert legend(ax) == ["turn", "turn, imaginary"]
    assert [line.get_markerfacecolor() for line in ax.lines] == [ax.lines[0].get_color(), "white"]


def test_two_kernels_share_axes():
    ax = ss.plot.kernel(DIGITAL, label="foh")
    assert ss.plot.kernel(ss.discretize(SPRING, 0.5, "bilinear"), ax=ax, label="bilinear") is ax
    assert ss.plot.kernel(kernel(DIGITAL, 9), dt=0.5, ax=ax, label="array") is ax
    assert legend(ax) == ["foh", "bilinear", "array"]
    assert len({line.get_color() for line in ax.lines}) == 3


# --------------------------------------------------------------- singular values


def drawn_sizes(ax, k=0):
    """The line of all values, and that of those that were kept."""
    return data(ax, 2 * k), data(ax, 2 * k + 1)


def marked_orders(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":" and len(set(line.get_xdata())) == 1]


def test_singular_values_are_relative_to_the_largest():
    result = realize(kernel(DIGITAL, 40), dt=0.5)
    ax = rendered(ss.plot.singular_values(result, label="spring"))
    (number, size), (kept, _) = drawn_sizes(ax)
    np.testing.assert_array_equal(number, np.arange(1, len(result.singular_values) + 1))
    relative = result.singular_values / result.singular_values[0]
    np.testing.assert_array_equal(size, np.maximum(relative, 1e-18))
    np.testing.assert_array_equal(kept, [1, 2])
    assert ax.lines[0].get_markerfacecolor() == "white"
    assert ax.lines[1].get_markerfacecolor() == ax.lines[0].get_color()
    assert marked_orders(ax) == [2.5]
    assert "order 2" in [text.get_text() for text in ax.texts]
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("number", "singular value / largest")
    assert legend(ax) == ["spring"]
    low, _ = ax.get_xlim()
    assert 0 < low < 1


def test_the_order_marked_is_without_the_delay():
    h = np.concatenate([np.zeros((4, 1, 1)), kernel(DIGITAL, 40)[1:]])
    result = realize(h, dt=0.5)
    assert (result.system.n_states, result.delay) == (5, 3)
    assert marked_orders(ss.plot.singular_values(result)) == [2.5]


def test_singular_values_of_nothing_lie_on_a_named_line():
    ax = rendered(ss.plot.singular_values(realize(np.zeros(9), dt=1.0)))
    (_, size), (kept, _) = drawn_sizes(ax)
    np.testing.assert_array_equal(size, 1e-18)
    assert len(kept) == 0
    assert sorted(text.get_text() for text in ax.texts) == ["1e-18 or less", "order 0"]


def test_singular_values_of_a_batch_are_lines():
    result = realize(kernel(ss.discretize(BATCH, 0.1), 60), dt=0.1)
    ax = rendered(ss.plot.singular_values(result))
    assert legend(ax) == ["batch 0", "batch 1", "batch 2"]
    for k in range(3):
        (_, size), _ = drawn_sizes(ax, k)
        values = result.singular_values[k] / result.singular_values[k, 0]
        np.testing.assert_array_equal(size, np.maximum(values, 1e-18))
    assert len(marked_orders(ax)) == 1


def test_what_fills_up_a_batch_is_not_drawn():
    result = realize(kernel(DIGITAL, 40), dt=0.5)
    values = np.stack([result.singular_values, result.singular_values])
    values[1, 3:] = np.nan
    ax = rendered(ss.plot.singular_values(replace(result, singular_values=values)))
    assert np.isnan(data(ax, 2)[1]).tolist() == [False] * 3 + [True] * (values.shape[1] - 3)
    assert data(ax, 2)[1][0] == 1.0


def test_many_singular_values_are_a_line_over_decades():
    result = realize(kernel(DIGITAL, 40), dt=0.5)
    ax = rendered(ss.plot.singular_values(replace(result, singular_values=0.5 ** np.arange(101.0))))
    assert (ax.get_xscale(), ax.lines[0].get_marker()) == ("log", "None")
    assert ax.lines[1].get_linewidth() > ax.lines[0].get_linewidth()


def test_two_realizations_share_axes():
    long = realize(kernel(DIGITAL, 80), dt=0.5)
    ax = ss.plot.singular_values(realize(kernel(DIGITAL, 40), 1, dt=0.5), label="short")
    assert rendered(ss.plot.singular_values(long, ax=ax, label="long")) is ax
    assert legend(ax) == ["short", "long"]
    assert marked_orders(ax) == [1.5, 2.5]
    assert ax.get_xlim()[1] >= len(long.singular_values)
    ss.plot.singular_values(long, ax=ax)
    assert [text.get_text() for text in ax.texts].count("order 2") == 1


# --------------------------------------------------------------- forms


def test_forms_draws_differences_to_the_recurrence():
    u = np.sin(np.arange(300.0))
    ax = rendered(ss.plot.forms(DIGITAL, u))
    reference = ss.simulate(DIGITAL, u, form="recurrent")
    for k, form in enumerate(("chunked", "convolution")):
        difference = np.abs(ss.simulate(DIGITAL, u, form=form).y - reference.y) / np.abs(reference.y).max()
        t, drawn = data(ax, k)
        np.testing.assert_array_equal(t, reference.t)
        np.testing.assert_array_equal(drawn, np.maximum(difference, 1e-18))
        assert 1e-17 < drawn.max() < data(ax, 2)[1][0]  # they differ, by less than is expected
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "|difference to recurrence|\nrelative to largest output")
    assert legend(ax) == ["chunked", "convolution", "expected"]


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_what_is_expected_is_a_dashed_line(kind):
    """The error model, and one rounding of each answer (half an eps each) to the precision it comes in."""
    ax = ss.plot.forms(DIGITAL, np.sin(np.arange(300.0)).astype(kind))
    _, y = data(ax, 2)
    np.testing.assert_allclose(y, float(error_bound(DIGITAL, 300)) + float(np.finfo(kind).eps), rtol=1e-12)
    assert ax.lines[2].get_linestyle() == "--"


@pytest.mark.parametrize(("kind", "end"), [(np.float64, 1e-18), (np.float32, 1e-9)])
def test_equal_forms_lie_on_a_named_line(kind, end):
    ax = rendered(ss.plot.forms(DIGITAL, np.zeros(300, kind)))
    for k in range(2):
        np.testing.assert_allclose(data(ax, k)[1], end, rtol=1e-15)
    assert [text.get_text() for text in ax.texts] == [f"{end:.0e} or less"]
    low, high = ax.get_ylim()
    assert low < end
    assert high > 10 * np.finfo(kind).eps


def test_forms_takes_the_largest_of_outputs_and_batch():
    u = np.random.default_rng(5).normal(size=(4, 200, 3)) * np.array([1.0, 1e3, 1e-3, 0.0])[:, None, None]
    system = ss.discretize(WIDE, 0.1)
    ax = rendered(ss.plot.forms(system, u))
    y, reference = (ss.simulate(system, u, form=form).y for form in ("convolution", "recurrent"))
    each = [np.abs(y[k] - reference[k]).max(axis=-1) / np.abs(reference[k]).max() for k in range(3)]
    np.testing.assert_array_equal(data(ax, 1)[1], np.maximum(np.max(each, axis=0), 1e-18))


def test_a_long_record_is_drawn_by_its_largest_differences():
    u = np.random.default_rng(6).normal(size=20_000)
    reference = ss.simulate(DIGITAL, u, form="recurrent")
    difference = np.abs(ss.simulate(DIGITAL, u, form="convolution").y - reference.y) / np.abs(reference.y).max()
    t, drawn = data(ss.plot.forms(DIGITAL, u), 1)
    pieces = difference.reshape(1000, 20)
    np.testing.assert_array_equal(drawn, np.maximum(pieces.max(axis=-1), 1e-18))
    np.testing.assert_array_equal(t, reference.t.reshape(1000, 20)[np.arange(1000), pieces.argmax(axis=-1)])


@pytest.mark.parametrize("length", [0, 1])
def test_forms_of_almost_nothing(length):
    assert len(data(rendered(ss.plot.forms(DIGITAL, np.ones(length))))[1]) == length


def test_forms_of_complex_systems_and_batches_of_steps():
    assert rendered(ss.plot.forms(TURN, np.ones(50))).get_xlabel() == "time (s)"
    ax = rendered(ss.plot.forms(ss.discretize(SPRING, [0.1, 0.3]), np.ones((50, 1))))
    assert ax.get_xlabel() == "time (samples)"
    np.testing.assert_array_equal(data(ax)[0], np.arange(50))


def test_forms_draws_on_given_axes():
    _, ax = plt.subplots()
    assert ss.plot.forms(DIGITAL, np.ones(50), ax=ax) is ax
    assert ax.get_yscale() == "log"
    assert ax.spines["top"].get_visible()


# --------------------------------------------------------------- sequence matrices

LAYER = ss.SelectiveSystem.initial(4, 3, seed=0)
MATRIX = ss.sequence_matrix(LAYER, np.random.default_rng(7).normal(size=(2, 12, 4)))  # (2, 4, 12, 12)


def map_of(ax):
    """The numbers of a heat map, and where it shows none."""
    (image,) = ax.images
    return np.ma.getdata(image.get_array()), np.ma.getmaskarray(image.get_array())


def bars(ax):
    """Labels of the colour bars of a figure."""
    return [a.get_ylabel() for a in ax.figure.axes if a.get_label() == "<colorbar>"]


def test_sequence_matrix_draws_the_weights_of_every_channel():
    axes = ss.plot.sequence_matrix(MATRIX[0])
    rendered(axes[0, 0])
    assert axes.shape == (1, 4)
    for channel, ax in enumerate(axes[0]):
        numbers, hidden = map_of(ax)
        np.testing.assert_array_equal(numbers, MATRIX[0, channel])
        np.testing.assert_array_equal(hidden, np.triu(np.ones((12, 12), bool), 1))
    assert [ax.get_title() for ax in axes[0]] == ["channel 0", "channel 1", "channel 2", "channel 3"]
    assert {ax.get_xlabel() for ax in axes[0]} == {"input sample j"}
    assert [ax.get_ylabel() for ax in axes[0]] == ["output sample i", "", "", ""]
    assert bars(axes[0, 0]) == ["weight M[i, j]"]


@pytest.mark.parametrize("log", [False, True])
def test_time_runs_down_and_right_in_one_scale_about_zero(log):
    axes = ss.plot.sequence_matrix(MATRIX[0], channels=[3, 1], log=log)
    rendered(axes[0, 0])
    assert [ax.get_title() for ax in axes[0]] == ["channel 3", "channel 1"]
    largest = np.abs(MATRIX[0, [3, 1]]).max()
    for ax in axes[0]:
        low, high = ax.get_ylim()
        assert low > high  # the first sample is on top
        assert ax.get_xlim() == (-0.5, 11.5)
        assert all(tick == round(tick) for tick in [*ax.get_xticks(), *ax.get_yticks()])
        scale = ax.images[0].norm
        assert (scale.vmin, scale.vmax) == (-largest, largest)
        np.testing.assert_allclose(scale([-largest, 0.0, largest]), [0.0, 0.5, 1.0], atol=1e-12)


def test_every_decade_has_as_much_of_the_colours():
    """Three of them, and the linear piece next to zero, which is 10/9 as wide."""
    scale = ss.plot.sequence_matrix(np.eye(3), log=True).images[0].norm
    linear, *decades = np.diff(scale([0.0, 1e-3, 1e-2, 1e-1, 1.0]))
    np.testing.assert_allclose(decades, linear * 9 / 10, rtol=1e-12)


def test_members_of_a_batch_are_rows_of_maps():
    axes = ss.plot.sequence_matrix(MATRIX, channels=[0, 2])
    assert axes.shape == (2, 2)
    for i, j in np.ndindex(2, 2):
        np.testing.assert_array_equal(map_of(axes[i, j])[0], MATRIX[i, 2 * j])
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["batch 0\noutput sample i", "batch 1\noutput sample i"]
    assert [ax.get_xlabel() for ax in axes[1]] == ["input sample j"] * 2
    assert len(bars(axes[0, 0])) == 1


@pytest.mark.parametrize("matrix", [MATRIX[0, 2], MATRIX[0, 2:3], MATRIX[0, 2].tolist(), np.float32(MATRIX[0, 2])])
def test_one_matrix_is_one_axes(matrix):
    ax = ss.plot.sequence_matrix(matrix)
    np.testing.assert_array_equal(map_of(ax)[0], np.reshape(matrix, (12, 12)))
    assert ax.get_title() == ""
    assert ss.plot.sequence_matrix(MATRIX[0], channels=2).get_title() == "channel 2"


@pytest.mark.parametrize("log", [False, True])
def test_of_complex_weights_the_magnitude_is_drawn(log):
    turning = ss.sequence_matrix(np.ones((9, 1)), [[-0.1 + 1j]], [[1.0]], [[1.0]])
    ax = rendered(ss.plot.sequence_matrix(turning, log=log))
    np.testing.assert_array_equal(map_of(ax)[0], np.abs(turning[0]))
    assert ax.images[0].norm.vmin == 0.0
    assert bars(ax) == ["magnitude |M[i, j]|"]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("matrix", [[[0.0]], np.zeros((3, 3)), [[1e-300, 0.0], [0.0, 0.0]]])
def test_maps_of_almost_nothing(matrix, log):
    np.testing.assert_array_equal(map_of(rendered(ss.plot.sequence_matrix(matrix, log=log)))[0], matrix)


def test_maps_on_given_axes():
    _, axes = plt.subplots(1, 2)
    axes[0].set(title="mine", xlabel="key", ylabel="query")
    drawn = ss.plot.sequence_matrix(MATRIX[0], channels=[0, 1], ax=axes)
    assert list(drawn[0]) == list(axes)
    assert (axes[0].get_title(), axes[0].get_xlabel(), axes[0].get_ylabel()) == ("mine", "key", "query")
    assert (axes[1].get_title(), axes[1].get_xlabel()) == ("channel 1", "input sample j")
    assert axes[0].spines["top"].get_visible()


# --------------------------------------------------------------- errors

RUN = ss.simulate(DIGITAL, np.ones(4))
FOUND = realize(kernel(DIGITAL, 40), dt=0.5)
FREQUENCIES = ss.frequency_response(SPRING)
_, AX = plt.subplots()
TIMED, COUNTED = ss.plot.kernel(ss.discretize(LAG, 0.1)), ss.plot.kernel([1.0, 0.5])
plt.close("all")

ERRORS = [
    (lambda: ss.plot.response(np.ones(3)), TypeError, r"got ndarray; write plot\.response\(statespace\.simulate"),
    (lambda: ss.plot.response(FREQUENCIES), TypeError, r"got FrequencyResponse; write plot\.bode\(result\)"),
    (lambda: ss.plot.response(SPRING, ax=3), TypeError, r"ax must be matplotlib axes, got int; write figure, ax ="),
    (lambda: ss.plot.response(SPRING, ax=[AX, AX]), ValueError, r"ax must hold 1 axes, 1 × 1, got 2"),
    (lambda: ss.plot.response(WIDE, ax=AX), ValueError, r"ax must hold 6 axes, 2 × 3, got 1; .*plt\.subplots\(2, 3\)"),
    (lambda: ss.plot.bode(3), TypeError, r"draws systems and FrequencyResponses, got int; write plot\.bode"),
    (lambda: ss.plot.bode(RUN), TypeError, r"got Response; a Response is drawn by plot\.response\(result\)"),
    (lambda: ss.plot.bode([]), ValueError, r"empty list; give at least one system"),
    (lambda: ss.plot.bode([SPRING, WIDE]), ValueError, r"same outputs and inputs, got \[\(1, 1\), \(2, 3\)\]"),
    (lambda: ss.plot.bode([SPRING, LAG]), ValueError, r"same time_unit, got \['s', 'year'\]"),
    (lambda: ss.plot.bode(FREQUENCIES, omega=[1.0]), ValueError, r"leave omega out"),
    (lambda: ss.plot.bode(SPRING, omega=[0.0, -1.0]), ValueError, r"omega holds no frequency above 0"),
    (lambda: ss.plot.bode([SPRING, DIGITAL], label="one"), ValueError, r"each of the 2 systems, got 1 labels"),
    (lambda: ss.plot.bode(SPRING, axes=AX), ValueError, r"axes must hold 2 axes, 2 × 1, got 1"),
    (lambda: ss.plot.bode(SPRING, axes="here"), TypeError, r"axes must be matplotlib axes, got str"),
    (lambda: ss.plot.poles(RUN), TypeError, r"got Response; write plot\.poles\(result\.system\)"),
    (lambda: ss.plot.poles([-1.0]), TypeError, r"poles draws a ContinuousSystem or DiscreteSystem, got list"),
    (lambda: ss.plot.kernel(SPRING), TypeError, r"got ContinuousSystem; write plot\.response\(statespace\.imp"),
    (lambda: ss.plot.kernel(RUN), TypeError, r"or an array, got Response; write plot\.response\(result\)"),
    (lambda: ss.plot.kernel("h"), TypeError, r"h must hold numbers, got dtype"),
    (lambda: ss.plot.kernel(3.0), ValueError, r"h must be a kernel, .* got h\.shape=\(\); write"),
    (lambda: ss.plot.kernel(np.ones((9, 2))), ValueError, r"got h\.shape=\(9, 2\); write h\[:, :, None\]"),
    (lambda: ss.plot.kernel(DIGITAL, dt=0.5), ValueError, r"has its own dt=0\.5; leave dt out"),
    (lambda: ss.plot.kernel(np.ones(9), dt=-1.0), ValueError, r"dt must be positive and finite, got -1\.0"),
    (lambda: ss.plot.kernel(np.ones(9), dt=[1.0, 2.0]), ValueError, r"one number for an array, got shape \(2,\)"),
    (lambda: ss.plot.kernel(np.ones(9), ax=3), TypeError, r"ax must be matplotlib axes, got int"),
    (lambda: ss.plot.kernel(np.ones((9, 2, 3)), ax=AX), ValueError, r"ax must hold 6 axes, 2 × 3, got 1"),
    (lambda: ss.plot.kernel(np.ones(9), ax=TIMED), ValueError, r"ax has 'time \(year\)' and .* 'time \(samples\)'"),
    (lambda: ss.plot.kernel(DIGITAL, ax=COUNTED), ValueError, r"'time \(samples\)' and .* 'time \(s\)'; give dt="),
    (lambda: ss.plot.singular_values(SPRING), TypeError, r"got ContinuousSystem; write plot\.singular_values\(.*real"),
    (lambda: ss.plot.singular_values([1.0, 0.1]), TypeError, r"draws what realize returned, got list"),
    (lambda: ss.plot.singular_values(FOUND, ax=[AX, AX]), ValueError, r"ax must hold 1 axes, 1 × 1, got 2"),
    (lambda: ss.plot.forms(SPRING, np.ones(9)), TypeError, r"forms runs a DiscreteSystem, got ContinuousSystem; disc"),
    (lambda: ss.plot.forms(np.ones(9), np.ones(9)), TypeError, r"forms runs a DiscreteSystem, got ndarray$"),
    (lambda: ss.plot.forms(DIGITAL, np.ones((9, 2))), ValueError, r"u has 2 channels on its last axis"),
    (lambda: ss.plot.forms(DIGITAL, np.ones(9), ax=3), TypeError, r"ax must be matplotlib axes, got int"),
    (lambda: ss.plot.sequence_matrix(LAYER), TypeError, r"draws matrices, got SelectiveSystem; write plot\.seq"),
    (lambda: ss.plot.sequence_matrix("M"), TypeError, r"matrix must hold numbers, got dtype"),
    (lambda: ss.plot.sequence_matrix(np.ones(9)), ValueError, r"\(\.\.\., d, L, L\), .* got matrix\.shape=\(9,\); wri"),
    (lambda: ss.plot.sequence_matrix(np.ones((9, 2))), ValueError, r"got matrix\.shape=\(9, 2\); write plot\.seq"),
    (lambda: ss.plot.sequence_matrix(np.ones((2, 0, 0))), ValueError, r"none of them 0, got matrix\.shape=\(2, 0, 0\)"),
    (lambda: ss.plot.sequence_matrix([[np.nan]]), ValueError, r"matrix must be finite, got 1 NaN or infinite of 1"),
    (lambda: ss.plot.sequence_matrix(MATRIX[0].swapaxes(1, 2)), ValueError,
     r"lower triangular, .* got matrix\[0, 0, 1\] = \S+; where rows are inputs write numpy\.swapaxes\(matrix"),
    (lambda: ss.plot.sequence_matrix(MATRIX, channels=1.0), TypeError, r"a whole number or a list of them, got 1\.0"),
    (lambda: ss.plot.sequence_matrix(MATRIX, channels=[[0], [1, 2]]), TypeError, r"or a list of them, got \[\[0\], "),
    (lambda: ss.plot.sequence_matrix(MATRIX, channels=[]), TypeError, r"a whole number or a list of them, got \[\]"),
    (lambda: ss.plot.sequence_matrix(MATRIX, channels=[0, 4]), ValueError, r"between 0 and 3, as .* got \[0, 4\]"),
    (lambda: ss.plot.sequence_matrix(MATRIX, channels=-1), ValueError, r"channels must lie between 0 and 3, .* got -1"),
    (lambda: ss.plot.sequence_matrix(np.zeros((9, 2, 2))), ValueError, r"room for 8 maps, got 9 channels; write chan"),
    (lambda: ss.plot.sequence_matrix(MATRIX, channels=[0] * 5), ValueError, r"5 channels of each of 2 members of"),
    (lambda: ss.plot.sequence_matrix(np.zeros((9, 1, 2, 2))), ValueError, r"each of 9 members .*; write matrix\[0\]"),
    (lambda: ss.plot.sequence_matrix(MATRIX[0], log=10), TypeError, r"log must be True or False, got 10"),
    (lambda: ss.plot.sequence_matrix(MATRIX[0], ax=AX), ValueError, r"ax must hold 4 axes, 1 × 4, got 1"),
    (lambda: ss.plot.sequence_matrix(MATRIX[0], ax=3), TypeError, r"ax must be matplotlib axes, got int"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS)
def test_wrong_arguments_say_what_to_write(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
    assert plt.get_fignums() == []


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"python -m pip install matplotlib"):
        ss.plot.bode(SPRING)


def test_importing_plot_imports_no_matplotlib():
    code = "import sys, statespace.plot; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_file_replaces_a_picture():
    """Importing any file of the folder leaves the functions, and dir shows them alone."""
    code = """
import pkgutil, importlib, statespace.plot as plot
for file in pkgutil.iter_modules(plot.__path__):
    importlib.import_module(f"statespace.plot.{file.name}")
assert all(callable(getattr(plot, name)) for name in plot.__all__)
assert dir(plot) == sorted(plot.__all__), dir(plot)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
