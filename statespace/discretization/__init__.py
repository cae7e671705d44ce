"""Floor 3: from continuous to discrete time."""

from statespace.discretization.rules import (
    BackwardEuler,
    Bilinear,
    ExponentialTrapezoidal,
    FirstOrderHold,
    ForwardEuler,
    GeneralizedBilinear,
    Impulse,
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
    "ZeroOrderHold",
    "discretize",
    "initial_state",
]
