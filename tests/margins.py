"""How much of its bound each law needs: a law whose bound is never approached proves nothing."""

from collections import defaultdict

import numpy as np

MARGINS = defaultdict(list)
ENOUGH = 150  # errors that are not zero, before a median means anything
VACUOUS = 100.0


def record(law, margin):
    """Keep the margin of one example under the name of its law."""
    MARGINS[law].append(margin)


def rooms(law):
    """bound / error / √memory of all examples of a law whose error is not zero."""
    return np.array([m.room for m in MARGINS[law] if m.error > 0])


def table():
    """One line a law: examples, those with an error, and the distribution of the room."""
    yield f"{'bound / error / √memory':<44} examples  nonzero     least       5 %    median      95 %"
    for law in sorted(MARGINS):
        found = rooms(law)
        numbers = np.quantile(found, [0, 0.05, 0.5, 0.95]) if found.size else np.full(4, np.nan)
        yield f"{law:<44} {len(MARGINS[law]):8d} {found.size:8d}" + "".join(f"{x:10.3g}" for x in numbers)
