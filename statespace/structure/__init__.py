"""Floor 1: what a state matrix can be, and the linear algebra of each kind.

Every structure knows its ``poles``, its ``resolvent``, how many numbers its state holds, and its dense
matrix (``np.asarray``).
"""

from typing import TypeAlias

from statespace.structure.cascade import Cascade, Sections
from statespace.structure.delay import DelayLine
from statespace.structure.dense import Dense
from statespace.structure.diagonal import Diagonal
from statespace.structure.low_rank import DiagonalPlusLowRank

Structure: TypeAlias = Dense | Diagonal | Cascade | DelayLine | DiagonalPlusLowRank

__all__ = ["Cascade", "DelayLine", "Dense", "Diagonal", "DiagonalPlusLowRank", "Sections", "Structure", "knows_poles"]


def knows_poles(structure: Structure) -> bool:
    """Whether the poles are known otherwise than as computed eigenvalues, which may be wrong by more than rounding."""
    return getattr(structure, "known_poles", ()) is not None
