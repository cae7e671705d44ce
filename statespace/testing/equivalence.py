"""One behaviour, several ways to have it: two systems, the forms of a run, the pieces of a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np

from statespace.arrays import Array, same_step, shorten
from statespace.discretization import discretize
from statespace.simulation import Response, Stream, simulate
from statespace.simulation.forms import block_length
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.testing.bounds import block_bound, coarse_bound, convolution_bound, memory, output_bound, state_system
from statespace.testing.callables import (
    Runnable,
    as_input,
    as_run,
    check_positive,
    check_slack,
    rounding_of,
    system_of,
    with_inputs,
    with_outputs,
)
from statespace.testing.margin import Margin, compare, worst

_FORMS = ("chunked", "convolution")


# --------------------------------------------------------------- two of them


def assert_equivalent(
    first: Runnable | ContinuousSystem,
    second: Runnable | ContinuousSystem,
    u: Any = None,
    *,
    system: DiscreteSystem | None = None,
    length: int | None = None,
    angle: float = 0.0,
    slack: float = 1.0,
) -> Margin:
    """Assert that two systems, or functions, answer alike: the same kernel, or the same answer to a signal.

    Matrices are not compared: the same behaviour has many.

    Parameters
    ----------
    first, second : DiscreteSystem, or callable u -> y
        A function is given u as it stands, (L,) or (..., L, m), and returns (L,), (L, p) or (..., L, p), from rest. Two
        `ContinuousSystem` are compared through their first-order hold, by a step of half a radian of the faster.
    u : array_like, (L,) or (..., L, m), optional
        A signal; an impulse at each input in turn when omitted, (L,) where there is one input.
    system : DiscreteSystem, optional
        What both should be, where the bound is not to come from the sides themselves. Where neither is a system and
        none is given, the bound is 8·eps·L of the largest of each answer.
    length : int, optional
        Samples of the kernels where u is omitted; from the poles when omitted.
    angle : float
        ‖ΔA‖ where the two come from discretizations: what their coefficients can be known to, in eps. 0 takes the
        coefficients as exact.
    slack : float
        Factor on the bound, for a realization in worse coordinates than ours.

    Returns
    -------
    Margin
        The error that came closest to its bound.

    Raises
    ------
    AssertionError
        They differ: output, sample, both values, the bound, and the lines to paste.
    TypeError
        A side is neither a system nor a function, or one is continuous and the other discrete.
    ValueError
        u does not fit, or is missing where neither side is a system.
    OverflowError
        What the bound comes from grows beyond double precision within u.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.4 (equivalent realizations); N. J. Higham, *Accuracy and
    Stability of Numerical Algorithms*, 2nd ed., section 3.5 (rounding of products).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> digital = ss.discretize(spring, 0.1)
    >>> b, a = ss.to_ba(digital)
    >>> from scipy import signal
    >>> margin = ss.testing.assert_equivalent(lambda u: signal.lfilter(b, a, u), digital)
    >>> margin.error < margin.bound < 1e-12
    True
    """
    check_slack(slack, angle)
    if isinstance(first, ContinuousSystem) and isinstance(second, ContinuousSystem):
        first, second, angle = _held(first, second, angle)
    runs = {"first": as_run(first, "first"), "second": as_run(second, "second")}
    own = [s for s in (first, second) if isinstance(s, DiscreteSystem)]
    like = system_of(system, *own)
    likes = own if system is None or like is None else [like]
    _refuse_other_steps(own)
    signals = _impulses([*likes, *own], length) if u is None else [as_input(u, like=like)]
    context = {"first": first, "second": second, "system": system, "angle": angle or None}
    margins = []
    for v in signals:
        sides = {name: run(v) for name, run in runs.items()}
        bound = _bound(likes, v, angle, sides) * slack * _unknown((first, second), sides)
        past = memory(likes[0], with_inputs(v).shape[-2]) if likes else with_inputs(v).shape[-2]
        margins.append(compare("equivalence", sides, bound, past, **context, u=v))
    return worst(margins)


def _held(
    first: ContinuousSystem, second: ContinuousSystem, angle: float
) -> tuple[DiscreteSystem, DiscreteSystem, float]:
    """Two continuous systems by first-order hold, half a radian of the fastest pole a step, and ‖ΔA‖."""
    fastest = max(float(np.abs(s.poles).max(initial=0.0)) for s in (first, second))
    dt = 0.5 / fastest if fastest else 1.0
    norm = max(float(np.linalg.norm(np.asarray(s.A), axis=(-2, -1)).max(initial=0.0)) for s in (first, second))
    return discretize(first, dt, "foh"), discretize(second, dt, "foh"), max(angle, norm * dt, 1.0)


def _refuse_other_steps(systems: list[DiscreteSystem]) -> None:
    if len(systems) == 2 and not same_step(systems[0].dt, systems[1].dt):
        raise AssertionError(f"equivalence does not hold: one step is dt={systems[0].dt}, the other dt={systems[1].dt}")


def _unknown(functions: tuple[Any, Any], sides: dict[str, Array]) -> float:
    """Share of the bound for functions: their precision, and twice as much, since their coordinates are not known.

    Direct forms of Butterworth and elliptic filters of order 4 to 6 went to 1.5 times the bound of their sections.
    """
    ours = all(isinstance(f, DiscreteSystem) for f in functions)
    rounding = max(rounding_of(f, y) for f, y in zip(functions, sides.values(), strict=True))
    return 1.0 if ours else 2.0 * max(rounding, 1.0)


def _impulses(systems: list[DiscreteSystem], length: int | None) -> list[Array]:
    """An impulse at each input in turn, as long as any of the systems remembers, and shorter where one grows."""
    if not systems:
        raise ValueError("u is missing: neither side is a system that could say how many inputs there are; give u=")
    if length is None:
        length = max(map(_enough, systems))
        growth = max(float(np.abs(s.poles).max(initial=0.0)) for s in systems)
        length = int(min(length, 70 / np.log(growth))) + 1 if growth > 1.01 else length
    check_positive(length, "length", "it is a number of samples")
    m = systems[0].n_inputs
    columns = np.eye(m)[:, None, :] * (np.arange(int(length)) == 0)[:, None]
    return [u[:, 0] if m == 1 else u for u in columns]


def _enough(system: DiscreteSystem) -> int:
    """Four times what is remembered, up to 1000 samples, and 2n + 2 in any case: a delay is a delay."""
    past = min(4 * float(np.max(memory(system, 1000))), 1000.0)
    return int(max(np.ceil(past), 16)) + 2 * system.n_states


def _bound(likes: list[DiscreteSystem], u: Array, angle: float, sides: dict[str, Array]) -> Array:
    """Each side rounds by half of what two may differ; a function rounds as the system does that it should be."""
    if len({y.shape for y in sides.values()}) > 1:
        return np.zeros(())  # they cannot be compared, which is said there
    if not likes:
        return coarse_bound(*sides.values())
    bounds, grown = [], None
    for system in likes:
        try:
            bounds.append(output_bound(system, with_inputs(u), angle=angle))
        except OverflowError as error:  # one alone differs from the other
            grown = error
    if not bounds and grown is not None:
        raise grown
    return np.asarray((bounds[0] + bounds[-1]) / 2)


# --------------------------------------------------------------- the forms of one


def assert_forms_agree(
    system: DiscreteSystem,
    u: Any = None,
    *,
    x0: Any = None,
    forms: Sequence[str] | Mapping[str, Callable[[DiscreteSystem, Array], Any]] = _FORMS,
    slack: float = 1.0,
) -> Margin:
    """Assert that forms of running a system give what its recurrence gives, and end in the same state.

    Parameters
    ----------
    system : DiscreteSystem
        Any structure, any batch.
    u : array_like, (L,) or (..., L, m), optional
        The signal; a chirp of 200 samples at every input when omitted.
    x0 : array_like, (..., state_size), optional
        Starting state, for the forms by name.
    forms : sequence of str, or mapping of str to callable (system, u) -> y
        Forms of `simulate` by name, or your own: a function is given the system and u as it stands, and returns
        (L,), (L, p) or (..., L, p), from rest.
    slack : float
        Factor on the bound.

    Returns
    -------
    Margin
        The error that came closest to its bound.

    Raises
    ------
    AssertionError
        A form differs: which, output, sample, both values, the bound, and the lines to paste.
    TypeError
        The system is not discrete, or a form is neither a word nor a function.
    ValueError
        u does not fit, or a word is not a form.

    References
    ----------
    A. Gu, K. Goel, C. Ré, "Efficiently Modeling Long Sequences with Structured State Spaces", ICLR 2022, section 3.2.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> digital = ss.discretize(ss.from_zpk([], [-1 + 2j, -1 - 2j], 5.0), 0.1)
    >>> ss.testing.assert_forms_agree(digital).error < 1e-14
    True
    >>> def mine(system, u):
    ...     return np.convolve(u, ss.kernel(system, len(u))[:, 0, 0])[: len(u)]
    >>> ss.testing.assert_forms_agree(digital, np.ones(100), forms={"mine": mine}).error < 1e-14
    True
    """
    check_slack(slack)
    if not isinstance(system, DiscreteSystem):
        raise TypeError(f"system must be a DiscreteSystem, got {type(system).__name__}")
    signal = _chirp(200, system.n_inputs) if u is None else as_input(u, like=system)
    one = simulate(system, signal, x0=x0, form="recurrent")
    start = None if x0 is None else np.asarray(x0)
    margins = [
        margin
        for name, form in _named(forms).items()
        for margin in _form_margins(system, signal, start, name, form, one, slack)
    ]
    return worst(margins)


def _named(forms: Any) -> dict[str, Any]:
    """Name and function of each form; None where it is one of ours."""
    if not isinstance(forms, (Mapping, tuple, list)):
        forms = (forms,)
    words = [form if isinstance(form, str) else shorten(form) for form in forms]
    named = dict(forms) if isinstance(forms, Mapping) else dict.fromkeys(words)
    for name, form in named.items():
        if form is not None and not callable(form):
            raise TypeError(f"forms[{name!r}] must be a function (system, u) -> y, got {shorten(form)}")
    if not named:
        raise ValueError("forms is empty; name one, such as 'chunked', or give {'mine': function}")
    return named


def _form_margins(
    system: DiscreteSystem, u: Array, x0: Array | None, name: str, form: Any, one: Response, slack: float
) -> list[Margin]:
    """Margins of the outputs, and of the final states where the form is one of ours."""
    v = with_inputs(u)
    context = {"system": system, "u": u, "x0": x0}
    past, M = memory(system, v.shape[-2]), block_length(system)
    bound = output_bound(system, v, x0) + block_bound(system, v, M)
    if name != "chunked":  # others may go through an FFT
        bound = bound + convolution_bound(system, v)
    ran = None if form else simulate(system, u, x0=x0, form=name)
    answer = form(system, u.copy()) if ran is None else ran.y
    sides = {"recurrent": with_outputs(one.y, u, "recurrent"), name: with_outputs(answer, u, f"form {name!r}")}
    margins = [compare(f"form {name!r}", sides, slack * bound, past, **context)]
    if ran is not None:
        whole = state_system(system)
        inner = slack * (output_bound(whole, v, x0) + block_bound(whole, v, M))
        finals = {key: np.asarray(r.final_state)[..., None, :] for key, r in (("recurrent", one), (name, ran))}
        margins.append(compare(f"the final state of form {name!r}", finals, inner, past, **context))
    return margins


def _chirp(length: int, m: int) -> Array:
    """All frequencies in every input, without a random number."""
    k = np.arange(length)[:, None]
    return np.cos(np.pi * k**2 / length + np.arange(m))


# --------------------------------------------------------------- the pieces of one


def assert_streaming_agrees(
    stream: DiscreteSystem | Callable[[Array, Any], tuple[Any, Any]],
    u: Any,
    chunks: Sequence[int],
    *,
    system: DiscreteSystem | None = None,
    exact: bool | None = None,
    slack: float = 1.0,
) -> Margin:
    """Assert that a signal in blocks gives what the whole signal gives.

    Parameters
    ----------
    stream : DiscreteSystem, or callable (block, state) -> (y, state)
        A system goes through `Stream` and is held against one recurrent run. A function is called with None as its
        first state, once with the whole of u and then block by block.
    u : array_like, (L,) or (..., L, m)
        The signal; blocks are cut along time.
    chunks : sequence of int
        Lengths of the blocks, from 0; their sum is L. See `strategies.chunkings`. (SciPy's `lfilter` returns a state
        that is not one for an empty block.)
    system : DiscreteSystem, optional
        What a function should be, for the bound. Without it the bound is 8·eps·L of the largest of each answer.
    exact : bool, optional
        Ask for the same bits; for a system, which promises them, unless False is given.
    slack : float
        Factor on the bound.

    Returns
    -------
    Margin
        The error that came closest to its bound.

    Raises
    ------
    AssertionError
        They differ: output, sample, both values, the bound, and the lines to paste.
    TypeError
        ``stream`` is neither a system nor a function, or returns no pair.
    ValueError
        u does not fit, or the chunks do not sum to its length.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3 (the state of a filter).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> from scipy import signal
    >>> def smooth(block, state):
    ...     return signal.lfilter([0.5], [1.0, -0.5], block, zi=np.zeros(1) if state is None else state)
    >>> ss.testing.assert_streaming_agrees(smooth, np.ones(9), (4, 1, 4), exact=True)
    Margin(error=0.0, bound=0.0, memory=9.0)
    """
    check_slack(slack)
    own = stream if isinstance(stream, DiscreteSystem) else None
    signal = as_input(u, like=own)
    edges = _edges(chunks, with_inputs(signal).shape[-2])
    like = system_of(system, stream)
    whole, pieces = _of_function(stream, signal, edges) if own is None else _of_system(own, signal, edges)
    v = with_inputs(signal)
    bound: Any = 0.0
    if not (own is not None if exact is None else exact):
        bound = slack * (output_bound(like, v) * rounding_of(stream, whole) if like else coarse_bound(whole))
    past = memory(like, v.shape[-2]) if like else v.shape[-2]
    context = {"system": like, "u": signal, "chunks": tuple(map(int, chunks))}
    return compare("streaming", {"in blocks": pieces, "whole": whole}, bound, past, **context)


def _edges(chunks: Any, length: int) -> list[tuple[int, int]]:
    """First and last sample of each block."""
    try:
        sizes = [index(size) for size in chunks]
    except TypeError:
        raise TypeError(f"chunks must be the lengths of the blocks, such as (3, 0, 5), got {shorten(chunks)}") from None
    if not sizes or min(sizes) < 0 or sum(sizes) != length:
        raise ValueError(
            f"chunks must be lengths from 0 on that sum to the length of u, {length}, got {shorten(chunks)}, "
            f"which sum to {sum(sizes)}"
        )
    stops = np.cumsum(sizes).tolist()
    return [(stop - size, stop) for stop, size in zip(stops, sizes, strict=True)]


def _blocks(u: Array, edges: list[tuple[int, int]]) -> list[Array]:
    return [u[a:b] if u.ndim == 1 else u[..., a:b, :] for a, b in edges]


def _of_system(system: DiscreteSystem, u: Array, edges: list[tuple[int, int]]) -> tuple[Array, Array]:
    run = as_run(system, "stream")
    stream = Stream(system)
    pieces = [with_outputs(stream.push(block), block, "push") for block in _blocks(u, edges)]
    return run(u), np.concatenate(pieces, axis=-2)


def _of_function(function: Any, u: Array, edges: list[tuple[int, int]]) -> tuple[Array, Array]:
    as_run(function, "stream")  # that it can be called
    whole, _ = _pushed(function, u, None)
    state, pieces = None, []
    for block in _blocks(u, edges):
        y, state = _pushed(function, block, state)
        pieces.append(y)
    return whole, np.concatenate(pieces, axis=-2)


def _pushed(function: Any, block: Array, state: Any) -> tuple[Array, Any]:
    answer = function(block.copy(), state)
    if not (isinstance(answer, (tuple, list)) and len(answer) == 2):
        raise TypeError(f"the stream must return a pair (y, state), got {shorten(answer)}")
    return with_outputs(answer[0], block, "the stream"), answer[1]
