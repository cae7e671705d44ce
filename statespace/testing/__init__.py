"""Floor 6: property testing. Strategies that draw systems and signals, and assertions that hold anything to the laws.

The assertions need nothing beyond the library; `strategies` needs Hypothesis, the extra ``testing``. Both take your own
functions as well as our systems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statespace.testing.callables import from_matrices
from statespace.testing.equivalence import assert_equivalent, assert_forms_agree, assert_streaming_agrees
from statespace.testing.gradient import assert_gradient
from statespace.testing.invariance import assert_linear, assert_time_invariant
from statespace.testing.margin import Margin
from statespace.testing.order import assert_discretization_order

if TYPE_CHECKING:
    import statespace.testing.strategies as strategies

__all__ = [
    "Margin",
    "assert_discretization_order",
    "assert_equivalent",
    "assert_forms_agree",
    "assert_gradient",
    "assert_linear",
    "assert_streaming_agrees",
    "assert_time_invariant",
    "from_matrices",
    "strategies",
]


def __getattr__(name: str) -> Any:
    if name != "strategies":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("hypothesis") is None:
        raise ImportError("statespace.testing.strategies needs Hypothesis: python -m pip install hypothesis")
    return import_module("statespace.testing.strategies")


def __dir__() -> list[str]:
    return __all__
