// α, β, γ of z = ΔA: the mirror of statespace/discretization/rules.py and statespace/cpu/discretize.py, with derivatives.
//
//     β = Δ H(z)        γ = Δ G(z)

constexpr int IMPULSE = 0, S4_ZOH = 1, ZOH = 2, FOH = 3, EXP_TRAPEZOIDAL = 4, GBT = 5, S4_BILINEAR = 6;
constexpr bool TWO_TAPS = RULE == ZOH || RULE == FOH || RULE == EXP_TRAPEZOIDAL || RULE == GBT;
constexpr int TERMS = SINGLE ? 12 : 22; // of Taylor series; beyond |z| = 1.25 the closed forms lose nothing

template <class Number> struct Factors {
  Number alpha, ahead, behind; // α, G, H
};
template <class Number> struct Slopes {
  Number alpha, turn, ahead, bend, behind, fall; // α, α′, G, G′, H, H′
};

// ∫₀¹ w(s) e^{sz} ds as c_0 (1 + r_0 z (1 + r_1 z (1 + …))), r_k the ratio of the coefficients k + 1 and k.
template <class Number> __device__ __forceinline__ Number phi2_near(Number z) { // w = 1 − s: Σ z^k/(k + 2)!
  Number sum = constant(1, z);
#pragma unroll
  for (int k = TERMS - 2; k >= 0; k--) sum = plus(times((REAL)(1.0 / (k + 3)), times(z, sum)), constant(1, z));
  return times((REAL)0.5, sum);
}
template <class Number> __device__ __forceinline__ Number ramp_near(Number z) { // w = s: Σ (k + 1) z^k/(k + 2)!
  Number sum = constant(1, z);
#pragma unroll
  for (int k = TERMS - 2; k >= 0; k--)
    sum = plus(times((REAL)((k + 2.0) / ((k + 1.0) * (k + 3.0))), times(z, sum)), constant(1, z));
  return times((REAL)0.5, sum);
}
template <class Number> __device__ __forceinline__ Number hump_near(Number z) { // w = s(1 − s): Σ (k + 1) z^k/(k + 3)!
  Number sum = constant(1, z);
#pragma unroll
  for (int k = TERMS - 2; k >= 0; k--)
    sum = plus(times((REAL)((k + 2.0) / ((k + 1.0) * (k + 4.0))), times(z, sum)), constant(1, z));
  return times((REAL)(1.0 / 6), sum);
}
template <class Number> __device__ __forceinline__ Number square_near(Number z) { // w = s²: Σ z^k/(k! (k + 3))
  Number sum = constant(1, z);
#pragma unroll
  for (int k = TERMS - 2; k >= 0; k--)
    sum = plus(times((REAL)((k + 3.0) / ((k + 1.0) * (k + 4.0))), times(z, sum)), constant(1, z));
  return times((REAL)(1.0 / 3), sum);
}

template <class Number> __device__ __forceinline__ Number phi1(Number z, Number grown) { // (e^z − 1)/z, and 1 at 0
  return largest(z) < (REAL)1e-18 ? constant(1, z) : times(grown, inverse(z));
}
template <class Number> __device__ __forceinline__ bool is_near(Number z) { return largest(z) < (REAL)1.25; }
template <class Number> __device__ __forceinline__ Number phi2(Number z, Number held) { // (φ1 − 1)/z
  return is_near(z) ? phi2_near(z) : times(plus(held, constant(-1, z)), inverse(z));
}
template <class Number> __device__ __forceinline__ Number ramp(Number z, Number e) { // φ1 − φ2 = ((z − 1) e^z + 1)/z²
  if (is_near(z)) return ramp_near(z);
  const Number q = inverse(z), closed = times_plus(plus(z, constant(-1, z)), e, constant(1, z));
  return times(times(closed, q), q);
}
template <class Number> __device__ __forceinline__ Number hump(Number z, Number held, Number other) {
  return is_near(z) ? hump_near(z) : times(minus(held, plus(other, other)), inverse(z)); // φ2′ = (φ1 − 2 φ2)/z
}
template <class Number> __device__ __forceinline__ Number square(Number z, Number e, Number slope) {
  return is_near(z) ? square_near(z) : times(minus(e, plus(slope, slope)), inverse(z)); // (e^z − 2 (φ1 − φ2))/z
}

template <class Number>
__device__ __forceinline__ Factors<Number> factors(REAL w, REAL dt, Number a, Turns<Number> turns) {
  const Number zero = constant(0, a), one = constant(1, a), z = times(dt, a);
  if (RULE >= GBT) { // α = (1 + (1 − w)z)/(1 − wz), q = 1/(1 − wz)
    const Number q = inverse(times_plus(-w, z, one)), alpha = times(times_plus(1 - w, z, one), q);
    if (RULE == GBT) return Factors<Number>{alpha, times(w, q), times(1 - w, q)};
    return Factors<Number>{alpha, q, zero};
  }
  const Number e = decay(turns, dt);
  if (RULE == IMPULSE) return Factors<Number>{e, one, zero};
  if (RULE == EXP_TRAPEZOIDAL) return Factors<Number>{e, constant(w, a), times(1 - w, e)};
  const Number held = phi1(z, growth(a, turns, dt));
  if (RULE == S4_ZOH) return Factors<Number>{e, held, zero};
  if (RULE == ZOH) return Factors<Number>{e, zero, held};
  return Factors<Number>{e, phi2(z, held), ramp(z, e)};
}

template <class Number>
__device__ __forceinline__ Slopes<Number> slopes(REAL w, REAL dt, Number a, Turns<Number> turns) {
  const Number zero = constant(0, a), one = constant(1, a), z = times(dt, a);
  if (RULE >= GBT) { // q′ = w q², α′ = q²
    const Number q = inverse(times_plus(-w, z, one)), alpha = times(times_plus(1 - w, z, one), q);
    const Number turn = times(q, q), bend = times(w, turn);
    if (RULE == S4_BILINEAR) return Slopes<Number>{alpha, turn, q, bend, zero, zero};
    return Slopes<Number>{alpha, turn, times(w, q), times(w, bend), times(1 - w, q), times(1 - w, bend)};
  }
  const Number e = decay(turns, dt);
  if (RULE == IMPULSE) return Slopes<Number>{e, e, one, zero, zero, zero};
  if (RULE == EXP_TRAPEZOIDAL) {
    const Number behind = times(1 - w, e);
    return Slopes<Number>{e, e, constant(w, a), zero, behind, behind};
  }
  const Number held = phi1(z, growth(a, turns, dt)), slope = ramp(z, e); // φ1′ is the ramp
  if (RULE == S4_ZOH) return Slopes<Number>{e, e, held, slope, zero, zero};
  if (RULE == ZOH) return Slopes<Number>{e, e, zero, zero, held, slope};
  const Number second = phi2(z, held);
  return Slopes<Number>{e, e, second, hump(z, held, second), slope, square(z, e, slope)};
}
