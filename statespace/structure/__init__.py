"""Floor 1: what a state matrix can be, and the linear algebra of each kind.

Every structure knows its ``poles``, its ``resolvent``, how many numbers its state holds, and its dense
matrix (``np.asarray``).
"""

from typing import TypeAlias

from statespace.structure.cascade import Cascade, Sections
from statespace.structure.delay import DelayLine
from statespace.structure.dense import Dense
from statespace.structure.diagonal import Diagonal

Structure: TypeAlias = Dense | Diagonal | Cascade | DelayLine

__all__ = ["Cascade", "DelayLine", "Dense", "Diagonal", "Sections", "Structure"]
