"""Floor 1: the numba loops. Bare kernels over validated arrays, the equation above each.

Every kernel runs ``rows``: the batch of systems and signals, flattened. ``which[r]`` is the system of row r,
so that one system serves a million channels without being copied.
"""

from statespace.cpu.cascade import cascade_lanes, cascade_steps
from statespace.cpu.delay import delay_steps
from statespace.cpu.dense import complex_dense_steps, dense_lanes, dense_steps, tiled
from statespace.cpu.diagonal import affine_steps, diagonal_lanes, diagonal_steps, pair_lanes, pair_steps
from statespace.cpu.irregular import indexed_steps, varied_steps
from statespace.cpu.lanes import carry, reach_lanes
from statespace.cpu.low_rank import low_rank_steps
from statespace.cpu.powers import powers
from statespace.cpu.threads import share, thread_count

__all__ = [
    "affine_steps",
    "carry",
    "cascade_lanes",
    "cascade_steps",
    "complex_dense_steps",
    "delay_steps",
    "dense_lanes",
    "dense_steps",
    "diagonal_lanes",
    "diagonal_steps",
    "indexed_steps",
    "low_rank_steps",
    "pair_lanes",
    "pair_steps",
    "powers",
    "reach_lanes",
    "share",
    "thread_count",
    "tiled",
    "varied_steps",
]
