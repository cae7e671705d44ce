"""Block: what every Mamba block does, run over a signal of any length, from a state to a state, or one sample on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, refuse_nonfinite
from statespace.mamba.layers import as_rows, as_state
from statespace.mamba.weights import Weights, as_real
from statespace.selective.arguments import check_flag


class BlockState(NamedTuple):
    """What a block remembers between two samples; hand it on to continue a signal.

    Attributes
    ----------
    conv : ndarray, (..., k − 1, c)
        The last inputs of the convolution, oldest first.
    ssm : ndarray, (..., d, n) or (..., h, p, n)
        The state of the scan, as `selective_scan` and `ssd` have it.

    Examples
    --------
    >>> import statespace as ss
    >>> state = ss.mamba.MambaBlock.initial(4, seed=0).initial_state()
    >>> state.conv.shape, state.ssm.shape
    ((3, 8), (8, 16))
    """

    conv: Array
    ssm: Array


class Block(Weights, ABC):
    """A layer between signals (..., L, d_model); what a kind of block adds is below `run` and `advance`."""

    conv1d: Array
    out_proj: Array

    @property
    def d_model(self) -> int:
        """Channels of its input and output."""
        return len(self.out_proj)

    @property
    def d_inner(self) -> int:
        """Channels of the scan."""
        return self.out_proj.shape[1]

    @property
    def d_conv(self) -> int:
        """Samples that the convolution sees."""
        return self.conv1d.shape[1]

    @property
    @abstractmethod
    def d_state(self) -> int:
        """States of each channel of the scan."""

    @property
    @abstractmethod
    def state_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of conv and ssm without batch axes."""

    @abstractmethod
    def run(self, u: Array, state: BlockState) -> tuple[Array, BlockState]:
        """Checked rows, (rows, L, d_model), from a state of as many rows."""

    @abstractmethod
    def advance(self, u: Array, state: BlockState) -> tuple[Array, BlockState]:
        """One sample of checked rows, (rows, d_model)."""

    def __repr__(self) -> str:
        sizes = f"{self.d_model} channels, {self.d_inner} inside, {self.d_state} states each"
        return f"<{type(self).__name__} of {sizes}, {self.n_parameters:,} parameters in {self.dtype}>"

    def initial_state(self, batch: tuple[int, ...] = (), dtype: Any = None) -> BlockState:
        """A state of zeros, with batch axes."""
        kind = np.dtype(self.dtype if dtype is None else dtype)
        return BlockState(*(np.zeros((*batch, *core), kind) for core in self.state_shapes))

    def __call__(self, u: Any, state: Any = None, *, return_state: bool = False) -> Any:
        """Run a signal through the block.

        Parameters
        ----------
        u : array_like, (..., L, d_model)
            Of any length, also 0; finite.
        state : BlockState, optional
            What an earlier piece of the signal left; zero unless given.
        return_state : bool
            Return (y, state), with the state after the last sample.

        Returns
        -------
        ndarray, (..., L, d_model)
            In the precision of u; the work is done in that of the weights where it is the higher one.
        """
        check_flag(return_state, "return_state")
        signal = self._as_input(u, 2)
        y, last = self._over_rows(self.run, signal, state, 2)
        return (y, last) if return_state else y

    def step(self, u: Any, state: Any = None) -> tuple[Array, BlockState]:
        """Advance by one sample.

        Parameters
        ----------
        u : array_like, (..., d_model)
        state : BlockState, optional
            Before the sample; zero unless given. It is not changed.

        Returns
        -------
        y : ndarray, (..., d_model)
        state : BlockState
            After the sample.
        """
        return self._over_rows(self.advance, self._as_input(u, 1), state, 1)

    def _over_rows(self, work: Any, u: Array, state: Any, core: int) -> tuple[Array, BlockState]:
        batch, kind = u.shape[:-core], np.result_type(u.dtype, self.dtype)
        before = as_block_state(self, state, batch, kind)
        flat = BlockState(*(as_rows(part, part.ndim - len(batch)) for part in before))
        y, after = work(as_rows(u, core).astype(kind, copy=False), flat)
        last = BlockState(*(part.reshape(*batch, *part.shape[1:]) for part in after))
        return y.reshape(*batch, *y.shape[1:]).astype(u.dtype, copy=False), last

    def _as_input(self, u: Any, core: int) -> Array:
        signal, d = as_real(u, "u"), self.d_model
        if signal.ndim < core or signal.shape[-1] != d:
            shape = "(..., L, {})" if core == 2 else "(..., {})"
            turned = core == 2 and signal.ndim >= 2 and signal.shape[-2] == d
            hint = "; here time is axis −2: write numpy.swapaxes(u, -1, -2)" if turned else ""
            raise ValueError(
                f"u must have shape {shape.format(d)}, as the block has {d} channels, got {signal.shape}{hint}"
            )
        refuse_nonfinite(signal, "u")  # a step is made of it
        return signal


def as_block_state(block: Block, state: Any, batch: tuple[int, ...], kind: np.dtype[Any]) -> BlockState:
    """A state with the batch axes of a signal."""
    if state is not None and not (isinstance(state, (tuple, list)) and len(state) == 2):
        raise TypeError(
            f"state must be a BlockState, the pair (conv, ssm) of an earlier call, got {type(state).__name__}"
        )
    parts = (None, None) if state is None else state
    names = ("state.conv", "state.ssm")
    found = (
        as_state(part, name, batch, core, kind)
        for part, name, core in zip(parts, names, block.state_shapes, strict=True)
    )
    return BlockState(*found)
