"""Floor 6: functions of ``scipy.signal`` under their own names and signatures, computed here.

``from statespace.scipy_signal import lsim, sosfilt`` in place of ``from scipy.signal import …``: the arguments, the
shapes of the answers and the coordinates of states are SciPy's, the numbers come from `simulate`, `filter`,
`filtfilt`, `discretize` and `frequency_response`. What the arguments mean is said in SciPy's own reference.
"""

from typing import NoReturn

from statespace.scipy_signal.filters import filtfilt, freqz_sos, lfilter, sosfilt, sosfiltfilt
from statespace.scipy_signal.responses import bode, cont2discrete, dlsim, freqresp, impulse, lsim, step

__all__ = [
    "bode",
    "cont2discrete",
    "dlsim",
    "filtfilt",
    "freqresp",
    "freqz_sos",
    "impulse",
    "lfilter",
    "lsim",
    "sosfilt",
    "sosfiltfilt",
    "step",
]


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(f"statespace.scipy_signal has no {name!r}; keep taking it from scipy.signal")
