"""A SelectiveSystem over a signal, for simulate and Stream."""

from __future__ import annotations

from typing import Any

from statespace.arrays import Array, as_signal, library_of, on_device, refuse_nonfinite
from statespace.selective import SelectiveSystem, selective_scan
from statespace.selective.system import as_layer_input
from statespace.simulation.choice import Explanation
from statespace.simulation.response import Response

_AT_REST = {"form": ("auto", "recurrent"), "gaps": ("raise",), "states": (False,)}


def run_selective(system: SelectiveSystem, u: Any, x0: Any, options: dict[str, Any]) -> Response:
    """What simulate answers; the stamps count samples, and live where the signal does."""
    _check_at_rest("simulate", "u and x0", options)
    signal = as_signal(u, "u", half=True)
    refuse_nonfinite(signal, "u")  # on a GPU too, which is waited for, as gaps="raise" promises
    y, state = selective_scan(signal, system, x0=x0, return_state=True)
    return Response(library_of(y).arange(float(y.shape[-2])), y, None, state, system)


def explain_selective(system: SelectiveSystem, u: Any, options: dict[str, Any]) -> Explanation:
    """What explain answers: there is one way."""
    _check_at_rest("explain", "u", options)
    nothing = as_layer_input(system, u)[..., :0, :]  # has the types of everything
    y, state = selective_scan(nothing, system, return_state=True)
    kind = (state[0] if isinstance(state, tuple) else state).dtype
    why = "its coefficients change from sample to sample, so there is no kernel"
    return Explanation("recurrent", why, {}, None, kind, y.dtype)


def _check_at_rest(verb: str, taken: str, options: dict[str, Any]) -> None:
    wrong = [name for name, value in options.items() if not _is_one_of(value, _AT_REST.get(name, (None,)))]
    if wrong:
        raise ValueError(
            f"{verb} of a SelectiveSystem, which makes its own steps and runs sample by sample, takes {taken}; "
            f"leave out {', '.join(wrong)}"
        )


def _is_one_of(value: Any, choices: tuple[Any, ...]) -> bool:
    return any(value is one or (isinstance(value, str) and value == one) for one in choices)


def push_selective(system: SelectiveSystem, block: Any, state: Any) -> tuple[Array, Any]:
    """The answer to a block, and the state after it, read-only on the host."""
    y, after = selective_scan(block, system, x0=state, return_state=True)
    for part in after if isinstance(after, tuple) else (after,):
        if not on_device(part):
            part.setflags(write=False)
    return y, after
