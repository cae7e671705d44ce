"""A delay line: the state matrix of an FIR filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.arrays import Array


@dataclass(frozen=True)
class DelayLine:
    """The last n inputs, newest first: x_{k+1} = (u_k, x_k[0], …, x_k[n−2]). Discrete only.

    `from_ba` makes it for a filter without poles; it costs n products a sample and not n².

    Parameters
    ----------
    length : int
        Number of delays n.

    Raises
    ------
    ValueError
        The length is not a positive integer.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> np.asarray(ss.DelayLine(3))
    array([[0., 0., 0.],
           [1., 0., 0.],
           [0., 1., 0.]])
    """

    length: int

    def __post_init__(self) -> None:
        if not isinstance(self.length, (int, np.integer)) or isinstance(self.length, bool) or self.length < 1:
            raise ValueError(f"length must be a positive integer, got {self.length!r}")

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """A delay line has no batch axes of its own."""
        return ()

    @property
    def n_states(self) -> int:
        """Number of delays."""
        return int(self.length)

    state_size = n_states

    @property
    def is_complex(self) -> bool:
        """A delay is real."""
        return False

    @property
    def poles(self) -> Array:
        """All at 0."""
        return np.zeros(self.length, complex)

    def resolvent(self, s: Array, b: Array) -> Array:
        """(s − A)⁻¹ b = (s⁻¹, s⁻², …) u for b = (u, 0, …)."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            powers = (1.0 / s)[..., None] ** np.arange(1, self.length + 1)
        return powers[..., None] * b[..., :1, :]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.eye(self.length, k=-1, dtype=dtype)
