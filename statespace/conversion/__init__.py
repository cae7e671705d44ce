"""Floor 3: from transfer functions, sections and other libraries to systems, and back."""

from statespace.conversion.back import to_ba, to_sos, to_tf, to_zpk
from statespace.conversion.build import from_ba, from_sos, from_tf, from_zpk
from statespace.conversion.foreign import as_system, to_control, to_scipy
from statespace.conversion.modal import modal

__all__ = [
    "as_system",
    "from_ba",
    "from_sos",
    "from_tf",
    "from_zpk",
    "modal",
    "to_ba",
    "to_control",
    "to_scipy",
    "to_sos",
    "to_tf",
    "to_zpk",
]
