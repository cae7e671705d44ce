"""The methods by name."""

from __future__ import annotations

from typing import Any, TypeAlias

from statespace.arrays import shorten
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

Exponential: TypeAlias = ZeroOrderHold | FirstOrderHold | Impulse | ExponentialTrapezoidal
Rational: TypeAlias = GeneralizedBilinear | Bilinear | ForwardEuler | BackwardEuler
Rule: TypeAlias = Exponential | Rational  # α, β, γ of ΔA
Method: TypeAlias = Rule | MatchedPoles

METHODS: dict[str, Method] = {
    "zoh": ZeroOrderHold(),
    "s4_zoh": ZeroOrderHold(tap="current"),
    "foh": FirstOrderHold(),
    "impulse": Impulse(),
    "mamba": Impulse(),
    "bilinear": Bilinear(),
    "tustin": Bilinear(),
    "s4_bilinear": Bilinear(tap="current"),
    "euler": ForwardEuler(),
    "backward_euler": BackwardEuler(),
    "exp_trapezoidal": ExponentialTrapezoidal(),
    "matched": MatchedPoles(),
}


# What other libraries call a method that is here.
_ELSEWHERE = {
    "backward_diff": "'backward_euler'",
    "forward_diff": "'euler'",
    "prewarp": "Bilinear(prewarp=omega)",
}


def as_method(method: Any) -> Method:
    """Return the method object for a name or an object."""
    if isinstance(method, str):
        if method in METHODS:
            return METHODS[method]
        if method == "gbt":
            raise ValueError("'gbt' needs its weight: write method=statespace.GeneralizedBilinear(w)")
        here = _ELSEWHERE.get(method)
        hint = f"; here it is {here}" if here else ""
        raise ValueError(f"unknown discretization method {method!r}{hint}; known are {', '.join(map(repr, METHODS))}")
    if not isinstance(method, Method):
        raise TypeError(f"method must be a name or a method object such as Bilinear(), got {shorten(method)}")
    return method
