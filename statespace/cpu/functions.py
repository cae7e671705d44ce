"""e^z, sine and cosine, softplus and the logistic function on vectors, which LLVM has for single numbers only.

The exponential comes in two parts, e^z = s + f with s a power of two. A decay h ← s h + (f h + b) then rounds f h, and
not a factor near 1; after a long step, s being small, nothing is left of the old h.
"""

from __future__ import annotations

import math
from typing import Any

from statespace.cpu.compile import inlined
from statespace.cpu.parts import polynomial
from statespace.cpu.simd import add, div, fma, is_single, mul, number, power_of_two, rounded, size, sub, where_less

LOG2_E = math.log2(math.e)

# Interpolated at the zeros of Chebyshev polynomials, the highest power first.
_GROWTH_SINGLE = (
    1.54531629451206902e-4, 1.33908633646712344e-3, 9.61808255727785149e-3, 5.55035711421907782e-2,
    0.240226507605681269, 0.693147188026228781,
)  # fmt: skip
_GROWTH = (
    4.45496059818651839e-10, 7.0725859492692237e-9, 1.01780624458457735e-7, 1.32154425879216897e-6,
    1.52527338298361184e-5, 1.54035304417360502e-4, 1.33335581464169353e-3, 9.61812910760688853e-3,
    5.55041086648215943e-2, 0.240226506959100982, 0.693147180559945309,
)  # fmt: skip
_SINE_SINGLE = (
    7.7655912276013869e-2, -0.5982904112834275, 2.5500773865289119, -5.1677100766683144, 3.1415926400772033,
)  # fmt: skip
_SINE = (
    -2.1133627352052970e-5, 4.6598701580433779e-4, -7.3703643265304157e-3, 8.2145878816310427e-2,
    -0.59926452882522400, 2.5501640398618676, -5.1677127800497858, 3.1415926535897929,
)  # fmt: skip
_VERSINE_SINGLE = (
    2.46271115952284581e-2, -0.235074368322395935, 1.33523996070089519, -4.05871141468343781, 4.93480219698698525,
)  # fmt: skip
_VERSINE = (
    -4.16639946272694841e-6, 1.04582863683265848e-4, -1.92956265247986611e-3, 2.58068900258753901e-2,
    -0.235330630272157695, 1.33526276885188038, -4.05871212641673598, 4.93480220054467925,
)  # fmt: skip
_ATANH = tuple(1 / k for k in range(33, 0, -2))


@inlined
def exponential(y: Any) -> Any:
    """(s, f) with 2^y = s + f: s = 2^k for the integer k nearest to y, f = s (2^r − 1), |r| ≤ ½.

    Below the smallest normal number, and above half of the largest, y is held; 2^0 = 1 + 0 exactly.
    """
    # k + 1.5·2^23 has k in its last bits; 'reassoc' would fold this rounding away.
    lowest, highest, shift = (-126.0, 127.0, 12582912.0) if is_single(y) else (-1022.0, 1023.0, 6755399441055744.0)
    y = where_less(number(y, lowest), y, y, number(y, lowest))
    y = where_less(y, number(y, highest), y, number(y, highest))
    shifted = add(y, number(y, shift))
    r = sub(y, sub(shifted, number(y, shift)))
    s = power_of_two(shifted)
    return s, mul(s, mul(r, _growth(r)))


@inlined
def _growth(r: Any) -> Any:
    # q(r) = (2^r − 1)/r on [−½, ½], to 1.2e-8 and 2e-17
    if is_single(r):
        return polynomial((r,), _GROWTH_SINGLE)[0]
    return polynomial((r,), _GROWTH)[0]


@inlined
def rotation(high: Any, low: Any) -> Any:
    """(σ, 1 − σ cos πw, σ sin πw) for w = high + low half turns; σ = ±1, so that the second does not cancel near 0."""
    turns = rounded(high)
    r = add(sub(high, turns), low)
    more = rounded(r)  # not 0 at the ends, and where low is of many turns itself
    r = sub(r, more)
    t = mul(r, r)
    return mul(_parity(turns), _parity(more)), mul(t, _versine(t)), mul(r, _sine(t))


@inlined
def _parity(turns: Any) -> Any:
    # 1 for even numbers, −1 for odd ones
    half = mul(turns, number(turns, 0.5))
    return sub(number(turns, 1.0), mul(size(sub(half, rounded(half))), number(turns, 4.0)))


@inlined
def _sine(t: Any) -> Any:
    # sin(πr)/r in t = r², |r| ≤ ½: 6e-9 and 2e-16
    if is_single(t):
        return polynomial((t,), _SINE_SINGLE)[0]
    return polynomial((t,), _SINE)[0]


@inlined
def _versine(t: Any) -> Any:
    # (1 − cos πr)/r² in t = r², |r| ≤ ½: 9e-10 and 2e-17
    if is_single(t):
        return polynomial((t,), _VERSINE_SINGLE)[0]
    return polynomial((t,), _VERSINE)[0]


@inlined
def logistic(x: Any) -> Any:
    """1/(1 + e^{−x}), by e^{−|x|}, which does not overflow."""
    one = number(x, 1.0)
    s, f = exponential(mul(size(x), number(x, -LOG2_E)))
    e = add(s, f)
    right = div(one, add(one, e))
    return where_less(x, number(x, 0.0), mul(e, right), right)


@inlined
def not_too_low(x: Any) -> Any:
    """x, or where e^x is held at the smallest normal number, the x where that begins: a product with it stays small."""
    lowest = number(x, -126.0 / LOG2_E if is_single(x) else -1022.0 / LOG2_E)
    return where_less(x, lowest, lowest, x)


@inlined
def softplus(x: Any) -> Any:
    """log(1 + e^x) = max(x, 0) + log1p(e^{−|x|}), with log1p(w) = 2 atanh(t), t = w/(2 + w) ≤ 1/3, as a series."""
    s, f = exponential(mul(size(x), number(x, -LOG2_E)))
    w = add(s, f)
    t = div(w, add(w, number(x, 2.0)))
    (p,) = polynomial((mul(t, t),), _ATANH)
    zero = number(x, 0.0)
    return fma(mul(t, p), number(x, 2.0), where_less(zero, x, x, zero))
