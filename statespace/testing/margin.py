"""How far two answers lie apart, beside what they may: one comparison, and the report of a failure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.testing.report import pasted


class Margin(NamedTuple):
    """What an assertion found: the error that came closest to its bound, and that bound.

    Attributes
    ----------
    error, bound : float
        The difference and what was allowed there; both 0 where the same bits are asked for.
    memory : float
        Samples that the system remembers, min(L, 1/(1 − ρ)): roundings add up like a random walk over them.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.testing.Margin(error=1.0, bound=100.0, memory=25.0).room
    20.0
    """

    error: float
    bound: float
    memory: float = 1.0

    @property
    def room(self) -> float:
        """Bound / error / √memory: how much of the bound is neither needed nor explained by rounding at random."""
        return self.bound / self.error / self.memory**0.5 if self.error else np.inf


def worst(margins: list[Margin]) -> Margin:
    """The margin that came closest to its bound."""
    return max(margins, key=lambda m: m.error / m.bound if m.bound else float(m.error > 0))


def compare(law: str, sides: dict[str, Array], bound: Any, memory: Any = 1.0, **context: Any) -> Margin:
    """Raise unless two answers (..., L, p) agree within a bound (..., p) that holds at every sample.

    Parameters
    ----------
    law : str
        What should hold, for the message.
    sides : dict of str to ndarray
        The two answers by name.
    bound, memory : array_like
        Largest difference of each output, and the samples that are remembered, for the margin.
    **context
        What is printed to be pasted: systems, signals, numbers.
    """
    (_, got), (_, wanted) = sides.items()
    if got.shape != wanted.shape:
        shapes = " and ".join(f"{name} has shape {y.shape}" for name, y in sides.items())
        raise AssertionError(f"{law} does not hold: {shapes}\n{pasted(context)}")
    allowed = _at_every_sample(np.asarray(bound), got.shape)
    error = _difference(got, wanted)
    if error.size == 0:
        return Margin(0.0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(error == 0, 0.0, error / allowed)
    place = _largest(ratio)
    if not ratio[place] <= 1:
        place = _first_failing(ratio, place)
        exact = not np.any(bound) and not np.ndim(bound)
        limit = "nothing: the same bits are promised" if exact else f"{float(allowed[place]):.3g} (system=, slack=)"
        raise AssertionError(f"{_found(law, sides, place, error[place], limit)}\n{pasted(context)}")
    return Margin(float(error[place]), float(allowed[place]), float(np.max(memory)))


def _at_every_sample(bound: Array, shape: tuple[int, ...]) -> Array:
    try:
        return np.broadcast_to(bound[..., None, :] if bound.ndim else bound, shape)
    except ValueError:
        raise ValueError(
            f"the bound does not fit the answers: it comes from a system of {bound.shape[-1]} outputs and batch axes "
            f"{bound.shape[:-1]}, the answers have shape {shape}; give the system= that the function should be"
        ) from None


def _difference(got: Array, wanted: Array) -> Array:
    """|got − wanted|; NaN beside NaN and an infinity beside itself are the same, beside a number they are not."""
    with np.errstate(invalid="ignore"):
        error = np.abs(got - wanted)
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def _largest(ratio: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))


def _first_failing(ratio: Array, place: tuple[int, ...]) -> tuple[int, ...]:
    """The output that fails worst, at the first sample where it fails: what is wrong later often follows from it."""
    along = np.moveaxis(ratio, -2, -1)[(*place[:-2], place[-1])]
    return (*place[:-2], int(np.argmax(~(along <= 1))), place[-1])


def _found(law: str, sides: dict[str, Array], place: tuple[int, ...], error: Any, limit: str) -> str:
    *batch, sample, output = place
    where = f"output {output} at sample {sample}" + (f" of system {tuple(batch)}" if batch else "")
    width = max(map(len, sides))
    values = "\n".join(f"  {name:<{width}}  {y[place].item()!r}" for name, y in sides.items())
    return f"{law} does not hold for {where}:\n{values}\n  they differ by {float(error):.3g}, allowed is {limit}"
