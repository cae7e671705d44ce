"""A diagonal state matrix plus a low-rank term: what HiPPO matrices become in their best basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.arrays import Array, FrozenArrays, as_coefficients, frozen
from statespace.structure.matrices import balanced, identity_like, solve

# Woodbury's two terms may be so much larger than their difference before a dense solution takes over. Of LegS with 64
# states the ratio is below 3 at most frequencies, with an error of 2e-15, and 1700 beside its fastest mode, with 9e-14;
# below 100 the error is 1e-14.
_CANCELS = 100.0


@dataclass(frozen=True, eq=False, repr=False)
class DiagonalPlusLowRank(FrozenArrays):
    """A = diag − P Qᴴ: n modes that talk to each other through r channels.

    A step of its recurrence, a solution and a value of the transfer matrix take O(n r) products, and Möbius maps of A
    (bilinear, Euler, GeneralizedBilinear) have the same form. All n modes are held: a real system in a complex basis
    is a complex system here.

    Parameters
    ----------
    diag : array_like, (..., n)
        The diagonal; its entries are not the poles.
    P, Q : array_like, (..., n, r)
        Two factors of the term of rank r, Q to be conjugated and transposed; batch axes of all three broadcast.
    poles : array_like, (..., n), optional
        The eigenvalues of A, where they are known better than they can be computed: those of LegS are −1 … −n, of
        which for n = 64 the matrix knows none.

    Raises
    ------
    ValueError
        A shape does not fit the others, or an entry is not finite.

    References
    ----------
    A. Gu, K. Goel, C. Ré, "Efficiently Modeling Long Sequences with Structured State Spaces", ICLR 2022, section 3.3
    and appendix C.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> structure = ss.DiagonalPlusLowRank([-1.0, -2.0], [[1.0], [2.0]], [[3.0], [1.0]])
    >>> np.asarray(structure)
    array([[-4., -1.],
           [-6., -4.]])
    """

    diagonal: Any
    P: Any
    Q: Any
    known_poles: Any = None

    def __init__(self, diag: Any, P: Any, Q: Any, poles: Any = None) -> None:
        entries, p, q = (as_coefficients(v, name) for v, name in ((diag, "diag"), (P, "P"), (Q, "Q")))
        n = entries.shape[-1:]
        if not (entries.ndim and p.ndim > 1 and q.ndim > 1 and p.shape[-2:-1] == n and p.shape[-2:] == q.shape[-2:]):
            raise ValueError(
                "a DiagonalPlusLowRank needs diag of shape (..., n) and P and Q of shape (..., n, r), "
                f"got {entries.shape}, {p.shape} and {q.shape}; a vector p is P = p[:, None]"
            )
        known = None if poles is None else as_coefficients(poles, "poles")
        if known is not None and known.shape[-1:] != n:
            raise ValueError(f"poles must hold the n={n[0]} eigenvalues of A, got poles.shape={known.shape}")
        leading = [entries.shape[:-1], p.shape[:-2], q.shape[:-2], () if known is None else known.shape[:-1]]
        try:
            np.broadcast_shapes(*leading)
        except ValueError:
            raise ValueError(
                f"the batch axes of diag, P, Q and poles do not broadcast, got {', '.join(map(str, leading))}"
            ) from None
        for name, value in (("diagonal", entries), ("P", p), ("Q", q)):
            object.__setattr__(self, name, frozen(value))
        object.__setattr__(self, "known_poles", None if known is None else frozen(known))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes that all parts broadcast to."""
        known = () if self.known_poles is None else self.known_poles.shape[:-1]
        return np.broadcast_shapes(self.diagonal.shape[:-1], self.P.shape[:-2], self.Q.shape[:-2], known)

    @property
    def n_states(self) -> int:
        """Number of poles."""
        return self.diagonal.shape[-1]

    @property
    def state_size(self) -> int:
        """Numbers that a state vector holds."""
        return self.diagonal.shape[-1]

    @property
    def rank(self) -> int:
        """Number of columns r of P and Q."""
        return self.P.shape[-1]

    @property
    def is_complex(self) -> bool:
        """Whether a real signal can give a complex one."""
        return any(m.dtype.kind == "c" for m in (self.diagonal, self.P, self.Q))

    @property
    def poles(self) -> Array:
        """Eigenvalues, (..., n): those that were given, or computed from the dense matrix."""
        if self.known_poles is not None:
            return np.broadcast_to(self.known_poles, (*self.batch_shape, self.n_states))
        return np.linalg.eigvals(balanced(np.asarray(self))[0]).astype(complex)

    def product(self, x: Array) -> Array:
        """Return A x for x of shape (..., n, m), in O(n r m)."""
        return self.diagonal[..., None] * x - self.P @ (adjoint(self.Q) @ x)

    def resolvent(self, s: Array, b: Array) -> Array:
        """(s − A)⁻¹ b for s of shape (...) and b of shape (..., n, m), by Woodbury's formula.

            x = R b − R P (I + Qᴴ R P)⁻¹ Qᴴ R b        R = (s − diag)⁻¹

        Where s comes so near an entry of diag that the two terms cancel it is solved densely.
        """
        b = b.astype(np.result_type(b, s, self.diagonal, self.P, self.Q))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            r = 1.0 / (s[..., None] - self.diagonal)[..., None]
            free = r * b
            inner = np.eye(self.rank) + adjoint(self.Q) @ (r * self.P)
            seen = np.broadcast_to(np.isfinite(inner).all(axis=(-2, -1))[..., None, None], inner.shape)
            x = free - r * (self.P @ np.linalg.solve(np.where(seen, inner, np.eye(self.rank)), adjoint(self.Q) @ free))
            cancels = ~(np.abs(free).max(axis=(-2, -1), initial=0.0) <= _CANCELS * np.abs(x).max((-2, -1), initial=0.0))
        return self._densely(s, b, x, cancels) if cancels.any() else x

    def _densely(self, s: Array, b: Array, x: Array, where: Array) -> Array:
        """Replace x by the solution of the dense system where it is asked for."""
        batch = x.shape[:-2]
        where = np.broadcast_to(where, batch)
        a = np.broadcast_to(np.asarray(self), (*batch, *(self.n_states,) * 2))[where]
        right = np.broadcast_to(b, x.shape)[where]
        x = np.array(x)
        x[where] = solve(np.broadcast_to(s, batch)[where][:, None, None] * identity_like(a) - a, right)
        return x

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        diagonal = self.diagonal[..., None] * np.eye(self.n_states)
        return np.array(diagonal - self.P @ adjoint(self.Q), dtype=dtype)

    def __repr__(self) -> str:
        known = "" if self.known_poles is None else f", poles={self.known_poles.tolist()}"
        return f"DiagonalPlusLowRank({self.diagonal.tolist()}, {self.P.tolist()}, {self.Q.tolist()}{known})"


def adjoint(m: Array) -> Array:
    """Conjugate transpose of every matrix in a batch."""
    return m.conj().swapaxes(-1, -2)
