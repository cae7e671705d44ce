"""A clock that autumn resets: a small selective layer is trained on the air of Mauna Loa, then asked what it selects.

    python examples/what_does_it_select.py [picture.png]

The task: say at each week how long ago the carbon dioxide was at its lowest of the year, from the last eight weeks
without their slow trend. A system whose coefficients do not change cannot forget at a moment of its choice; a selective
one can, with a large step:

    u_k = W w_k        x_k = e^(Δ_k A) x_{k−1} + Δ_k B_k u_k        Δ_k = log(1 + e^(P u_k + b))        ŷ_k = r·y_k + s

Nobody tells it where its steps should be large. They come out of the gradient: `selective_scan_vjp` and a few lines of
Adam, on the years until 1985. What is shown and counted is 1986 to 2001. The same layer with a constant step, B and C
learns beside it. Needs Matplotlib for the picture.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from quickstart import WEEK, YEAR, YEARLY, read
from scipy.signal import butter

import statespace as ss

HERE = Path(__file__).resolve().parent
SEEN = 8  # weeks that the layer sees at a time
CHANNELS, STATES = 4, 4
LEARNED = np.datetime64("1986-01-01")  # what is before is learned from
SETTLED = 104  # weeks until the high-pass has forgotten that the record begins
NEAR = 3  # weeks around a turn that count as it
STEPS, RATE = 500, 0.02
PARTS = ("delta", "B", "C")
GREY, BLUE, ORANGE, GREEN = "0.55", "#0072B2", "#D55E00", "#009E73"
Parameters = dict[str, Any]


class Task(NamedTuple):
    """What is heard and what is wanted, week by week."""

    dates: Any  # (L,)
    season: Any  # (L,), CO₂ without its slow trend, in ppm
    windows: Any  # (L, SEEN + 1): this week and those before it, over their rms, and 1
    since: Any  # (L,), years since the last turn
    turns: Any  # indices of the turns
    learned: slice
    held_out: slice


class Trained(NamedTuple):
    """A layer between its two maps, and what it says of every week."""

    layer: ss.SelectiveSystem
    u: Any  # (L, CHANNELS), what the layer hears
    answer: Any  # (L,), years
    loss: list[float]  # rms error while it learned, in years


# --------------------------------------------------------------- the record


def task() -> Task:
    """Weeks in which nothing was measured lie on a straight line here: what learns from weeks needs every week."""
    dates, co2 = read()
    known = ~np.isnan(co2)
    filled = np.interp(dates.astype(float), dates[known].astype(float), co2[known])
    season = without_trend(filled)[SETTLED:]
    turns = lowest(dates, filled)
    weeks = np.arange(SETTLED, len(dates))
    since = (weeks - turns[np.searchsorted(turns, weeks, side="right") - 1]) * WEEK
    dates, cut = dates[SETTLED:], int(np.searchsorted(dates[SETTLED:], LEARNED))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(season, (SEEN - 1, 0)), SEEN)[:, ::-1] / season.std()
    windows = np.column_stack([windows, np.ones(len(windows))])
    turns = turns[turns >= SETTLED] - SETTLED
    return Task(dates, season, windows, since, turns, slice(0, cut), slice(cut, len(dates)))


def without_trend(co2: Any) -> Any:
    """A high-pass at two years, which hears the past only."""
    highpass = ss.from_zpk(*butter(2, YEARLY / 2, "highpass", analog=True, output="zpk"), time_unit="year")
    return ss.filter(ss.discretize(highpass, WEEK, "foh"), co2 - co2[: SETTLED // 2].mean())


def lowest(dates: Any, co2: Any) -> Any:
    """Index of the week of each year's lowest season, by a band-pass from half to four cycles a year, both ways."""
    band = butter(2, [YEARLY / 2, 4 * YEARLY], "bandpass", analog=True, output="zpk")
    season = ss.filtfilt(ss.discretize(ss.from_zpk(*band, time_unit="year"), WEEK, "foh"), co2)
    year = dates.astype("datetime64[Y]")
    late = dates - year > np.timedelta64(182, "D")
    weeks = [np.flatnonzero((year == one) & late) for one in np.unique(year)]
    return np.array([some[np.argmin(season[some])] for some in weeks])


# --------------------------------------------------------------- learning


def start(selective: tuple[str, ...], seed: int) -> Parameters:
    """W, r, s and the parameters of a layer as the Mamba paper draws them."""
    rng = np.random.default_rng(seed)
    layer = ss.SelectiveSystem.initial(CHANNELS, STATES, selective=selective, seed=seed)
    names = ("delta_bias", "B", "C", "B_projection", "C_projection", "delta_up", "delta_down", "D")
    own = {name: getattr(layer, name).copy() for name in names if getattr(layer, name) is not None}
    maps = {"W": rng.normal(size=(CHANNELS, SEEN + 1)) / 3, "r": rng.normal(size=CHANNELS) / 2, "s": np.zeros(())}
    return maps | {"log_rates": np.log(-layer.A)} | own


def layer_of(parameters: Parameters) -> ss.SelectiveSystem:
    """A = −e^log_rates: no step of the training makes a pole unstable."""
    own = {name: value for name, value in parameters.items() if name not in ("W", "r", "s", "log_rates")}
    return ss.SelectiveSystem(A=-np.exp(parameters["log_rates"]), **own)


def loss_and_gradients(parameters: Parameters, windows: Any, wanted: Any) -> tuple[float, Parameters]:
    """Mean squared error, and its gradient by every parameter."""
    layer = layer_of(parameters)
    y, pullback = ss.selective_scan_vjp(windows @ parameters["W"].T, layer)
    error = y @ parameters["r"] + parameters["s"] - wanted
    slope = 2 * error / len(error)
    of_layer = pullback(slope[:, None] * parameters["r"])
    own = {name: getattr(of_layer, name) for name in parameters if hasattr(of_layer, name)}
    maps = {"W": of_layer.u.T @ windows, "r": y.T @ slope, "s": slope.sum()}
    return float(np.mean(error**2)), own | maps | {"log_rates": layer.A * of_layer.A}


def train(it: Task, selective: tuple[str, ...] = PARTS, seed: int = 0, steps: int = STEPS) -> Trained:
    """Adam, its rate falling to nothing (D. Kingma, J. Ba, "Adam", ICLR 2015, algorithm 1)."""
    parameters, loss = start(selective, seed), []
    mean = {name: np.zeros_like(value) for name, value in parameters.items()}
    square = {name: np.zeros_like(value) for name, value in parameters.items()}
    for k in range(1, steps + 1):
        error, gradients = loss_and_gradients(parameters, it.windows[it.learned], it.since[it.learned])
        loss.append(error**0.5)
        for name, g in gradients.items():
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.99 * square[name] + 0.01 * g**2
            move = mean[name] / (1 - 0.9**k) / (np.sqrt(square[name] / (1 - 0.99**k)) + 1e-8)
            parameters[name] = parameters[name] - RATE * min(1.0, 2 - 2 * k / steps) * move
    layer, u = layer_of(parameters), it.windows @ parameters["W"].T
    answer = ss.simulate(layer, u).y @ parameters["r"] + parameters["s"]
    return Trained(layer, u, answer, loss)


# --------------------------------------------------------------- what it selects


def moments(one: Trained) -> ss.DiscreteSystem:
    """The linear system that acts in each week and channel: its step is Δ, its poles e^(ΔA)."""
    return ss.frozen(one.layer, one.u)


def chosen(one: Trained, it: Task) -> int:
    """The channel that takes the largest step in the years it learned from."""
    return int(moments(one).dt[it.learned].max(axis=0).argmax())


def memory(one: Trained, channel: int) -> Any:
    """Weeks in which each state of a channel falls to 1/e, (L, STATES), if the moment lasted: −1/(ΔA)."""
    return -1 / np.log(moments(one).poles[:, channel].real)


def area_under_curve(score: Any, event: Any) -> float:
    """How often a week of an event has a larger score than another week (Mann and Whitney)."""
    above = score[event][:, None] - score[~event][None, :]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def near_turns(it: Task) -> Any:
    """Which weeks lie within NEAR of a turn, (L,)."""
    return np.abs(np.arange(len(it.since))[:, None] - it.turns).min(axis=1) <= NEAR


def rms_weeks(one: Trained, it: Task, part: slice) -> float:
    """Error of a clock, in weeks."""
    return float(np.sqrt(np.mean((one.answer - it.since)[part] ** 2)) / WEEK)


def score(one: Trained, it: Task) -> float:
    """Whether Δ is larger at the turns than at other weeks, in years that were not learned from."""
    return area_under_curve(moments(one).dt[it.held_out, chosen(one, it)], near_turns(it)[it.held_out])


def report(it: Task, selective: Trained, constant: Trained) -> str:
    """Errors of both clocks, and what the selective one does at the turns."""
    channel, turn = chosen(selective, it), near_turns(it)[it.held_out]
    step, weeks = moments(selective).dt[it.held_out, channel], memory(selective, channel)[it.held_out].max(axis=1)
    held, day = it.turns[it.turns >= it.held_out.start], it.dates - it.dates.astype("datetime64[Y]")
    lines = [
        f"{it.learned.stop} weeks to learn from, {len(turn)} held out with {len(held)} turns, "
        f"on day {np.mean(day[it.turns].astype(int)):.0f} of the year in the mean.",
        "Weeks since the last turn, rms error:       learned    held out",
    ]
    for name, one in (("selective", selective), ("constant", constant)):
        errors = (rms_weeks(one, it, part) for part in (it.learned, it.held_out))
        lines.append(f"  {name + ' Δ, B and C':<38}" + "".join(f"{error:12.1f}" for error in errors))
    return "\n".join([
        *lines,
        f"Channel {channel} takes the largest steps; of the weeks held out (medians)",
        f"  those within {NEAR} of a turn have Δ = {np.median(step[turn]):.2g}: "
        f"its slowest state remembers {np.median(weeks[turn]):.0f} weeks,",
        f"  all others have Δ = {np.median(step[~turn]):.2g}: it remembers {np.median(weeks[~turn]):.0f}.",
        f"One of the former has a larger Δ than one of the latter in {100 * score(selective, it):.0f} of 100 cases.",
    ])  # fmt: skip


# --------------------------------------------------------------- the picture


def picture(path: Path, it: Task, selective: Trained, constant: Trained) -> None:
    """Six years that were held out: what is heard, the clocks, Δ, the memory, and who hears whom."""
    from matplotlib.figure import Figure

    part = slice(it.held_out.start, it.held_out.start + round(6 * YEAR / 7))
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    names = ("season", "clock", "delta", "memory")
    axes: dict[str, Any] = figure.subplot_mosaic([[name, "matrix"] for name in names], width_ratios=[1, 1])
    figure.suptitle("What a selective layer selects: the autumn, when carbon dioxide is lowest", fontsize=15)
    for name in names:
        axes[name].grid(color="0.92")
        axes[name].spines[["top", "right"]].set_visible(False)
        axes[name].set_xlim(it.dates[part][0], it.dates[part][-1])
        for k in it.turns[(it.turns >= part.start) & (it.turns < part.stop)]:
            axes[name].axvline(it.dates[k], color="#E69F00", linewidth=1.2, zorder=0)
    draw_season(axes["season"], it, part)
    draw_clocks(axes["clock"], it, selective, constant, part)
    draw_selection(axes["delta"], axes["memory"], it, selective, part)
    draw_matrix(axes["matrix"], it, selective, part)
    figure.savefig(path, dpi=80)


def draw_season(ax: Any, it: Task, part: slice) -> None:
    """What it hears."""
    ax.plot(it.dates[part], it.season[part], color="black", linewidth=1)
    ax.set_title("It hears the season, and is not told of the turns (orange)", loc="left", fontsize=11.5)
    ax.set(ylabel="CO₂ − trend (ppm)")


def draw_clocks(ax: Any, it: Task, selective: Trained, constant: Trained, part: slice) -> None:
    """What it should say and says."""
    ax.plot(it.dates[part], it.since[part], color=GREY, linewidth=3, alpha=0.6, label="wanted")
    ax.plot(it.dates[part], constant.answer[part], color=BLUE, linewidth=1.2, label="constant Δ, B, C")
    ax.plot(it.dates[part], selective.answer[part], color=ORANGE, linewidth=1.5, label="selective")
    errors = [rms_weeks(one, it, it.held_out) for one in (selective, constant)]
    title = "It says how long ago the turn was: {:.1f} weeks off, {:.1f} if constant".format(*errors)
    ax.set_title(title, loc="left", fontsize=11.5)
    ax.set(ylabel="years since the turn", ylim=(-0.15, 1.5))
    ax.legend(frameon=False, ncols=3, loc="upper right")


def draw_selection(above: Any, below: Any, it: Task, one: Trained, part: slice) -> None:
    """The step, and what it does to the poles."""
    channel = chosen(one, it)
    above.plot(it.dates[part], moments(one).dt[part, channel], color=ORANGE)
    above.set_title(
        f"Its step rises at the turns (area under the curve {score(one, it):.2f})", loc="left", fontsize=11.5
    )
    above.set(ylabel=f"Δ of channel {channel}")
    below.semilogy(it.dates[part], memory(one, channel)[part], color=GREEN, linewidth=1.2)
    below.set_title(f"Frozen poles e^(ΔA): what its {STATES} states remember falls with it", loc="left", fontsize=11.5)
    below.set(ylabel="memory (weeks)")


def draw_matrix(ax: Any, it: Task, one: Trained, part: slice) -> None:
    """Rows hear columns."""
    channel = chosen(one, it)
    through_states = replace(one.layer, D=None)
    ss.plot.sequence_matrix(ss.sequence_matrix(through_states, one.u[part])[channel], log=True, ax=ax)
    for k in it.turns[(it.turns >= part.start) & (it.turns < part.stop)] - part.start:
        ax.axhline(k, color="#E69F00", linewidth=0.8)
    ax.set_title(f"Sequence matrix of channel {channel} (without D): a turn cuts it", loc="left", fontsize=11.5)
    ax.set(xlabel="week j that is heard", ylabel="week i that hears")


def main() -> None:
    """Train, print and draw."""
    it = task()
    selective, constant = train(it), train(it, ())
    print(report(it, selective, constant))
    if find_spec("matplotlib") is None:
        print("no picture: Matplotlib is not installed")
        return
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "what_does_it_select.png"
    picture(target, it, selective, constant)
    print(f"picture: {target}")


if __name__ == "__main__":
    main()
