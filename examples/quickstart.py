"""Trend and season of the carbon dioxide at Mauna Loa: analog filters, run on the weeks as they were measured.

    python examples/quickstart.py [picture.png]

The record has 59 empty weeks in 44 years. A system in continuous time does not mind: it runs exactly over
whatever interval there is. Then the same filter is made digital in three ways, and compared with the original.
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
WEEK = 7 / 365.25  # the regular step, in years
METHODS = {"zoh": "zoh", "foh": "foh", "bilinear, prewarped": ss.Bilinear(prewarp=YEARLY)}


class Row(NamedTuple):
    """One line of the table: a digital filter against the analog one it was made from."""

    method: str
    gain_error: float  # percent, at one cycle per year
    phase_error: float  # degrees, at one cycle per year; negative is late
    delay: float  # the same in days, positive is late
    difference: float  # ppm, the largest distance from the exact run on the measured weeks


def read() -> tuple[Any, Any]:
    """Dates, and CO2 in ppm with NaN where a week has no value."""
    with open(HERE / "data" / "mauna_loa_co2_weekly.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    dates = np.array([row["date"] for row in rows], dtype="datetime64[D]")
    return dates, np.array([float(row["co2_ppm"] or "nan") for row in rows])


def trend_filter() -> ss.ContinuousSystem:
    """Analog low-pass: what takes longer than two and a half years."""
    return ss.from_zpk(*butter(4, YEARLY / 2.5, analog=True, output="zpk"), time_unit="year")


def season_filter() -> ss.ContinuousSystem:
    """Analog band-pass around one cycle per year, where its gain is 1 and its phase 0."""
    band = [YEARLY / 1.5, YEARLY * 1.5]
    return ss.from_zpk(*butter(2, band, "bandpass", analog=True, output="zpk"), time_unit="year")


def exact(system: ss.ContinuousSystem) -> ss.Response:
    """The analog filter itself over the measured weeks, joined by straight lines; it starts at rest."""
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
    original = ss.frequency_response(season_filter(), [YEARLY]).H[0]
    reference = exact(season_filter()).y
    rows = []
    for name, method in METHODS.items():
        run = regular(method)
        ratio = ss.frequency_response(run.system, [YEARLY]).H[0] / original
        phase = float(np.angle(ratio, deg=True))
        worst = float(np.abs(run.y[known] - reference).max())
        rows.append(Row(name, 100 * (abs(ratio) - 1), phase, -phase / 360 * 365.25, worst))
    return rows


def delay(system: ss.ContinuousSystem) -> float:
    """How late a low-pass answers to what is slow: its group delay at frequency 0, in years, Σ −1/pole."""
    return float(np.sum(-1 / system.poles).real)


def picture(path: Path) -> None:
    """Save the trend, the season, and what the way of discretizing does to it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    dates, co2 = read()
    figure, axes = plt.subplot_mosaic(
        [["trend", "trend"], ["season", "season"], ["zoom", "error"]], figsize=(10, 9), layout="constrained"
    )
    figure.suptitle("CO₂ at Mauna Loa through two analog filters, on the weeks that were measured", fontsize=13)
    late, trend = delay(trend_filter()), exact(trend_filter())
    back = trend.t - np.timedelta64(round(late * 365.25), "D")
    axes["trend"].plot(dates, co2, ".", color="0.6", markersize=2, label="weekly averages, 59 weeks missing")
    axes["trend"].plot(back, trend.y, color="#0072B2", label=f"low-pass, drawn {late:.2f} years earlier: its delay")
    axes["trend"].set(ylabel="CO₂ (ppm)", xlim=(dates[0], dates[-1]))
    season = exact(season_filter())
    ss.plot.response(season, ax=axes["season"], label="band-pass around one cycle per year, drawn as it comes out")
    axes["season"].set(ylabel="season (ppm)", ylim=(-6, 6), xlim=(dates[0], dates[-1]))
    close_up(axes["zoom"], axes["error"], dates, season)
    for ax in axes.values():
        ax.grid(color="0.92")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=9, loc="upper left")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def close_up(zoom: Any, error: Any, dates: Any, season: ss.Response) -> None:
    """Half a year of the exact run and of the digital ones, and two years of their differences."""
    styles = {"zoh": ("#D55E00", "s"), "foh": ("#009E73", "o"), "bilinear, prewarped": ("#CC79A7", "^")}
    zoom.plot(season.t, season.y, color="black", linewidth=1, label="analog, exact")
    for name, (colour, marker) in styles.items():
        y = regular(METHODS[name]).y
        zoom.plot(dates, y, marker, color=colour, markersize=4, markerfacecolor="none", label=name)
        known = np.isin(dates, season.t)
        error.plot(season.t, y[known] - season.y, color=colour, linewidth=1.2, label=name)
    zoom.set(ylabel="season (ppm)", xlim=np.array(["1995-05-15", "1995-11-15"], "datetime64[D]"))
    error.set(ylabel="digital − exact (ppm)", xlim=np.array(["1995-01-01", "1997-01-01"], "datetime64[D]"))


def main(path: Path) -> None:
    dates, co2 = read()
    season = exact(season_filter())
    print(f"{len(dates)} weeks from {dates[0]} to {dates[-1]}, {np.isnan(co2).sum()} without a value")
    print(f"the filters ran on the other {len(season.t)}, over intervals of 7 to {np.diff(season.t).max().astype(int)} days")
    print()
    for row in table():
        print(row)
    picture(path)
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "mauna_loa_co2.png")
