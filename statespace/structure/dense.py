"""A state matrix of which nothing is known but its entries, and perhaps its eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statespace.arrays import Array, FrozenArrays, as_coefficients, frozen
from statespace.structure.matrices import balanced, identity_like, solve


@dataclass(frozen=True, eq=False, repr=False)
class Dense(FrozenArrays):
    """A dense state matrix.

    Parameters
    ----------
    matrix : array_like, (..., n, n)
        The entries; batch axes lead.
    poles : array_like, (..., n), optional
        The eigenvalues, where they are known better than they can be computed: a filter that was
        designed from its poles keeps them through discretization and through `series`.

    Raises
    ------
    ValueError
        The matrix is not square, not finite, or does not have as many rows as there are poles.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.Dense([[0.0, 1.0], [-2.0, -3.0]]).poles
    array([-1.+0.j, -2.+0.j])
    """

    matrix: Any
    known_poles: Any = None

    def __init__(self, matrix: Any, poles: Any = None) -> None:
        entries = as_coefficients(matrix, "A")
        if entries.ndim < 2 or entries.shape[-1] != entries.shape[-2]:
            raise ValueError(f"A must be square, (..., n, n), got A.shape={entries.shape}")
        if poles is not None:
            poles = as_coefficients(poles, "poles")
            if poles.shape[-1:] != entries.shape[-1:]:
                raise ValueError(f"poles must hold the n={entries.shape[-1]} eigenvalues of A, got {poles.shape=}")
        object.__setattr__(self, "matrix", frozen(entries))
        object.__setattr__(self, "known_poles", None if poles is None else frozen(poles))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes."""
        return self.matrix.shape[:-2]

    @property
    def n_states(self) -> int:
        """Number of poles."""
        return self.matrix.shape[-1]

    @property
    def state_size(self) -> int:
        """Numbers that a state vector holds."""
        return self.matrix.shape[-1]

    @property
    def is_complex(self) -> bool:
        """Whether a real signal can give a complex one."""
        return self.matrix.dtype.kind == "c"

    @cached_property
    def poles(self) -> Array:
        """Eigenvalues, (..., n): those that were given, or computed once."""
        if self.known_poles is not None:
            return self.known_poles
        return frozen(np.linalg.eigvals(balanced(self.matrix)[0]).astype(complex))

    def resolvent(self, s: Array, b: Array) -> Array:
        """(s − A)⁻¹ b for s of shape (...) and b of shape (..., n, m)."""
        return solve(s[..., None, None] * identity_like(self.matrix) - self.matrix, b.astype(np.result_type(b, s)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.matrix, dtype=dtype)

    def __repr__(self) -> str:
        known = "" if self.known_poles is None else f", poles={self.known_poles.tolist()}"
        return f"Dense({self.matrix.tolist()}{known})"
