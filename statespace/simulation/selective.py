"""A SelectiveSystem over a signal, for simulate and Stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, as_signal, refuse_nonfinite
from statespace.selective import SelectiveSystem, selective_scan
from statespace.simulation.response import Response

_AT_REST = {"form": ("auto", "recurrent"), "gaps": ("raise",), "states": (False,)}


def run_selective(system: SelectiveSystem, u: Any, x0: Any, options: dict[str, Any]) -> Response:
    """What simulate answers; the stamps count samples."""
    wrong = [name for name, value in options.items() if value not in _AT_REST.get(name, (None,))]
    if wrong:
        raise ValueError(
            "simulate of a SelectiveSystem, which makes its own steps and runs sample by sample, takes u and x0; "
            f"leave out {', '.join(wrong)}"
        )
    signal = as_signal(u, "u")
    refuse_nonfinite(signal, "u")
    y, state = selective_scan(signal, system, x0=x0, return_state=True)
    return Response(np.arange(float(y.shape[-2])), y, None, state, system)


def push_selective(system: SelectiveSystem, block: Any, state: Any) -> tuple[Array, Any]:
    """The answer to a block, and the state after it, read-only."""
    y, after = selective_scan(block, system, x0=state, return_state=True)
    for part in after if isinstance(after, tuple) else (after,):
        part.setflags(write=False)
    return y, after
