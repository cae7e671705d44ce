"""Short runs that see what is wrong with a kernel: what mutants.py holds each of them against.

Each is called with CuPy, and raises an AssertionError, or the RuntimeError of a kernel that cannot run.
"""

import numpy as np
import test_lti_kernels as linear_kernels
from test_selective_device import answers, case_of, close, pulled

import statespace.gpu.selective as engine

OF = {
    "selective.cu": "scans",
    "selective_adjoint.cu": "pullbacks",
    "adjoint_ends.cu": "pullbacks_in_blocks",
    "block_starts.cu": "scans",
    "dense.cu": "dense",
    "diagonal.cu": "diagonal",
    "cascade.cu": "cascade",
    "affine.cu": "affine",
}
CASE = {"length": 70, "d": 37, "n": 5}


def scans(cupy):
    """Everything at once, over three tiles and two blocks of channels; groups; blocks of time."""
    got, wanted = answers(cupy, case_of(**CASE))
    close(got, wanted, 32, np.float32)
    got, wanted = answers(cupy, case_of(40, 6, groups=2))
    close(got, wanted, 32, np.float32)
    _in_blocks(lambda: _scan_in_blocks(cupy))


def _scan_in_blocks(cupy):
    got, wanted = answers(cupy, slow(case_of(1100, 3, 5, batch=(), method="zoh")))
    close(got, wanted, 300, np.float32)


def slow(case):
    """Poles that remember a whole block of time, and one reset."""
    case["A"] = case["A"] / 1000
    case["reset"] = np.arange(1100) == 400
    return case


def _in_blocks(check):
    """As on a card of four multiprocessors, where time is cut."""
    before, engine.multiprocessors = engine.multiprocessors, lambda: 4
    try:
        check()
    finally:
        engine.multiprocessors = before


def pullbacks(cupy):
    got, wanted = pulled(cupy, case_of(**CASE))
    close(got, wanted, 100, np.float32)
    got, wanted = pulled(cupy, case_of(**CASE, constant=True))
    close(got, wanted, 100, np.float32)
    pullbacks_in_blocks(cupy)


def pullbacks_in_blocks(cupy):
    _in_blocks(lambda: _pull_in_blocks(cupy))


def _pull_in_blocks(cupy):
    got, wanted = pulled(cupy, slow(case_of(1100, 3, 5, batch=())))
    close(got, wanted, 1000, np.float32)


def held(cupy):
    """A rule with two taps, forward and backward."""
    got, wanted = pulled(cupy, case_of(**CASE, method="foh"))
    close(got, wanted, 100, np.float32)


def zoh(cupy):
    got, wanted = answers(cupy, case_of(method="zoh"))
    close(got, wanted, 32, np.float32)


def rational(cupy):
    """Weights that are not a half."""
    from statespace import GeneralizedBilinear

    got, wanted = answers(cupy, case_of(method=GeneralizedBilinear(0.3)))
    close(got, wanted, 32, np.float32)


def dense(cupy):
    """Several rows in a block of threads, with more states than threads of a row, and what goes from block to block."""
    linear_kernels.test_dense_and_low_rank_steps(cupy, 9)
    linear_kernels.test_dense_and_low_rank_steps(cupy, 40)
    linear_kernels.test_carry(cupy, False)


def diagonal(cupy):
    linear_kernels.test_diagonal_and_pair_steps(cupy, 5)
    linear_kernels.test_blocks_of_time_leave_the_same(cupy)


def cascade(cupy):
    linear_kernels.test_cascade_and_delay_steps(cupy, False)


def affine(cupy):
    linear_kernels.test_affine_steps(cupy, np.float64)


def over_resets(cupy):
    """NaN in one block of time, a reset in the next but one."""
    _in_blocks(lambda: _over_resets(cupy))


def _over_resets(cupy):
    case = case_of(1100, 3, 5, batch=(), x0=False)
    case["reset"] = np.arange(1100) == 700
    case["u"][10] = np.nan
    got, wanted = answers(cupy, case)
    assert np.array_equal(np.isnan(got[0]), np.isnan(wanted[0]))
