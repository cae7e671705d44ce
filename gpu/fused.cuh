// Products with a sum in one rounding, written out, so that a step has the same bits wherever the compiler puts it.

__device__ __forceinline__ REAL fused(REAL a, REAL b, REAL c) { return fma(a, b, c); }
__device__ __forceinline__ Complex fused(Complex a, REAL b, Complex c) {
  return Complex{fma(a.re, b, c.re), fma(a.im, b, c.im)};
}
__device__ __forceinline__ Complex fused(Complex a, Complex b, Complex c) {
  return Complex{fma(a.re, b.re, fma(-a.im, b.im, c.re)), fma(a.re, b.im, fma(a.im, b.re, c.im))};
}
