"""Floor 3: from continuous to discrete time, and back."""

from statespace.discretization.inverse import rediscretize, undiscretize
from statespace.discretization.rules import (
    BackwardEuler,
    Bilinear,
    ExponentialTrapezoidal,
    FirstOrderHold,
    ForwardEuler,
    GeneralizedBilinear,
    Impulse,
    MatchedPoles,
    ZeroOrderHold,
)
from statespace.discretization.verbs import discretize, initial_state

__all__ = [
    "BackwardEuler",
    "Bilinear",
    "ExponentialTrapezoidal",
    "FirstOrderHold",
    "ForwardEuler",
    "GeneralizedBilinear",
    "Impulse",
    "MatchedPoles",
    "ZeroOrderHold",
    "discretize",
    "initial_state",
    "rediscretize",
    "undiscretize",
]
