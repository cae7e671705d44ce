"""Coordinates of a state, well-conditioned ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from statespace.arrays import Array
from statespace.testing.strategies.arguments import check_count


def bases(n: int) -> st.SearchStrategy[tuple[Array, Array]]:
    """A change of coordinates x = T w and its inverse: rotations by multiples of 15°, then powers of two up to 4.

    The condition of T is at most 16, and its inverse is exact to rounding. The same system in other coordinates is
    (T A T⁻¹, T B, C T⁻¹, D): what no law may notice.

    Parameters
    ----------
    n : int
        Number of states.

    Returns
    -------
    SearchStrategy of (ndarray, ndarray), (n, n) each
        T and T⁻¹. Shrinks to the identity.

    Raises
    ------
    ValueError
        n is not a count.

    References
    ----------
    G. H. Golub, C. F. Van Loan, *Matrix Computations*, 4th ed., section 5.1.8 (Givens rotations).

    Examples
    --------
    >>> import hypothesis, statespace as ss
    >>> T, back = hypothesis.find(ss.testing.strategies.bases(2), lambda pair: pair[0][0, 1] != 0)
    >>> T.round(3)
    array([[ 0.966, -0.259],
           [ 0.259,  0.966]])
    """
    check_count(n, "n", 0)
    return _bases(int(n))


@st.composite
def _bases(draw: Any, n: int) -> tuple[Array, Array]:
    turn, planes = np.eye(n), [*range(n - 1), *range(n - 3, -1, -1)]  # down and up again: every entry is reached
    angles = draw(st.lists(st.integers(0, 11), min_size=len(planes), max_size=len(planes)))
    for k, angle in zip(planes, angles, strict=True):
        c, s = np.cos(np.pi * angle / 12), np.sin(np.pi * angle / 12)
        turn[[k, k + 1]] = np.array([[c, -s], [s, c]]) @ turn[[k, k + 1]]
    size = 2.0 ** np.array(draw(st.lists(st.integers(-2, 2), min_size=n, max_size=n)))
    return size[:, None] * turn, turn.T / size
