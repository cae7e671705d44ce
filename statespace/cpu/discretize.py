"""α, β, γ of z = ΔA for vectors of steps: the mirror of `discretization.rules`, and the derivatives of it.

    α = s + f        β = Δ H(z)        γ = Δ G(z)

s is a power of two (or 0 or 1 for the rational rules) and f what is left, so that a decay near 1 loses nothing.
"""

from __future__ import annotations

import math
from typing import Any

from numba.extending import overload

from statespace.cpu.compile import FAST, inlined
from statespace.cpu.functions import exponential, rotation
from statespace.cpu.parts import choose, constant, inverse, largest, minus, plus, polynomial, scale, times, times_plus
from statespace.cpu.simd import add, fma, lanes_of, load, mul, number, sub
from statespace.rule_numbers import EXP_TRAPEZOIDAL, GBT, IMPULSE, S4_BILINEAR, S4_ZOH, ZOH

# ∫₀¹ w(s) e^{sz} ds as Taylor series of 22 terms; beyond |z| = 1.25 the closed forms lose nothing.
_RADIUS = 1.25
_TERMS = range(21, -1, -1)
_PHI2 = tuple(1 / math.factorial(k + 2) for k in _TERMS)  # w = 1 − s
_RAMP = tuple((k + 1) / math.factorial(k + 2) for k in _TERMS)  # w = s
_HUMP = tuple((k + 1) / math.factorial(k + 3) for k in _TERMS)  # w = s (1 − s)
_SQUARE = tuple(1 / (math.factorial(k) * (k + 3)) for k in _TERMS)  # w = s²


def decay(turns: Any, i: Any, dt: Any, parts: Any) -> Any:
    """(s, f) with e^{ΔA} = s + f, of state i; s is a vector, f has the parts of A.

    turns hold Re A·log2(e), and for complex A the half turns Im A/π in two parts after it: an angle of many turns
    keeps its digits.
    """


@overload(decay, jit_options={"fastmath": FAST, "forceinline": True, "error_model": "numpy"}, strict=False)
def _decay(turns: Any, i: Any, dt: Any, parts: Any) -> Any:
    def real(turns: Any, i: Any, dt: Any, parts: Any) -> Any:
        s, f = exponential(mul(dt, load_vector(turns, i)))
        return s, (f,)

    def complex_(turns: Any, i: Any, dt: Any, parts: Any) -> Any:
        # σ e^x cos θ − s and σ e^x sin θ, by 1 − cos θ near θ = 0
        s, f = exponential(mul(dt, load_vector(turns, 3 * i)))
        near, far = load_vector(turns, 3 * i + 1), load_vector(turns, 3 * i + 2)
        high = mul(dt, near)
        low = fma(dt, far, fma(dt, near, mul(high, number(dt, -1.0))))
        sign, versine, sine = rotation(high, low)
        e = add(s, f)
        real = fma(mul(versine, number(dt, -1.0)), e, f)
        back = mul(sub(sign, number(dt, 1.0)), s)
        return s, (fma(sign, real, back), mul(mul(sign, sine), e))

    return real if parts.count == 1 else complex_


@inlined
def load_vector(array: Any, index: Any) -> Any:
    """Vector number ``index`` of an array."""
    return load(array, index * lanes_of(array))


@inlined
def factors(kind: Any, w: Any, dt: Any, a: Any, turns: Any, i: Any) -> Any:
    """(s, f, G, H) of one step: α = s + f, γ = Δ G, β = Δ H."""
    zero, one = constant(0.0, a), constant(1.0, a)
    z = scale(dt, a)
    if kind >= GBT:  # the rational rules
        # α = (1 + (1 − w)z)/(1 − wz)
        q = inverse(times_plus(z, constant(-w, a), one))
        near = largest(z)
        f = choose(near, one[0], times(z, q), times(times_plus(z, constant(1 - w, a), one), q))
        s = choose(near, one[0], (one[0],), (zero[0],))[0]
        if kind == GBT:
            return s, f, scale(number(dt, w), q), scale(number(dt, 1 - w), q)
        return s, f, q, zero
    s, f = decay(turns, i, dt, a)
    if kind == IMPULSE:
        return s, f, one, zero
    if kind == EXP_TRAPEZOIDAL:
        return s, f, constant(w, a), scale(number(dt, 1 - w), plus((s,), f))
    held = _phi1(z, s, f)
    if kind == S4_ZOH:
        return s, f, held, zero
    if kind == ZOH:
        return s, f, zero, held
    return s, f, _phi2(z, held), _ramp(z, plus((s,), f))


@inlined
def slopes(kind: Any, w: Any, dt: Any, a: Any, turns: Any, i: Any) -> Any:
    """(α, α′, G, G′, H, H′) of one step, derivatives by z."""
    zero = constant(0.0, a)
    z = scale(dt, a)
    if kind >= GBT:  # the rational rules
        # 1/(1 − wz) = q, q′ = w q², α′ = q²
        q = inverse(times_plus(z, constant(-w, a), constant(1.0, a)))
        alpha, square = times(times_plus(z, constant(1 - w, a), constant(1.0, a)), q), times(q, q)
        grown = scale(number(dt, w), square)
        if kind == S4_BILINEAR:
            return alpha, square, q, grown, zero, zero
        ahead, behind = number(dt, w), number(dt, 1 - w)
        return alpha, square, scale(ahead, q), scale(ahead, grown), scale(behind, q), scale(behind, grown)
    s, f = decay(turns, i, dt, a)
    e = plus((s,), f)
    if kind == IMPULSE:
        return e, e, constant(1.0, a), zero, zero, zero
    if kind == EXP_TRAPEZOIDAL:
        behind = scale(number(dt, 1 - w), e)
        return e, e, constant(w, a), zero, behind, behind
    held, ramp = _phi1(z, s, f), _ramp(z, e)  # φ1′ is the ramp
    if kind == S4_ZOH:
        return e, e, held, ramp, zero, zero
    if kind == ZOH:
        return e, e, zero, zero, held, ramp
    phi2 = _phi2(z, held)
    return e, e, phi2, _hump(z, held, phi2), ramp, _square(z, e, ramp)


# --------------------------------------------------------------- entire functions


@inlined
def _phi1(z: Any, s: Any, f: Any) -> Any:
    # (e^z − 1)/z, and 1 at 0
    small, one = number(s, 1e-20), constant(1.0, z)
    grown = plus((sub(s, one[0]),), f)
    return choose(largest(z), small, one, times(grown, inverse(choose(largest(z), small, one, z))))


@inlined
def _either(z: Any, near: Any, far: Any) -> Any:
    return choose(largest(z), number(z[0], _RADIUS), near, far)


@inlined
def _far(z: Any) -> Any:
    # 1/z where the closed forms hold
    return inverse(_either(z, constant(1.0, z), z))


@inlined
def _kept(z: Any, e: Any) -> Any:
    # e^z, 0 after long steps, where it is held at the smallest normal number and z e^z is not 0
    return choose(z[0], number(z[0], -1e4), constant(0.0, z), e)


@inlined
def _phi2(z: Any, held: Any) -> Any:
    # ∫₀¹ (1 − s) e^{sz} ds = (φ1 − 1)/z
    return _either(z, polynomial(z, _PHI2), times(minus(held, constant(1.0, z)), _far(z)))


@inlined
def _ramp(z: Any, e: Any) -> Any:
    # ∫₀¹ s e^{sz} ds = φ1 − φ2 = ((z − 1) e^z + 1)/z²
    one, inv = constant(1.0, z), _far(z)
    closed = times(times(times_plus(minus(z, one), _kept(z, e), one), inv), inv)
    return _either(z, polynomial(z, _RAMP), closed)


@inlined
def _hump(z: Any, held: Any, phi2: Any) -> Any:
    # φ2′ = ∫₀¹ s (1 − s) e^{sz} ds = (φ1 − 2 φ2)/z
    return _either(z, polynomial(z, _HUMP), times(minus(held, plus(phi2, phi2)), _far(z)))


@inlined
def _square(z: Any, e: Any, ramp: Any) -> Any:
    # (φ1 − φ2)′ = ∫₀¹ s² e^{sz} ds = (e^z − 2 (φ1 − φ2))/z
    return _either(z, polynomial(z, _SQUARE), times(minus(e, plus(ramp, ramp)), _far(z)))
