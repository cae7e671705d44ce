"""Floor 4: systems that leave Python: as C source, as a file."""

from statespace.export.archive import load, save
from statespace.export.c_source import to_c

__all__ = ["load", "save", "to_c"]
