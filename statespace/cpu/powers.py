"""Powers of poles in two doubles: exp(l·log λ) is off by eps·l·angle, 4e-12 at l = 1e5; these are right to 2e-16.

A number is (high, low) with |low| ≤ eps/2·|high|, a complex one four doubles: re, its low part, im, its low part.
"""

from __future__ import annotations

from statespace.arrays import Array
from statespace.cpu.compile import compiled_exactly

_SPLIT = 134217729.0  # 2²⁷ + 1 cuts a double into two halves of 26 bits, whose products are exact


@compiled_exactly
def _product(ah: float, al: float, bh: float, bl: float) -> tuple[float, float]:
    # (ah + al)(bh + bl): the product of the high parts with its own rounding error (Dekker), and the cross terms
    p = ah * bh
    t = _SPLIT * ah
    a1 = t - (t - ah)
    a2 = ah - a1
    t = _SPLIT * bh
    b1 = t - (t - bh)
    b2 = bh - b1
    e = ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2
    e += ah * bl + al * bh
    s = p + e
    return s, e - (s - p)


@compiled_exactly
def _sum(ah: float, al: float, bh: float, bl: float) -> tuple[float, float]:
    # the sum of the high parts with its own rounding error (Knuth), and the low parts
    s = ah + bh
    t = s - ah
    e = ((ah - (s - t)) + (bh - t)) + (al + bl)
    high = s + e
    return high, e - (high - s)


@compiled_exactly
def powers(base: Array, table: Array) -> None:
    """Fill table (rows, count) with base⁰ … base^{count−1}, and leave base^count in base (rows, 4).

    A power that falls below 1e-290 is 0, as are those after it: two doubles no longer hold it.
    """
    for r in range(base.shape[0]):
        br, brl, bi, bil = base[r, 0], base[r, 1], base[r, 2], base[r, 3]
        re, rel, im, iml = 1.0, 0.0, 0.0, 0.0
        for k in range(table.shape[1]):
            table[r, k] = complex(re, im)
            # (re + j im) ← (re + j im)(br + j bi)
            a, al = _product(re, rel, br, brl)
            b, bl = _product(im, iml, bi, bil)
            c, cl = _product(re, rel, bi, bil)
            d, dl = _product(im, iml, br, brl)
            re, rel = _sum(a, al, -b, -bl)
            im, iml = _sum(c, cl, d, dl)
            if abs(re) + abs(im) < 1e-290:
                re, rel, im, iml = 0.0, 0.0, 0.0, 0.0
        base[r, 0], base[r, 1], base[r, 2], base[r, 3] = re, rel, im, iml


__all__ = ["powers"]
