"""Floor 6: pictures of results and systems. Every function returns its axes and never shows them.

Channels and batches are counted from 0, as they are indexed. Styling is given to each new axes alone: the
user's rcParams are neither read as ours nor changed, and axes that are handed in keep the look they have.
"""

from statespace.plot.comparisons import forms
from statespace.plot.frequencies import bode
from statespace.plot.kernels import kernel
from statespace.plot.matrices import sequence_matrix
from statespace.plot.realizations import singular_values
from statespace.plot.responses import response
from statespace.plot.roots import poles

__all__ = ["bode", "forms", "kernel", "poles", "response", "sequence_matrix", "singular_values"]


def __dir__() -> list[str]:
    return __all__
