"""Stream: a system that is fed block after block, and warmup, so that the first block is as quick as the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from statespace.arrays import Array, as_signal, frozen, library_of
from statespace.kernels.samples import check_discrete
from statespace.scan import as_state, run
from statespace.selective import SelectiveSystem
from statespace.simulation.channels import check_channelwise, misaligned, time_axis, time_back, time_last
from statespace.simulation.filtering import starting_state
from statespace.simulation.run import as_input, axes_of
from statespace.simulation.selective import push_selective
from statespace.systems import DiscreteSystem


class Stream:
    """A discrete system that is fed block after block and remembers one small state between them.

    Blocks may have any length, empty and one sample included; the answers, put together, are the bits of one run over
    the whole signal, by ``simulate(form="recurrent")`` or by `filter` with a state; of a SelectiveSystem to rounding,
    as its projections are matrix products. Without ``axis`` a block is what `simulate` takes, (..., L, m) or (L,); with
    it a block is what `filter` takes, every other axis a channel.

    Parameters
    ----------
    system : DiscreteSystem or SelectiveSystem
        Any structure, any batch; of a selective one blocks are (..., L, d).
    axis : int, optional
        Axis of time of the blocks, for a system of one input and one output over many channels.
    state : None, "zero", "steady" or array_like, (..., state_size)
        Where to start: from zero, as if the first sample had lasted for ever (no selective one), or from the state of
        another stream.

    Attributes
    ----------
    state : ndarray or None
        The state before the next sample, (..., state_size), read-only; None before the first block where it starts
        from zero, "steady" where it waits for a first sample. Keep it, pickle it, hand it to another Stream: that
        goes on where this one stands. A push that raises leaves it as it was.

    Raises
    ------
    TypeError
        The system is continuous; of `push`, that a block and the state do not live in one place.
    ValueError
        The state does not belong to the system, or ``axis`` is given for several inputs or outputs.

    See Also
    --------
    warmup : compile before the first block.

    Notes
    -----
    NaN goes through as in `filter`: it stays in the state, and everything after it is NaN until a new Stream starts. A
    SelectiveSystem that makes its steps of the signal refuses it.

    Blocks that are CuPy arrays run on their device, and the state stays there; it can be written to, as every CuPy
    array can. The bits are those of one run over the whole signal there too.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3 (the state of a filter).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> stream = ss.Stream(ss.from_ba([0.5], [1.0, -0.5], dt=1.0))
    >>> stream.push(np.ones(3))
    array([0.5  , 0.75 , 0.875])
    >>> stream.push([])
    array([], dtype=float64)
    >>> [y.tolist() for y in stream.run(np.ones((2, 1)))]
    [[0.9375], [0.96875]]
    """

    def __init__(self, system: DiscreteSystem | SelectiveSystem, *, axis: int | None = None, state: Any = None) -> None:
        if not isinstance(system, SelectiveSystem):
            check_discrete(system, "Stream")
            state = _checked(system, axis, state)
        elif axis is not None or (isinstance(state, str) and state != "zero"):
            wrong = f"axis={axis}" if axis is not None else f"state={state!r}"
            raise ValueError(
                "a Stream of a SelectiveSystem takes blocks (..., L, d), and starts from zero or from a state; "
                f"leave out {wrong}"
            )
        elif isinstance(state, str):
            state = None
        self.system: Any = system
        self.axis = axis
        self._state: Any = state
        self._batch: tuple[int, ...] | None = None  # batch axes, or channels, of the first block

    @property
    def state(self) -> Any:
        """State before the next sample, (..., state_size); None or "steady" before the first."""
        return self._state

    def push(self, block: Any) -> Array:
        """Send a block through the system and go on.

        Parameters
        ----------
        block : array_like
            (..., L, m), or (L,) for one input; with ``axis`` of any shape.

        Returns
        -------
        ndarray
            As `simulate` or `filter` would answer for this block.

        Raises
        ------
        ValueError
            The block does not fit the system, or has other batch axes or channels than the state. The state
            stays as it was.
        """
        if isinstance(self.system, SelectiveSystem):
            return self._selective(block)
        return self._channels(block) if self.axis is not None else self._inputs(block)

    def run(self, blocks: Iterable[Any]) -> Iterator[Array]:
        """Push every block of an iterable, one answer for each, as they come."""
        for block in blocks:
            yield self.push(block)

    def _inputs(self, block: Any) -> Array:
        u = as_input(block, self.system)
        y = self._advance(u)
        return y[:, 0] if y.ndim == 2 and y.shape[-1] == 1 and axes_of(block) == 1 else y

    def _selective(self, block: Any) -> Array:
        u = as_signal(block, "u", half=True)
        self._refuse_other_batch(u.shape[:-2])
        y, self._state = push_selective(self.system, u, self._state)
        self._batch = y.shape[:-2]
        return y

    def _channels(self, block: Any) -> Array:
        signal = as_signal(block, "x")
        axis = time_axis(self.axis, signal)
        try:
            y = self._advance(time_last(signal, axis)[..., None])
        except ValueError as error:
            raise misaligned("Stream", error, signal, axis) from None
        return time_back(y[..., 0], axis)

    def _refuse_other_batch(self, batch: tuple[int, ...]) -> None:
        if self._batch not in (None, batch):
            raise ValueError(
                f"every block must have the batch axes or channels of the first, {self._batch}, got {batch}; "
                "start another Stream for another signal"
            )

    def _advance(self, u: Array) -> Array:
        self._refuse_other_batch(u.shape[:-2])
        waits = isinstance(self._state, str)
        if waits and u.shape[-2] == 0:
            return run(self.system, u).y
        result = run(self.system, u, starting_state(self.system, u, self._state) if waits else self._state)
        self._state, self._batch = _kept(result.final), u.shape[:-2]
        return result.y

    def __repr__(self) -> str:
        kind = "" if self.axis is None else f", axis={self.axis}"
        held = self._state if self._state is None or isinstance(self._state, str) else self._state.shape
        return f"<Stream of {self.system!r}{kind}, state {held}>"


def _checked(system: DiscreteSystem, axis: int | None, state: Any) -> Any:
    """Where to start: None for zero, "steady" until the first sample, or a state."""
    if axis is not None:
        check_channelwise(system, "Stream")
    if isinstance(state, str):
        starting_state(system, np.zeros((1, system.n_inputs)), state)  # that the word is known, and has a meaning
        return None if state == "zero" else state
    return None if state is None else _kept(as_state(state, system, "state"))


def _kept(state: Any) -> Array:
    """Read-only, but on a device, where arrays cannot be."""
    return frozen(state) if type(state) is np.ndarray else state


def warmup(system: DiscreteSystem | SelectiveSystem, *, like: Any = None) -> None:
    """Compile the loop that a system runs on, so that the first block of a `Stream` is as quick as the others.

    The first run of a structure and precision compiles its loop, some tenths of a second from the cache on disk and
    some seconds without it. The state of no stream is touched.

    Parameters
    ----------
    system : DiscreteSystem or SelectiveSystem
    like : ndarray, optional
        An array of the type of the signal; double when omitted. With one of CuPy the kernel is compiled for the device,
        as one row takes it; many rows of a diagonal system may need another, which the first block then compiles.

    Returns
    -------
    None
        It is run for what it leaves behind, in this process and in the cache on disk.

    Raises
    ------
    TypeError
        The system is continuous.

    References
    ----------
    S. K. Lam, A. Pitrou, S. Seibert, "Numba: a LLVM-based Python JIT compiler", LLVM-HPC 2015, section 3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> smooth = ss.from_ba([0.5], [1.0, -0.5], dt=1.0)
    >>> ss.warmup(smooth, like=np.zeros(0, np.float32))
    """
    xp, kind = library_of(like), np.float64 if like is None else as_signal(like, "like").dtype
    if isinstance(system, SelectiveSystem):
        push_selective(system, xp.zeros((1, system.n_channels), kind), None)
        return
    check_discrete(system, "warmup")
    run(system, xp.zeros((1, system.n_inputs), kind))
