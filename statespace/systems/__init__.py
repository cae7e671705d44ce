"""Floor 2: the two types, their properties and their algebra."""

from statespace.systems.algebra import append, feedback, parallel, series
from statespace.systems.types import ContinuousSystem, DiscreteSystem

__all__ = ["ContinuousSystem", "DiscreteSystem", "append", "feedback", "parallel", "series"]
