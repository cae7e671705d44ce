"""The recurrence of Mamba-2 and Mamba-3 where its arrays live: chunk by chunk on the host, many at once on a GPU."""

from __future__ import annotations

from typing import Any

from statespace.arrays import Array, on_device
from statespace.selective.chunk_gradients import Gradients, backward, record
from statespace.selective.chunks import Recurrence, cut, run
from statespace.selective.many_chunks import backward_many, run_many


def run_chunks(r: Recurrence, start: Array, chunk: int) -> tuple[Array, Array]:
    """Answer y and the final state, in the layout of `to_rows`."""
    y, final, _ = run_many(r, start, chunk) if on_device(r.x) else run(r, start, cut(r, chunk))
    return y, final


def record_chunks(r: Recurrence, start: Array, chunk: int) -> tuple[Array, Array, Any]:
    """Answer y, the final state, and what `pull_chunks` takes."""
    return run_many(r, start, chunk) if on_device(r.x) else record(r, start, cut(r, chunk))


def pull_chunks(r: Recurrence, tape: Any, grad_y: Array, grad_final: Array) -> Gradients:
    """All gradients, from those of y and of the final state."""
    return (backward_many if on_device(r.x) else backward)(r, tape, grad_y, grad_final)
