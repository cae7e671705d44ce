"""Floor 5: running systems."""

from statespace.simulation.choice import Explanation
from statespace.simulation.explanation import explain
from statespace.simulation.filtering import filter, steady_state
from statespace.simulation.response import Response
from statespace.simulation.run import simulate
from statespace.simulation.settling import settling_samples
from statespace.simulation.standard import impulse_response, step_response
from statespace.simulation.streaming import Stream, warmup
from statespace.simulation.zero_phase import filtfilt

__all__ = [
    "Explanation",
    "Response",
    "Stream",
    "explain",
    "filter",
    "filtfilt",
    "impulse_response",
    "settling_samples",
    "simulate",
    "steady_state",
    "step_response",
    "warmup",
]
