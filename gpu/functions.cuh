// e^z, sine and cosine, softplus and the logistic function (the mirror of statespace/cpu/functions.py).

constexpr double LOG2_E = 1.44269504088896340736;
constexpr bool SINGLE = sizeof(REAL) == 4;

// What `decay` takes of a pole: Re A·log2(e), and for a complex one the half turns Im A/π as a sum of two numbers, so
// that an angle of many turns keeps its digits.
template <class Number> struct Turns;
template <> struct Turns<REAL> {
  REAL decay;
};
template <> struct Turns<Complex> {
  REAL decay, near, far;
};

__device__ __forceinline__ Turns<REAL> turns_of(REAL a) { return Turns<REAL>{(REAL)(a * LOG2_E)}; }
__device__ __forceinline__ Turns<Complex> turns_of(Complex a) {
  // π in two numbers of this precision; a/π = near + far
  const REAL high = SINGLE ? (REAL)3.14159274101257324f : (REAL)3.14159265358979312;
  const REAL low = SINGLE ? (REAL)-8.74227765734758577e-8 : (REAL)1.22464679914735318e-16;
  const REAL near = a.im * (REAL)0.318309886183790671538;
  const REAL left = fma(-near, low, fma(-near, high, a.im));
  return Turns<Complex>{(REAL)(a.re * LOG2_E), near, left * (REAL)0.318309886183790671538};
}

// e^{ΔA}, and e^{ΔA} − 1 without cancellation
__device__ __forceinline__ REAL decay(Turns<REAL> turns, REAL dt) { return exp2_fast(dt * turns.decay); }
__device__ __forceinline__ REAL growth(REAL a, Turns<REAL>, REAL dt) { return expm1(dt * a); }

__device__ __forceinline__ REAL half_turns(Turns<Complex> turns, REAL dt) {
  const REAL high = dt * turns.near;
  const REAL low = fma(dt, turns.far, fma(dt, turns.near, -high));
  return high - 2 * rint(high * (REAL)0.5) + low;
}
__device__ __forceinline__ Complex decay(Turns<Complex> turns, REAL dt) {
  REAL sine, cosine;
  sine_cosine(half_turns(turns, dt), sine, cosine);
  const REAL e = exp2_fast(dt * turns.decay);
  return Complex{e * cosine, e * sine};
}
__device__ __forceinline__ Complex growth(Complex a, Turns<Complex> turns, REAL dt) {
  // (e^x − 1) cos θ − 2 sin²(θ/2) and e^x sin θ
  REAL sine, cosine, half, other;
  const REAL angle = half_turns(turns, dt), grown = expm1(dt * a.re);
  sine_cosine(angle, sine, cosine);
  sine_cosine((REAL)0.5 * angle, half, other);
  return Complex{grown * cosine - 2 * half * half, (grown + 1) * sine};
}

// 1/(1 + e^{−x}); where e^{−x} is infinite it is 0
__device__ __forceinline__ REAL logistic(REAL x) { return inverse_fast(1 + exp2_fast(x * (REAL)-LOG2_E)); }

// x, or where e^x is too small to be seen, the x where that begins: infinity times 0 is none
__device__ __forceinline__ REAL not_too_low(REAL x) {
  const REAL lowest = SINGLE ? (REAL)-87 : (REAL)-708;
  return x < lowest ? lowest : x;
}

// z/(1 + e^{−z})
__device__ __forceinline__ REAL gate(REAL z) {
  const REAL seen = not_too_low(z);
  return seen * logistic(seen);
}

// log(1 + e^x) = max(x, 0) + log1p(e^{−|x|}), log1p(w) = 2 atanh(t), t = w/(2 + w) ≤ 1/3, as a series
__device__ __forceinline__ REAL softplus(REAL x) {
  const REAL w = exp2_fast(-largest(x) * (REAL)LOG2_E);
  const REAL t = w * inverse_fast(w + 2), square = t * t;
  constexpr int LAST = SINGLE ? 13 : 33; // what is left out is 1.4e-8 and 2e-17 of it
  REAL series = (REAL)(1.0 / LAST);
#pragma unroll
  for (int k = LAST - 2; k > 0; k -= 2) series = fma(series, square, (REAL)(1.0 / k));
  return fma(2 * t, series, x > 0 ? x : (x <= 0 ? (REAL)0 : x));
}
