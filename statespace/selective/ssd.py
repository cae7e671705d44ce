"""ssd: Mamba-2's recurrence by matrix products over chunks of time."""

from __future__ import annotations

from typing import Any, Literal, overload

from statespace.arrays import Array
from statespace.selective.chunk_runs import run_chunks
from statespace.selective.chunks import from_rows
from statespace.selective.ssd_arguments import read, recurrence, starting_rows


@overload
def ssd(
    x: Any, delta: Any, A: Any, B: Any, C: Any, D: Any = None, *,
    chunk: int = 64, x0: Any = None, reset: Any = None, return_state: Literal[False] = False,
) -> Array: ...  # fmt: skip
@overload
def ssd(
    x: Any, delta: Any, A: Any, B: Any, C: Any, D: Any = None, *,
    chunk: int = 64, x0: Any = None, reset: Any = None, return_state: bool,
) -> Array | tuple[Array, Array]: ...  # fmt: skip
def ssd(
    x: Any,
    delta: Any,
    A: Any,
    B: Any,
    C: Any,
    D: Any = None,
    *,
    chunk: int = 64,
    x0: Any = None,
    reset: Any = None,
    return_state: bool = False,
) -> Array | tuple[Array, Array]:
    """Run Mamba-2's recurrence, heads with a state of p×n numbers and one decay each, by matrix products over chunks.

    S_t = e^{Δ_t A} S_{t−1} + Δ_t x_t B_tᵀ, y_t = S_t C_t + D x_t. ("SSD": state space duality.)

    Parameters
    ----------
    x : array_like, (..., L, h, p)
        Time, heads, channels of a head. Batch axes of all arrays broadcast.
    delta : array_like, (..., L, h)
        Steps of time, 0 or more; after softplus. What may be ignored, such as padding, has step 0.
    A : array_like, (h,) or (..., L, h)
        Negative: what is remembered decays by e^{ΔA}. With a time axis it depends on the input, as in Mamba-3.
    B, C : array_like, (..., L or 1, g, n)
        Head k has those of group k // (h/g).
    D : array_like, (h,) or (h, p), optional
    chunk : int
        Samples that are done at once. The answer is the same to rounding; time and memory are not.
    x0 : array_like, (..., h, p, n), optional
        The state before the first sample, 0 unless given.
    reset : array_like of bool, (..., L), optional
        True where a sequence starts: its state before that sample is 0.
    return_state : bool
        Return (y, state).

    Returns
    -------
    y : ndarray, (..., L, h, p)
        Single precision for x in single precision, whatever the others are; an array of CuPy where x is one.
    state : ndarray, (..., h, p, n)
        Only with ``return_state``: after the last sample. Double, so that handing it on costs nothing: any split in
        time gives the answer of one call, to rounding.

    Raises
    ------
    TypeError
        An array is complex (`selective_scan` takes those), reset is not bool, or arrays do not all live in one place,
        on the host or on one GPU.
    ValueError
        Shapes do not fit, delta is negative, or delta or A is not finite.

    Warns
    -----
    RuntimeWarning
        A is positive: the state grows.

    Notes
    -----
    Inside a chunk y = M x with a lower triangular M_ij = Δ_j e^{ΔA over (j, i]} C_i·B_j; between chunks the state is
    carried. Exponents are summed over their own segment, never subtracted from each other, and in double as the state.
    What a sample left is gone when it has fallen to 1e-26 (double: 1e-282) of its size within a chunk.
    NaN goes forward in time only, and not over a reset: a chunk whose x or B is not finite runs sample by sample.

    On a GPU everything follows x: all arrays are CuPy's. Many chunks are done at once there. Nothing waits for the
    device: values are not checked, so that negative steps and positive A go through, and from a NaN or an infinity in
    x, B, delta or A on all is NaN that hears it, until a reset.

    References
    ----------
    T. Dao, A. Gu, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space
    Duality", ICML 2024, section 6.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> x = np.array([1.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1)  # an impulse, one head of one channel
    >>> delta, A, one = np.ones((4, 1)), [-np.log(2.0)], np.ones((1, 1, 1))  # halved at each step
    >>> ss.ssd(x, delta, A, one, one).ravel()
    array([1.   , 0.5  , 0.25 , 1.125])
    >>> y, state = ss.ssd(x[:2], delta[:2], A, one, one, return_state=True)
    >>> ss.ssd(x[2:], delta[2:], A, one, one, x0=state).ravel()
    array([0.25 , 1.125])
    """
    given = read(x, delta, A, B, C, D, chunk, x0, reset)
    r = recurrence(given)
    y, final = run_chunks(r, starting_rows(given, given.B.shape[-2]), given.chunk)
    return (y, from_rows(final, y.shape[-2])) if return_state else y
