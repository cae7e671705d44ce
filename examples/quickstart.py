"""Trend and season of the carbon dioxide at Mauna Loa: analog filters, run on the weeks as they were measured.

    python examples/quickstart.py [picture.png]

In 59 weeks of 44 years nothing was measured. A system in continuous time does not mind: it runs exactly over
whatever interval there is. Then the same filter is made digital in three ways and compared with the original.
The picture needs Matplotlib.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import butter

import statespace as ss

HERE = Path(__file__).resolve().parent
YEARLY = 2 * np.pi  # one cycle per year, in rad per year
YEAR = 365.25  # days
WEEK = 7 / YEAR  # the regular step, in years
METHODS = {"zoh": "zoh", "foh": "foh", "bilinear, prewarped": ss.Bilinear(prewarp=YEARLY)}
STYLES = {"zoh": ("#D55E00", "s-"), "foh": ("#009E73", "o"), "bilinear, prewarped": ("#CC79A7", "^")}


class Row(NamedTuple):
    """One line of the table: a digital filter against the analog one it was made from."""

    method: str
    gain_error: float  # percent, at one cycle per year
    phase_error: float  # degrees, at one cycle per year; negative is late
    delay: float  # the same in days; positive is late
    difference: float  # ppm, the largest distance from the exact run, over all measured weeks


def read() -> tuple[Any, Any]:
    """Dates, and CO₂ in ppm with NaN where a week has no value."""
    with open(HERE / "data" / "mauna_loa_co2_weekly.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    dates = np.array([row["date"] for row in rows], dtype="datetime64[D]")
    return dates, np.array([float(row["co2_ppm"] or "nan") for row in rows])


def trend_filter() -> ss.ContinuousSystem:
    """Analog low-pass: keeps what takes longer than two and a half years."""
    return ss.from_zpk(*butter(4, YEARLY / 2.5, analog=True, output="zpk"), time_unit="year")


def season_filter() -> ss.ContinuousSystem:
    """Analog band-pass around one cycle per year, where its gain is 1 and its phase 0."""
    band = [YEARLY / 1.5, YEARLY * 1.5]
    return ss.from_zpk(*butter(2, band, "bandpass", analog=True, output="zpk"), time_unit="year")


def exact(system: ss.ContinuousSystem) -> ss.Response:
    """The analog filter itself over the weeks that were measured, joined by straight lines; it starts at rest."""
    dates, co2 = read()
    rest = ss.steady_state(system, co2[0])
    return ss.simulate(system, co2, t=dates, hold="foh", gaps="drop", x0=rest)


def regular(method: Any) -> ss.Response:
    """The band-pass made digital, over every week: a digital filter needs its gaps filled first."""
    dates, co2 = read()
    known = ~np.isnan(co2)
    filled = np.interp(dates.astype(float), dates[known].astype(float), co2[known])
    digital = ss.discretize(season_filter(), WEEK, method)
    return ss.simulate(digital, filled, x0=ss.steady_state(digital, filled[0]))


def table() -> list[Row]:
    """Each method against the analog filter: its response at one cycle per year, and its output."""
    known = ~np.isnan(read()[1])
    analog = ss.frequency_response(season_filter(), [YEARLY]).H[0]
    reference = exact(season_filter()).y
    rows = []
    for name, method in METHODS.items():
        run = regular(method)
        ratio = complex(ss.frequency_response(run.system, [YEARLY]).H[0] / analog)
        phase = float(np.angle(ratio, deg=True))
        worst = float(np.abs(run.y[known] - reference).max())
        rows.append(Row(name, 100 * (abs(ratio) - 1), phase, -phase / 360 * YEAR, worst))
    return rows


def size(ppm: float) -> str:
    """A difference in words; what is rounding is not worth its digits."""
    return f"{ppm:.2g} ppm" if ppm > 1e-9 else "< 1e-9 ppm"


def swing(decade: int) -> float:
    """From the lowest to the highest week of the season in a year, mean of ten years, in ppm (half a year late)."""
    season = exact(season_filter())
    year = season.t.astype("datetime64[Y]").astype(int) + 1970
    return float(np.mean([np.ptp(season.y[year == decade + k]) for k in range(10)]))


def trend_delay() -> float:
    """How late the low-pass is for what changes slowly: its group delay at frequency 0, Σ −1/pole, in years."""
    return float(np.sum(-1 / trend_filter().poles).real)


def report() -> str:
    """What was run, and the table with the meaning of its numbers."""
    dates, co2 = read()
    measured = exact(season_filter()).t
    lines = [
        f"{len(dates)} weeks from {dates[0]} to {dates[-1]}, {np.isnan(co2).sum()} of them without a value. The analog",
        f"filters ran over the other {len(measured)}, in steps of 7 to {np.diff(measured).max().astype(int)} days.",
        f"The season they find swings {swing(1960):.1f} ppm in the 1960s, {swing(1990):.1f} ppm in the 1990s.",
        "",
        "The band-pass made digital, one week a step:  at one cycle per year       largest difference",
        "method                                  gain error    phase        late     to the exact run",
    ]
    for row in table():
        gain, phase, late = (round(x, 3) + 0.0 for x in row[1:4])  # + 0.0: no −0.00
        lines.append(f"{row.method:<40}{gain:8.3f} %{phase:8.2f}°{late:7.2f} days{size(row.difference):>20}")
    return "\n".join(lines) + MEANING


MEANING = """

Gain error, phase, late: the digital filter's frequency response against the analog filter's.
Exact run: the analog filter over the measured weeks, joined by straight lines.
  zoh holds each value for a week, so all comes half a week late.
  foh joins the values, and here the filled gaps, by straight lines: the exact run itself, to rounding.
      Straight lines cut the tops of a yearly sine; that is its 0.12 %, and the exact run's as well.
  bilinear, prewarped at one cycle per year is exact there, and there alone.
"""


def picture(path: Path) -> None:
    """Save the trend, the season, and what each way of discretizing does to the season."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9.5), layout="constrained")
    axes: dict[str, Any] = figure.subplot_mosaic(
        [["trend"] * 2, ["season"] * 2, ["zoom", "error"]], height_ratios=[1.15, 1, 1.1]
    )
    figure.suptitle("Weekly CO₂ at Mauna Loa through two analog filters, gaps and all", fontsize=15)
    for (name, ax), draw in zip(axes.items(), (draw_trend, draw_season, draw_zoom, draw_error), strict=True):
        ax.grid(color="0.92")
        ax.spines[["top", "right"]].set_visible(False)
        draw(ax)
        if name in ("zoom", "error"):
            locator = AutoDateLocator(minticks=4, maxticks=8)
            ax.xaxis.set(major_locator=locator, major_formatter=ConciseDateFormatter(locator, show_offset=False))
    figure.savefig(path, dpi=100)


def draw_trend(ax: Any) -> None:
    """Measured weeks, and the low-pass with its delay taken back."""
    dates, co2 = read()
    trend = exact(trend_filter())
    back = trend.t - np.timedelta64(round(trend_delay() * YEAR), "D")
    ax.plot(dates, co2, ".", color="0.62", markersize=2.5, label="weekly averages")
    ax.plot(back, trend.y, color="#0072B2", linewidth=1.8, label="low-pass")
    ax.set_title(
        f"Trend: low-pass at 2.5 years, drawn {trend_delay():.2f} years earlier to undo its delay",
        loc="left",
        fontsize=11.5,
    )
    ax.set(ylabel="CO₂ (ppm)", xlim=(dates[0], dates[-1]))
    mark_gaps(ax)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0.2, 1), markerscale=3)


def draw_season(ax: Any) -> None:
    """The band-pass over the whole record, as it comes out."""
    season = exact(season_filter())
    ss.plot.response(season, ax=ax)
    ax.lines[0].set(color="#0072B2", linewidth=1.2)
    grew = f"it grew from {swing(1960):.1f} to {swing(1990):.1f} ppm between the 1960s and the 1990s"
    ax.set_title(f"Season: band-pass at one cycle per year; {grew}", loc="left", fontsize=11.5)
    ax.text(season.t[8], -4.35, "starts at rest, needs two years", fontsize=9, color="0.35")
    ax.set(ylabel="season (ppm)", xlabel="", xlim=(season.t[0], season.t[-1]), ylim=(-4.7, 3.7))
    mark_gaps(ax)


def mark_gaps(ax: Any) -> None:
    """Shade the gaps of three weeks and more, which the filters cross in one step."""
    known = exact(season_filter()).t
    for i, k in enumerate(np.flatnonzero(np.diff(known) > np.timedelta64(21, "D"))):
        label = "_" if i else "no data for three weeks or more"
        ax.axvspan(known[k], known[k + 1], color="#E69F00", alpha=0.35, linewidth=0, label=label)


def draw_zoom(ax: Any) -> None:
    """Ten weeks, with the half week that zoh is late."""
    season = exact(season_filter())
    ax.plot(season.t, season.y, color="black", linewidth=1.5, label="analog, exact")
    for name, (colour, marker) in STYLES.items():
        face, size = ("none", 9) if name == "foh" else (colour, 5)
        y = regular(METHODS[name]).y
        ax.plot(read()[0], y, marker, color=colour, markersize=size, markerfacecolor=face, linewidth=1.5, label=name)
    ax.set_title("Ten weeks of 1995: zoh comes 3.5 days late", loc="left", fontsize=11.5)
    ax.set(ylabel="season (ppm)", xlim=np.array(["1995-07-01", "1995-09-09"], "datetime64[D]"), ylim=(-2.3, 1.3))
    ax.legend(frameon=False, loc="upper right")


def draw_error(ax: Any) -> None:
    """Two years of the differences to the exact run."""
    season = exact(season_filter())
    known = np.isin(read()[0], season.t)
    for row in table():
        off = regular(METHODS[row.method]).y[known] - season.y
        label = f"{row.method}: {size(row.difference)}"
        ax.plot(season.t, off, color=STYLES[row.method][0], linewidth=1.8, label=label)
    ax.set_title("Two of the 44 years: digital minus analog", loc="left", fontsize=11.5)
    ax.set(ylabel="difference (ppm)", xlim=np.array(["1995-01-01", "1997-01-01"], "datetime64[D]"), ylim=(-0.25, 0.52))
    ax.legend(frameon=False, loc="upper left", title="largest in 44 years", alignment="left")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "mauna_loa_co2.png"
    print(report())
    picture(target)
    print(f"picture: {target}")
