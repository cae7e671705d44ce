"""A diagonal state matrix: modes that do not talk to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.arrays import Array, FrozenArrays, as_coefficients, frozen, shorten


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(FrozenArrays):
    """A diagonal state matrix, or one half of a conjugate-symmetric one.

    Parameters
    ----------
    poles : array_like, (..., n)
        The diagonal. With ``pairs=True``, one pole of each conjugate pair.
    pairs : bool
        The state holds one of each pair, and an output is 2·Re(C x) + D u. It stands for the real
        system whose dense matrix, ``np.asarray``, has a block [[Re λ, −Im λ], [Im λ, Re λ]] for each
        stored pole, so it has 2n states and a state vector of n complex numbers.

    Raises
    ------
    ValueError
        The poles are not finite, or a scalar was given.

    References
    ----------
    A. Gu, A. Gupta, K. Goel, C. Ré, "On the Parameterization and Initialization of Diagonal State
    Space Models", NeurIPS 2022, section 3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> np.asarray(ss.Diagonal([-0.5 + 2j], pairs=True))
    array([[-0.5, -2. ],
           [ 2. , -0.5]])
    """

    diagonal: Any
    pairs: bool = False

    def __init__(self, poles: Any, pairs: bool = False) -> None:
        entries = as_coefficients(poles, "poles")
        if entries.ndim < 1:
            raise ValueError(f"poles must have an axis of states, (..., n), got {entries}; write [{entries}]")
        if not isinstance(pairs, (bool, np.bool_)):
            raise TypeError(f"pairs must be True or False, got {shorten(pairs)}")
        object.__setattr__(self, "diagonal", frozen(entries.astype(complex) if pairs else entries))
        object.__setattr__(self, "pairs", bool(pairs))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes."""
        return self.diagonal.shape[:-1]

    @property
    def n_states(self) -> int:
        """Number of poles, the conjugates counted."""
        return self.diagonal.shape[-1] * (2 if self.pairs else 1)

    @property
    def state_size(self) -> int:
        """Numbers that a state vector holds: one for each stored pole."""
        return self.diagonal.shape[-1]

    @property
    def is_complex(self) -> bool:
        """Whether a real signal can give a complex one."""
        return self.diagonal.dtype.kind == "c" and not self.pairs

    @property
    def poles(self) -> Array:
        """All poles, (..., n_states), the conjugates last."""
        stored = self.diagonal.astype(complex)
        return np.concatenate([stored, stored.conj()], axis=-1) if self.pairs else stored

    def resolvent(self, s: Array, b: Array) -> Array:
        """(s − λ)⁻¹ b of the stored modes; a mode that b does not reach stays at 0, even at its pole."""
        b = np.asarray(b)
        with np.errstate(divide="ignore", invalid="ignore"):
            x = b / (s[..., None] - self.diagonal)[..., None]
        return np.where(b == 0, 0.0, x)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if not self.pairs:
            return np.array(self.diagonal[..., None] * np.eye(self.state_size), dtype=dtype)
        blocks = real_blocks(self.diagonal)
        n = self.state_size
        matrix = np.zeros((*self.batch_shape, n, 2, n, 2))
        matrix[..., range(n), :, range(n), :] = np.moveaxis(blocks, -3, 0)
        return np.array(matrix.reshape(*self.batch_shape, 2 * n, 2 * n), dtype=dtype)

    def __repr__(self) -> str:
        return f"Diagonal({self.diagonal.tolist()}{', pairs=True' if self.pairs else ''})"


def real_blocks(poles: Array) -> Array:
    """[[Re λ, −Im λ], [Im λ, Re λ]] for each pole, (..., n, 2, 2): multiplication by λ on (Re x, Im x)."""
    re, im = poles.real, poles.imag
    return np.stack([np.stack([re, -im], -1), np.stack([im, re], -1)], -2)
