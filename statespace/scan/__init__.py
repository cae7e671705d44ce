"""Floor 2: running a recurrence, sample by sample, over lanes, and in blocks of time."""

from statespace.scan.lanes import as_lanes
from statespace.scan.places import refuse_nonfinite_here, require_one_place
from statespace.scan.quick import in_single, quick_lanes
from statespace.scan.recurrence import (
    output_like,
    reference,
    run,
    run_lanes,
    shifts_in_one_input,
    without_remnants,
)
from statespace.scan.rows import (
    Run,
    as_state,
    broadcast_batch,
    flat,
    refuse_complex_on_pairs,
    state_and_output_types,
    systems_of_rows,
)
from statespace.scan.time_blocks import Blocks, cut, memory, run_blocks

__all__ = [
    "Blocks",
    "Run",
    "as_lanes",
    "as_state",
    "broadcast_batch",
    "cut",
    "flat",
    "in_single",
    "memory",
    "output_like",
    "quick_lanes",
    "reference",
    "refuse_complex_on_pairs",
    "refuse_nonfinite_here",
    "require_one_place",
    "run",
    "run_blocks",
    "run_lanes",
    "shifts_in_one_input",
    "state_and_output_types",
    "systems_of_rows",
    "without_remnants",
]
