"""Floor 4: systems whose step, input and output change with their input."""

from statespace.selective.arguments import SelectiveState
from statespace.selective.gradients import selective_scan_vjp
from statespace.selective.mamba3 import ssd_trapezoidal
from statespace.selective.mamba3_arguments import TrapezoidalState
from statespace.selective.mamba3_gradients import TrapezoidalGradients, ssd_trapezoidal_vjp
from statespace.selective.matrix import sequence_matrix
from statespace.selective.moment import frozen
from statespace.selective.projections import SelectiveGradients, SystemGradients
from statespace.selective.reference import reference
from statespace.selective.scan import selective_scan, selective_step
from statespace.selective.ssd import ssd
from statespace.selective.ssd_gradients import SSDGradients, ssd_vjp
from statespace.selective.system import SelectiveSystem

__all__ = [
    "SSDGradients",
    "SelectiveGradients",
    "SelectiveState",
    "SelectiveSystem",
    "SystemGradients",
    "TrapezoidalGradients",
    "TrapezoidalState",
    "frozen",
    "reference",
    "selective_scan",
    "selective_scan_vjp",
    "selective_step",
    "sequence_matrix",
    "ssd",
    "ssd_trapezoidal",
    "ssd_trapezoidal_vjp",
    "ssd_vjp",
]
