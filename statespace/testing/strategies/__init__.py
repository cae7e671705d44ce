"""Strategies for Hypothesis: systems, steps, grids, signals, blocks and methods, as people meet them, corners included.

Everything is a function of drawn numbers, without a random generator behind it, so that what fails shrinks: to one
state, a real pole, a step of 1 and an impulse.
"""

from statespace.testing.strategies.bases import bases
from statespace.testing.strategies.methods import discretizations
from statespace.testing.strategies.poles import stable_poles
from statespace.testing.strategies.selective import SelectiveInputs, selective_inputs
from statespace.testing.strategies.signals import chunkings, signals
from statespace.testing.strategies.systems import systems
from statespace.testing.strategies.times import irregular_grids, time_steps

__all__ = [
    "SelectiveInputs",
    "bases",
    "chunkings",
    "discretizations",
    "irregular_grids",
    "selective_inputs",
    "signals",
    "stable_poles",
    "systems",
    "time_steps",
]
