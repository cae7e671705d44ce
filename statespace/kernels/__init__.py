"""Floor 3: from a system to its convolution kernel, along the dial of block lengths, and back.

h_0 = D, h_k = C A^{k−1} B        y = h ∗ u
"""

from statespace.kernels.convolution import convolve
from statespace.kernels.lifting import lift
from statespace.kernels.realization import Realization, realize
from statespace.kernels.samples import kernel

__all__ = ["Realization", "convolve", "kernel", "lift", "realize"]
