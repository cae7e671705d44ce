"""Floor 5: running systems."""

from statespace.simulation.filtering import filter, steady_state
from statespace.simulation.response import Response
from statespace.simulation.run import simulate
from statespace.simulation.standard import impulse_response, step_response
from statespace.simulation.zero_phase import filtfilt

__all__ = ["Response", "filter", "filtfilt", "impulse_response", "simulate", "steady_state", "step_response"]
