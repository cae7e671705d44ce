"""explain: which form a run would take, and what the others would cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import check_choice, library_of, on_device
from statespace.scan import Blocks, broadcast_batch, in_single, state_and_output_types
from statespace.selective import SelectiveSystem
from statespace.simulation.choice import FORMS, Explanation, choose
from statespace.simulation.forms import block_length, blocks_that_run
from statespace.simulation.grids import as_grid
from statespace.simulation.irregular import HOLDS, on_a_grid
from statespace.simulation.run import as_input, discrete_grid, refuse_uneven
from statespace.simulation.selective import explain_selective
from statespace.systems import ContinuousSystem, DiscreteSystem


def explain(
    system: ContinuousSystem | DiscreteSystem | SelectiveSystem,
    u: Any,
    *,
    t: Any = None,
    dt: Any = None,
    fs: Any = None,
    hold: str | None = None,
    form: str = "auto",
) -> Explanation:
    """Say how `simulate` would run this: the form, why, what the others would cost, and in which precision.

    Nothing is run. The costs come from one rule that counts products, `statespace.simulation.choice`, measured on
    one machine; their ratios are what counts.

    Parameters
    ----------
    system : ContinuousSystem, DiscreteSystem or SelectiveSystem
    u : array_like, (..., L, m) or (L,)
        The signal; its shape and type matter, its values do not.
    t, dt, fs, hold, form
        As in `simulate`.

    Returns
    -------
    Explanation
        ``form``, ``why``, ``costs`` in seconds, ``block``, and the dtypes ``state`` and ``output``. For a CuPy array
        what its device would do; ``costs`` is empty, as there the rule counts rows and samples.

    Raises
    ------
    TypeError
        The system is not a system.
    ValueError
        What `simulate` would refuse about shapes, grid and form.

    References
    ----------
    G. Blelloch, "Prefix sums and their applications", CMU-CS-90-190 (1990), section 1.4 (blocks that pass one state).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> said = ss.explain(spring, np.ones(1000), dt=0.1)
    >>> said.form, said.why
    ('recurrent', 'chunks do not cost less than half of it')
    >>> sorted(said.costs)
    ['chunked', 'convolution', 'recurrent']
    """
    if isinstance(system, SelectiveSystem):
        return explain_selective(system, u, {"t": t, "dt": dt, "fs": fs, "hold": hold, "form": form})
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        got = type(system).__name__
        raise TypeError(f"explain needs a ContinuousSystem, DiscreteSystem or SelectiveSystem first, got {got}")
    check_choice(form, FORMS, "form")
    signal = as_input(u, system)
    batch = broadcast_batch(system, signal, np.zeros(system.state_size))
    state, output = (np.dtype(kind) for kind in state_and_output_types(system, signal, np.zeros(0)))
    digital: Any = system
    if isinstance(system, DiscreteSystem):
        discrete_grid(system, t, dt, fs, hold, signal)
    else:
        hold = "zoh" if hold is None else hold
        check_choice(hold, tuple(HOLDS), "hold")
        grid = as_grid(t, dt, fs, signal.shape[-2], system.time_unit, library_of(signal))
        if grid.dt is None:
            refuse_uneven(form, signal)
            return Explanation("recurrent", "the grid is uneven, so there is no kernel", {}, None, state, output)
        digital, _ = on_a_grid(system, grid.dt, hold)
    rows = int(np.prod(np.broadcast_shapes(batch, digital.batch_shape)))
    if on_device(signal):
        return _on_device(digital, signal.shape[-2], rows, form, (state, output))
    single = in_single(digital, signal.dtype)
    chosen, why, estimates = choose(digital, signal.shape[-2], rows, form, single)
    if chosen != "chunked":
        return Explanation(chosen, why, estimates, None, state, output)
    blocks = blocks_that_run(digital, rows, signal.shape[-2], single)
    state = output if single and blocks else state
    return Explanation(chosen, why, estimates, _block(digital, blocks), state, output)


def _on_device(system: DiscreteSystem, length: int, rows: int, form: str, kinds: tuple[Any, Any]) -> Explanation:
    from statespace.simulation.device import choose_on_device

    chosen, why, block = choose_on_device(system, length, rows, form)
    return Explanation(chosen, why, {}, block, *kinds)


def _block(system: DiscreteSystem, blocks: Blocks | None) -> int | None:
    """Samples of a block; None where channels are lanes and time is not cut."""
    if blocks is None:
        return block_length(system)
    return blocks.length if blocks.pieces > 1 else None
