"""SelectiveSystem: the parameters of an S6 layer, whose step, input and output are made of its signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, FrozenArrays, as_signal, library_of, refuse_foreign, refuse_nonfinite, shorten
from statespace.arrays import frozen as read_only
from statespace.discretization.names import Method, Rule
from statespace.scan import refuse_nonfinite_here, require_one_place
from statespace.selective.arguments import as_rule, check_flag, check_pairs

_CHOICES = ("delta", "B", "C")


@dataclass(frozen=True, eq=False)
class SelectiveSystem(FrozenArrays):
    """A selective state-space layer (S6): Δ, B and C of each sample are projections of the sample itself.

        Δ_k = log(1 + e^(W_up W_down u_k + bias))        B_k = W_B u_k        C_k = W_C u_k

    and `selective_scan` runs them. Each of the three is selective or constant: give ``B`` or ``B_projection``, ``C`` or
    ``C_projection``, and leave ``delta_up`` and ``delta_down`` out for a constant step. With none selective every
    channel is a linear time-invariant system, as in S4D.

    It lives on the host; for a signal on a GPU its parameters are uploaded at each call.

    Parameters
    ----------
    A : array_like, (d, n)
        Poles of every channel, real or complex.
    delta_bias : array_like, (d,)
        What the step is before its softplus, without projections.
    B, C : array_like, (n,), optional
        Constant input and output vectors.
    B_projection, C_projection : array_like, (n, d), optional
        W_B and W_C instead of them.
    delta_up, delta_down : array_like, (d, r) and (r, d), optional
        The projection of the step, of rank r.
    D : array_like, (d,), optional
        Feedthrough.
    pairs : bool
        A holds one of each conjugate pair, and y = 2·Re(C x) + D u.
    method : str or method object
        Of discretization, as for `selective_scan`.

    Attributes
    ----------
    n_channels, n_states, rank : int
        d, n and r, 0 for a constant step.
    selective : frozenset of str
        Which of "delta", "B" and "C" depend on the signal.

    Raises
    ------
    TypeError
        A parameter that must be real is complex, or no number.
    ValueError
        Shapes that do not fit, a parameter that is not finite, both or neither of a constant and its projection.

    References
    ----------
    A. Gu, T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, algorithm 2 and
    section 3.6.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> layer = ss.SelectiveSystem.initial(4, 8, seed=0)
    >>> layer.n_channels, layer.n_states, sorted(layer.selective)
    (4, 8, ['B', 'C', 'delta'])
    >>> ss.simulate(layer, np.ones((10, 4))).y.shape
    (10, 4)
    """

    A: Array
    delta_bias: Array
    B: Array | None = None
    C: Array | None = None
    B_projection: Array | None = None
    C_projection: Array | None = None
    delta_up: Array | None = None
    delta_down: Array | None = None
    D: Array | None = None
    pairs: bool = False
    method: Method | str = "mamba"

    __array_ufunc__ = None

    def __post_init__(self) -> None:
        a = _parameter(self.A, "A")
        if a.ndim != 2:
            raise ValueError(f"A must have shape (d, n), poles of every channel, got A.shape={a.shape}")
        d, n = a.shape
        check_flag(self.pairs, "pairs")
        for name in ("B", "C"):
            _check_one_of(getattr(self, name), getattr(self, f"{name}_projection"), name)
        if (self.delta_up is None) != (self.delta_down is None):
            raise ValueError("delta_up and delta_down come together; leave both out for a constant step")
        rank = 0 if self.delta_down is None else _parameter(self.delta_down, "delta_down", (None, d)).shape[0]
        shapes: dict[str, tuple[int | None, ...]] = {
            "A": (d, n), "delta_bias": (d,), "B": (n,), "C": (n,), "B_projection": (n, d), "C_projection": (n, d),
            "delta_up": (d, rank), "delta_down": (rank, d), "D": (d,),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, read_only(_parameter(value, name, shape)))
        if self.pairs:
            check_pairs(None, self.D)
        object.__setattr__(self, "method", as_rule(self.method))

    @classmethod
    def initial(
        cls,
        d: int,
        n: int = 16,
        *,
        rank: int | None = None,
        selective: tuple[str, ...] = _CHOICES,
        method: Method | str = "mamba",
        seed: int = 0,
    ) -> SelectiveSystem:
        """Draw the layer that training starts from, as the Mamba paper does.

        Poles −1 … −n in every channel (S4D-Real), D = 1, steps log-uniform in [1e-3, 1e-1], projections uniform within
        one over the root of their inputs; what is not selective is a constant 1, or those steps.
        """
        sizes = _sizes(d, n, rank)
        chosen = _choices(selective)
        rng = np.random.default_rng(seed)
        bias = initial_bias(rng, d)
        up, down = uniform(rng, (d, sizes)), uniform(rng, (sizes, d))
        of_b, of_c = uniform(rng, (n, d)), uniform(rng, (n, d))
        return cls(
            A=np.tile(-np.arange(1.0, n + 1), (d, 1)),
            delta_bias=bias,
            B=None if "B" in chosen else np.ones(n),
            C=None if "C" in chosen else np.ones(n),
            B_projection=of_b if "B" in chosen else None,
            C_projection=of_c if "C" in chosen else None,
            delta_up=up if "delta" in chosen else None,
            delta_down=down if "delta" in chosen else None,
            D=np.ones(d),
            method=method,
        )

    @property
    def n_channels(self) -> int:
        """Channels d."""
        return int(self.A.shape[0])

    @property
    def n_states(self) -> int:
        """States n of each channel."""
        return int(self.A.shape[1])

    @property
    def rank(self) -> int:
        """Of the projection of Δ; 0 for a constant step."""
        return 0 if self.delta_down is None else int(self.delta_down.shape[0])

    @property
    def selective(self) -> frozenset[str]:
        """Which of "delta", "B" and "C" depend on the signal."""
        parts = {"delta": self.delta_down, "B": self.B_projection, "C": self.C_projection}
        return frozenset(name for name, value in parts.items() if value is not None)

    @property
    def time_unit(self) -> str:
        """Its signals are counted in samples, its steps are its own."""
        return "sample"

    @property
    def rule(self) -> Rule:
        """The method object."""
        return as_rule(self.method)

    def __repr__(self) -> str:
        chosen = ", ".join(name for name in _CHOICES if name in self.selective) or "nothing"
        return f"<SelectiveSystem of {self.n_channels} channels, {self.n_states} states each, selective in {chosen}>"


def _parameter(value: Any, name: str, shape: tuple[int | None, ...] | None = None) -> Array:
    refuse_foreign(value, name)
    array = as_signal(value, name)
    if array.dtype.kind == "c" and name.startswith("delta"):
        raise TypeError(f"{name} must be real, got dtype {array.dtype}")
    refuse_nonfinite(array, name)
    fits = shape is None or (
        array.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("r" if size is None else str(size) for size in shape or ())
        comma = "," if len(shape or ()) == 1 else ""
        raise ValueError(f"{name} must have shape ({wanted}{comma}), got {name}.shape={array.shape}")
    return array


def _check_one_of(constant: Any, projection: Any, name: str) -> None:
    if (constant is None) == (projection is None):
        got = "neither" if constant is None else "both"
        raise ValueError(f"give {name}, a constant, or {name}_projection, which makes it of the signal; got {got}")


def _sizes(d: Any, n: Any, rank: Any) -> int:
    """The rank, checked with the sizes; a sixteenth of the channels when omitted."""
    rank = -(-d // 16) if rank is None and isinstance(d, (int, np.integer)) else rank
    return [as_size(value, name) for name, value in (("d", d), ("n", n), ("rank", rank))][-1]


def as_size(value: Any, name: str, least: int = 1) -> int:
    """A whole number, not too small."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, got {shorten(value)}")
    return int(value)


def _choices(selective: Any) -> frozenset[str]:
    if not isinstance(selective, (tuple, list)) or any(name not in _CHOICES for name in selective):
        raise ValueError(f"selective must be a tuple of some of {_CHOICES}, got {shorten(selective)}")
    return frozenset(selective)


def uniform(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """A projection (outputs, inputs), uniform within one over the root of its inputs."""
    bound = shape[1] ** -0.5
    return rng.uniform(-bound, bound, shape)


def initial_bias(rng: np.random.Generator, d: int) -> Array:
    """What the softplus makes steps of that are log-uniform in [1e-3, 1e-1]."""
    steps = np.maximum(np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), d)), 1e-4)
    return steps + np.log(-np.expm1(-steps))


# --------------------------------------------------------------- what it makes of a signal


class Driven(NamedTuple):
    """What a scan takes of a layer at a signal: delta before its bias and softplus."""

    delta: Array  # (..., L, d)
    B: Array  # (..., L or 1, n)
    C: Array  # (..., L or 1, n)


def as_layer_input(system: SelectiveSystem, u: Any) -> Array:
    """A real signal (..., L, d)."""
    require_one_place(u, "u", {})
    signal = as_signal(u, "u", half=True)
    if signal.dtype.kind == "c":
        raise TypeError(f"a SelectiveSystem makes its steps of u, which must be real, got dtype {signal.dtype}")
    if system.delta_down is not None:
        refuse_nonfinite_here(signal, "u")
    d = system.n_channels
    if signal.ndim < 2 or signal.shape[-1] != d:
        turned = signal.ndim >= 2 and signal.shape[-2] == d
        hint = "; here time is axis −2: write numpy.swapaxes(u, -1, -2)" if turned else ""
        raise ValueError(f"u must have shape (..., L, {d}), as the system has {d} channels, got {signal.shape}{hint}")
    return signal


def driven(system: SelectiveSystem, u: Array) -> Driven:
    """Δ before its softplus, B and C, in the precision of u, float32 at least; all where u lives."""
    xp, kind = library_of(u), np.result_type(u.dtype, np.float32)
    u = u.astype(kind, copy=False)
    if system.delta_down is None or system.delta_up is None:
        delta = xp.broadcast_to(xp.zeros(1, kind), u.shape)
    else:
        delta = (u @ xp.asarray(system.delta_down.T.astype(kind))) @ xp.asarray(system.delta_up.T.astype(kind))
    return Driven(delta, _level(system.B, system.B_projection, u), _level(system.C, system.C_projection, u))


def _level(constant: Array | None, projection: Array | None, u: Array) -> Array:
    xp = library_of(u)
    if projection is None:
        return xp.asarray(constant)[None, :]
    wide = np.result_type(u.dtype, np.complex64) if projection.dtype.kind == "c" else u.dtype
    return u @ xp.asarray(projection.T.astype(wide))


def arguments_of(system: SelectiveSystem, u: Array, given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(delta, A, B, C, D) and the options that a scan of the system takes; what else is given must be at rest."""
    rest: dict[str, Any] = {"pairs": False, "delta_softplus": False, "method": "mamba"}
    twice = [
        name
        for name, value in given.items()
        if value is not None and not (isinstance(value, (bool, str)) and value == rest.get(name))
    ]
    if twice:
        raise TypeError(
            f"a SelectiveSystem brings everything but u, z, x0 (or the state) and reset; leave out {', '.join(twice)}"
        )
    delta, b, c = driven(system, u)
    here = library_of(u).asarray
    direct = None if system.D is None else here(system.D)
    options = {"delta_bias": here(system.delta_bias), "delta_softplus": True, "method": system.method}
    return (delta, here(system.A), b, c, direct), {"groups": None, "pairs": system.pairs, **options}
