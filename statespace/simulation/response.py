"""What a simulation returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from statespace.arrays import Array


@dataclass(frozen=True, eq=False)
class Response:
    """Output over time, with the system that made it. Unpacks as ``t, y = response``.

    Attributes
    ----------
    t : ndarray, (L,)
        Time stamps as they were given, or k·dt; (..., L) where dt has batch axes.
    y : ndarray, (..., L, p)
        Output, time on axis −2 and channels last; (L,) for a 1-D input of a system with one input and one
        output.
    x : ndarray, (..., L, state_size), or None
        States at the stamps, where ``states=True``: physical for a continuous system.
    final_state : ndarray, (..., state_size), or None
        Where to go on. Discrete: the next state x[L]. Continuous: the physical state at the last stamp;
        a continuation repeats that stamp.
    system : ContinuousSystem or DiscreteSystem
        The system that ran: for a continuous one on a uniform grid its discretization.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> mean = ss.DiscreteSystem([[0.5]], [[0.5]], [[1.0]], dt=1.0)
    >>> t, y = ss.simulate(mean, np.ones(4))
    >>> y
    array([0.   , 0.5  , 0.75 , 0.875])
    """

    t: Any
    y: Array
    x: Array | None
    final_state: Array | None
    system: Any

    def __iter__(self) -> Iterator[Any]:
        return iter((self.t, self.y))

    @property
    def time_unit(self) -> str:
        """Unit of t, as the system has it."""
        unit: str = self.system.time_unit
        return unit

    def __repr__(self) -> str:
        return f"<Response: y {self.y.shape}, {self.t.shape[-1]} stamps, time in {self.time_unit}>"
