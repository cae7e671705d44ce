"""Where the arrays of one call live: all on the host, or all on one GPU. Nothing is copied silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from statespace.arrays import Array, on_device, refuse_foreign, refuse_nonfinite


def require_one_place(signal: Any, name: str, given: dict[str, Any]) -> None:
    """Raise where an array does not live where the signal does, or the GPU engine cannot run there.

    Parameters
    ----------
    signal, name
        What everything follows, and how a message calls it.
    given : dict
        The other arguments by name; None is none, and the parts of a tuple are arrays of their own.
    """
    here = on_device(signal)
    for other, value in _each(given):
        there = on_device(value)
        if here and not there:
            refuse_foreign(value, other)
            raise TypeError(f"{other} lives on the host and {name} on a GPU; write cupy.asarray({other})")
        if there and not here:
            refuse_foreign(signal, name)
            raise TypeError(
                f"{other} lives on a GPU and {name} on the host; write cupy.asarray({name}), or cupy.asnumpy({other})"
            )
        if there and _gpu(value) != _gpu(signal):
            raise TypeError(
                f"{other} lives on GPU {_gpu(value)} and {name} on GPU {_gpu(signal)}; "
                f"write cupy.asarray({other}) under cupy.cuda.Device({_gpu(signal)})"
            )
    if here:
        from statespace.gpu import require_device

        current = require_device().cuda.Device().id
        if current != _gpu(signal):
            raise RuntimeError(
                f"{name} lives on GPU {_gpu(signal)}, and GPU {current} is the current one, where results would be; "
                f"write with cupy.cuda.Device({_gpu(signal)}): around it"
            )


def _each(given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, tuple):
            yield from ((f"{name}[{i}]", part) for i, part in enumerate(value) if part is not None)
        elif value is not None:
            yield name, value


def _gpu(array: Any) -> Any:
    return array.device.id


def refuse_nonfinite_here(array: Array, name: str) -> None:
    """As `refuse_nonfinite` on the host; on a GPU nothing, as the answer would have to be waited for."""
    if not on_device(array):
        refuse_nonfinite(array, name)
