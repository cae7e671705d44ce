"""Floor 0: the numbers by which compiled loops, on the CPU and on a GPU, know the methods of discretization."""

IMPULSE, S4_ZOH, ZOH, FOH, EXP_TRAPEZOIDAL, GBT, S4_BILINEAR = range(7)
