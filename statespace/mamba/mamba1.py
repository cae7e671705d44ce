"""MambaBlock: the block of Mamba-1, alone or in a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.mamba.block import Block, BlockState
from statespace.mamba.layers import convolved, convolved_step, in_turn, linear, taps_of
from statespace.mamba.weights import as_kind, as_poles
from statespace.selective import selective_scan
from statespace.selective.system import as_size, initial_bias, uniform


@dataclass(frozen=True, eq=False, repr=False)
class MambaBlock(Block):
    """The block of Mamba-1: a projection up, a short convolution, a selective scan with a gate, a projection down.

        x, z = W_in u        x ← silu(conv(x))        r, B, C = W_x x        Δ = softplus(W_Δ r + b_Δ)
        y = selective_scan(x, Δ, A, B, C, D)·silu(z)        output W_out y

    with silu(z) = z/(1 + e^−z). Call it with a signal, `block(u)`, (..., L, d_model), from a state to a state if wanted
    and in pieces of any length, or sample by sample with `block.step`. Names are those of checkpoints.

    Parameters
    ----------
    in_proj : array_like, (2d, d_model)
        Rows of x, then those of z.
    conv1d : array_like, (d, k)
        Taps of each channel, the last one of the sample itself.
    x_proj : array_like, (r + 2n, d)
        Rows of the low-rank step, of B and of C.
    dt_proj : array_like, (d, r)
    dt_bias : array_like, (d,)
        The bias of dt_proj.
    A_log : array_like, (d, n)
        A = −e^A_log.
    D : array_like, (d,)
    out_proj : array_like, (d_model, d)
    in_bias, conv_bias, out_bias : array_like, (2d,), (d,) and (d_model,), optional

    Attributes
    ----------
    d_model, d_inner, d_state, d_conv, dt_rank : int
        d_model, d, n, k and r.
    n_parameters : int
        How many numbers the weights are.

    Raises
    ------
    TypeError
        Weights that are not real numbers.
    ValueError
        Shapes that do not fit, weights that are not finite.

    References
    ----------
    A. Gu, T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3.4 and
    algorithm 2.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> block = ss.mamba.MambaBlock.initial(4, seed=0)
    >>> u = np.random.default_rng(0).standard_normal((100, 4))
    >>> y = block(u)
    >>> head, state = block(u[:60], return_state=True)
    >>> bool(np.allclose(block(u[60:], state), y[60:], atol=1e-6))
    True
    """

    in_proj: Array
    conv1d: Array
    x_proj: Array
    dt_proj: Array
    dt_bias: Array
    A_log: Array
    D: Array
    out_proj: Array
    in_bias: Array | None = None
    conv_bias: Array | None = None
    out_bias: Array | None = None

    def __post_init__(self) -> None:
        self.keep("out_proj", (None, None))
        d_model, d = self.out_proj.shape
        self.keep("A_log", (d, None))
        self.keep("dt_proj", (d, None))
        n, r = self.A_log.shape[1], self.dt_proj.shape[1]
        shapes: dict[str, tuple[int | None, ...]] = {
            "in_proj": (2 * d, d_model), "conv1d": (d, None), "x_proj": (r + 2 * n, d), "dt_bias": (d,), "D": (d,),
            "in_bias": (2 * d,), "conv_bias": (d,), "out_bias": (d_model,),
        }  # fmt: skip
        for name, shape in shapes.items():
            self.keep(name, shape, optional=name in ("in_bias", "conv_bias", "out_bias"))
        as_poles(self.A_log)

    @classmethod
    def initial(
        cls, d_model: int, *, d_state: int = 16, d_conv: int = 4, expand: int = 2, dt_rank: int | None = None,
        seed: int = 0, dtype: Any = "float32",
    ) -> MambaBlock:  # fmt: skip
        """Draw the block that training starts from.

        Poles −1 … −d_state in every channel, D = 1, steps log-uniform in [1e-3, 1e-1]; projections uniform within one
        over the root of their inputs, as PyTorch draws them.
        """
        m, n, k = as_size(d_model, "d_model"), as_size(d_state, "d_state"), as_size(d_conv, "d_conv")
        d = as_size(expand, "expand") * m
        r = -(-m // 16) if dt_rank is None else as_size(dt_rank, "dt_rank")
        rng = np.random.default_rng(seed)
        drawn = {
            "in_proj": uniform(rng, (2 * d, m)), "conv1d": uniform(rng, (d, k)), "x_proj": uniform(rng, (r + 2 * n, d)),
            "dt_proj": uniform(rng, (d, r)), "dt_bias": initial_bias(rng, d),
            "A_log": np.tile(np.log(np.arange(1.0, n + 1)), (d, 1)), "D": np.ones(d), "out_proj": uniform(rng, (m, d)),
            "conv_bias": uniform(rng, (d, k))[:, 0],
        }  # fmt: skip
        return cls(**{name: value.astype(as_kind(dtype)) for name, value in drawn.items()})

    @property
    def d_state(self) -> int:
        """States of each channel."""
        return self.A_log.shape[1]

    @property
    def dt_rank(self) -> int:
        """Rank of the projection of the step."""
        return self.dt_proj.shape[1]

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of conv and ssm without batch axes."""
        return (self.d_conv - 1, self.d_inner), (self.d_inner, self.d_state)

    @cached_property
    def A(self) -> Array:
        """Poles of every channel, −e^A_log; channels are neighbours in memory, as a step wants them."""
        return as_poles(np.ascontiguousarray(self.A_log.T)).T

    def run(self, u: Array, state: BlockState) -> tuple[Array, BlockState]:
        """Checked rows, (rows, L, d_model), from a state of as many rows."""
        d, r, n = self.d_inner, self.dt_rank, self.d_state
        taps, bias, *_ = self._loops(u.dtype)
        xz = linear(u, self.in_proj, self.in_bias)
        del u  # of a prompt 1.5 MB at 130M, which nothing needs while the scan runs
        x, conv = convolved(xz, 0, taps, bias, state.conv)
        levels = linear(x, self.x_proj, None)
        y, ssm = selective_scan(
            x, linear(levels[..., :r], self.dt_proj, None), self.A, levels[..., r : r + n], levels[..., r + n :],
            self.D, z=xz[..., d:], delta_bias=self.dt_bias, delta_softplus=True, x0=state.ssm, return_state=True,
        )  # fmt: skip
        return linear(y, self.out_proj, self.out_bias), BlockState(conv, ssm)

    def advance(self, u: Array, state: BlockState) -> tuple[Array, BlockState]:
        """One sample of checked rows, (rows, d_model)."""
        from statespace.cpu.blocks import selective_steps

        r = self.dt_rank
        taps, bias, a, direct, shift = self._loops(u.dtype)
        xz = linear(u, self.in_proj, self.in_bias)
        x, conv = convolved_step(xz, 0, taps, bias, state.conv)
        levels = linear(x, self.x_proj, None)
        delta = linear(levels[:, :r], self.dt_proj, None)
        before = np.ascontiguousarray(state.ssm.swapaxes(1, 2))  # (rows, n, d): channels are neighbours
        ssm, y = np.empty(before.shape, u.dtype), np.empty(x.shape, u.dtype)

        def task(first: int, last: int) -> None:
            selective_steps(first, last, x, delta, xz, levels, r, a, direct, shift, before, ssm, y)

        in_turn(task, len(u))
        return linear(y, self.out_proj, self.out_bias), BlockState(conv, ssm.swapaxes(1, 2))

    def _loops(self, kind: np.dtype[Any]) -> list[Array]:
        """What the loops take, in one precision."""
        return [array.astype(kind, copy=False) for array in self._tables]

    @cached_property
    def _tables(self) -> tuple[Array, ...]:
        """Taps and bias of the convolution; A, D and the bias of Δ of the scan, channels last."""
        return *taps_of(self.conv1d, self.conv_bias), self.A.T, self.D, self.dt_bias
