"""Mamba2Block: the block of Mamba-2, alone or in a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statespace.arrays import Array, shorten
from statespace.mamba.block import Block, BlockState
from statespace.mamba.layers import convolved, convolved_step, gated, linear, normalized, taps_of
from statespace.mamba.weights import as_epsilon, as_kind, as_poles, as_real, is_number
from statespace.selective import ssd
from statespace.selective.arguments import check_flag
from statespace.selective.system import as_size, initial_bias, uniform


@dataclass(frozen=True, eq=False, repr=False)
class Mamba2Block(Block):
    """The block of Mamba-2: one projection for everything, a short convolution, heads of one decay, a gated norm.

        z, xBC, Δ = W_in u        x, B, C ← silu(conv(xBC))        Δ ← clip(softplus(Δ + b_Δ), dt_limit)
        y = norm(ssd(x, Δ, A, B, C, D)·silu(z))        output W_out y

    with silu(z) = z/(1 + e^−z). Call it with a signal, `block(u)`, (..., L, d_model), from a state to a state if wanted
    and in pieces of any length, or sample by sample with `block.step`. Names are those of checkpoints.

    Parameters
    ----------
    in_proj : array_like, (2d + 2gn + h, d_model)
        Rows of z (d), x (d), B (gn), C (gn) and Δ (h).
    conv1d : array_like, (d + 2gn, k)
        Taps of each channel of x, B and C, the last one of the sample itself.
    dt_bias, A_log : array_like, (h,)
        A = −e^A_log, one per head of d/h channels.
    D : array_like, (h,) or (h, d/h)
    out_proj : array_like, (d_model, d)
    norm : array_like, (d,), optional
        Weights of the gated norm; without them there is the gate only.
    in_bias, conv_bias, out_bias : array_like, optional
        Of in_proj, conv1d and out_proj.
    n_groups : int
        g, groups of heads that share B and C.
    dt_limit : (float, float)
        Smallest and largest step.
    epsilon : float
        Of the norm.
    norm_groups : int, optional
        Groups of channels that are normalized each by itself: as many as B and C have, unless given; 1 is what
        transformers did before version 5.
    norm_before_gate : bool
        Normalize first, and then gate.

    Attributes
    ----------
    d_model, d_inner, d_state, d_conv, n_heads : int
        d_model, d, n, k and h.
    n_parameters : int
        How many numbers the weights are.

    Raises
    ------
    TypeError
        Weights that are not real numbers.
    ValueError
        Shapes or groups that do not fit, weights that are not finite, limits that are none.

    References
    ----------
    T. Dao, A. Gu, "Transformers are SSMs", ICML 2024, section 7.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> block = ss.mamba.Mamba2Block.initial(8, d_state=16, head_dim=4, seed=0)
    >>> u = np.random.default_rng(0).standard_normal((100, 8))
    >>> y, state = block(u, return_state=True)
    >>> y.shape, state.ssm.shape
    ((100, 8), (4, 4, 16))
    """

    in_proj: Array
    conv1d: Array
    dt_bias: Array
    A_log: Array
    D: Array
    out_proj: Array
    norm: Array | None = None
    in_bias: Array | None = None
    conv_bias: Array | None = None
    out_bias: Array | None = None
    n_groups: int = 1
    dt_limit: tuple[float, float] = (0.0, float("inf"))
    epsilon: float = 1e-5
    norm_groups: int | None = None
    norm_before_gate: bool = False

    def __post_init__(self) -> None:
        self.keep("out_proj", (None, None))
        self.keep("A_log", (None,))
        d_model, d = self.out_proj.shape
        h, g = len(self.A_log), as_size(self.n_groups, "n_groups")
        self._check_groups(d, h, g)
        self.keep("in_proj", (None, d_model))
        n, rest = divmod(len(self.in_proj) - 2 * d - h, 2 * g)
        if rest or n < 1:
            raise ValueError(
                f"in_proj must have 2d + 2gn + h rows, with d={d}, g={g} and h={h}, got {len(self.in_proj)}, which is "
                "that for no n"
            )
        width = d + 2 * g * n
        shapes: dict[str, tuple[int | None, ...]] = {
            "conv1d": (width, None), "dt_bias": (h,), "norm": (d,), "in_bias": (2 * d + 2 * g * n + h,),
            "conv_bias": (width,), "out_bias": (d_model,), "D": (h, d // h) if as_real(self.D, "D").ndim == 2 else (h,),
        }  # fmt: skip
        for name, shape in shapes.items():
            self.keep(name, shape, optional=name in ("norm", "in_bias", "conv_bias", "out_bias"))
        as_poles(self.A_log)
        object.__setattr__(self, "epsilon", as_epsilon(self.epsilon))
        object.__setattr__(self, "dt_limit", _as_limits(self.dt_limit))

    def _check_groups(self, d: int, h: int, g: int) -> None:
        parts = g if self.norm_groups is None else as_size(self.norm_groups, "norm_groups")
        if d % h or h % g or d % parts:
            raise ValueError(
                "heads must divide the channels, groups the heads, and norm_groups the channels, got "
                f"d={d} channels, h={h} heads, n_groups={g} and norm_groups={parts}"
            )
        object.__setattr__(self, "norm_groups", parts)
        check_flag(self.norm_before_gate, "norm_before_gate")
        object.__setattr__(self, "n_groups", g)

    @classmethod
    def initial(
        cls, d_model: int, *, d_state: int = 128, d_conv: int = 4, expand: int = 2, head_dim: int = 64,
        n_groups: int = 1, seed: int = 0, dtype: Any = "float32",
    ) -> Mamba2Block:  # fmt: skip
        """Draw the block that training starts from.

        A uniform in [−16, −1], D = 1, steps log-uniform in [1e-3, 1e-1]; projections uniform within one over the root
        of their inputs, as PyTorch draws them.
        """
        m, n, k = as_size(d_model, "d_model"), as_size(d_state, "d_state"), as_size(d_conv, "d_conv")
        d, g = as_size(expand, "expand") * m, as_size(n_groups, "n_groups")
        h, rest = divmod(d, as_size(head_dim, "head_dim"))
        if rest or not h:
            raise ValueError(f"head_dim must divide expand·d_model = {d}, got head_dim={head_dim}")
        rng = np.random.default_rng(seed)
        drawn: dict[str, Any] = {
            "in_proj": uniform(rng, (2 * d + 2 * g * n + h, m)), "conv1d": uniform(rng, (d + 2 * g * n, k)),
            "dt_bias": initial_bias(rng, h), "A_log": np.log(rng.uniform(1, 16, h)), "D": np.ones(h),
            "out_proj": uniform(rng, (m, d)), "norm": np.ones(d), "conv_bias": uniform(rng, (d + 2 * g * n, k))[:, 0],
        }  # fmt: skip
        return cls(**{name: value.astype(as_kind(dtype)) for name, value in drawn.items()}, n_groups=g)

    @property
    def n_heads(self) -> int:
        """Heads, each with one decay."""
        return len(self.A_log)

    @property
    def d_state(self) -> int:
        """States of each channel."""
        return (len(self.conv1d) - self.d_inner) // (2 * self.n_groups)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of conv and ssm without batch axes."""
        h = self.n_heads
        return (self.d_conv - 1, len(self.conv1d)), (h, self.d_inner // h, self.d_state)

    @cached_property
    def A(self) -> Array:
        """The pole of every head, −e^A_log."""
        return as_poles(self.A_log)

    def run(self, u: Array, state: BlockState) -> tuple[Array, BlockState]:
        """Checked rows, (rows, L, d_model), from a state of as many rows."""
        rows, x, delta, b, c, conv = self._projected(u, state.conv, convolved)
        y, ssm = ssd(x, delta, self.A, b, c, self.D, x0=state.ssm, return_state=True)
        return self._joined(y, rows), BlockState(conv, ssm.astype(u.dtype, copy=False))

    def advance(self, u: Array, state: BlockState) -> tuple[Array, BlockState]:
        """One sample of checked rows, (rows, d_model)."""
        rows, x, delta, b, c, conv = self._projected(u, state.conv, convolved_step)
        # S ← e^{ΔA} S + Δ x Bᵀ        y = S C + D x, with an axis of groups, then of the heads of a group
        h, p, n = self.state_shapes[1]
        split = (len(u), self.n_groups, h // self.n_groups)
        alpha = np.exp(delta * self.A.astype(u.dtype, copy=False)).reshape(*split, 1, 1)
        ssm = state.ssm.reshape(*split, p, n) * alpha
        ssm += (delta[..., None] * x).reshape(*split, p, 1) * b[:, :, None, None]
        y = (ssm @ c[:, :, None, :, None]).reshape(x.shape)
        y += self.D.astype(u.dtype, copy=False).reshape(h, -1) * x
        return self._joined(y, rows), BlockState(conv, ssm.reshape(len(u), h, p, n))

    def _projected(self, u: Array, before: Array, convolve: Any) -> tuple[Array, Array, Array, Array, Array, Array]:
        """What in_proj made of u, x by heads, Δ, B and C by groups, and the last inputs."""
        d, g, (h, p, n) = self.d_inner, self.n_groups, self.state_shapes[1]
        rows = linear(u, self.in_proj, self.in_bias)
        xbc, conv = convolve(rows, d, *(w.astype(u.dtype, copy=False) for w in self._taps), before)
        delta = np.logaddexp(0, rows[..., -h:] + self.dt_bias)
        with np.errstate(over="ignore"):  # a limit beyond float32 is none
            low, high = np.asarray(self.dt_limit, delta.dtype)
        delta = delta.clip(low, high)
        b, c = (xbc[..., d + i * g * n : d + (i + 1) * g * n].reshape(*u.shape[:-1], g, n) for i in (0, 1))
        return rows, xbc[..., :d].reshape(*u.shape[:-1], h, p), delta.astype(u.dtype, copy=False), b, c, conv

    def _joined(self, y: Array, rows: Array) -> Array:
        """Heads side by side, gated and normalized, and projected down; z are the first columns of rows."""
        y = y.reshape(*rows.shape[:-1], self.d_inner)
        if self.norm is None:
            y = gated(y, rows, 0)
        elif self.norm_before_gate:
            y = gated(normalized(y, self.norm, self.epsilon, self.norm_groups or 1), rows, 0)
        else:
            y = normalized(gated(y, rows, 0), self.norm, self.epsilon, self.norm_groups or 1)
        return linear(y, self.out_proj, self.out_bias)

    @cached_property
    def _taps(self) -> tuple[Array, Array]:
        return taps_of(self.conv1d, self.conv_bias)


def _as_limits(value: Any) -> tuple[float, float]:
    pair = list(value) if isinstance(value, (tuple, list)) else []
    if len(pair) != 2 or not all(map(is_number, pair)) or not 0 <= pair[0] <= pair[1] or pair[0] == float("inf"):
        raise ValueError(f"dt_limit must be (smallest, largest) step, 0 or more, got {shorten(value)}")
    return float(pair[0]), float(pair[1])
