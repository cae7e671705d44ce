// Affine steps, element by element and in the order of k (the twin of affine_steps in statespace/cpu/diagonal.py).
//
//     x_k = a_k x_{k−1} + b_k
//
// a is (systems, L, n), b and states (rows, L, n), x (rows, n), which (rows,) the system of each row. A thread has one
// element of one row, and a grid as many as there are; neighbours in a block are neighbours in memory. AHEAD steps are
// read before they are made, so that their reads wait together.

#include "device.cuh"
#include "parts.cuh"
#include "fused.cuh"

typedef Kind<PARTS>::Type Number;

constexpr int THREADS = 128, AHEAD = 8;

extern "C" __global__ void __launch_bounds__(THREADS) affine_steps(
    const Number *__restrict__ a, const Number *__restrict__ b, const long long *__restrict__ which,
    Number *__restrict__ x, Number *__restrict__ states, long long rows, long long length, long long n) {
  const long long element = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (element >= rows * n) return;
  const long long row = element / n, i = element % n, system = which ? which[row] : 0;
  // a[system, 0, i], b[row, 0, i], states[row, 0, i]
  const Number *decay = a + system * length * n + i, *drive = b + row * length * n + i;
  Number *kept = states + row * length * n + i;
  Number now = x[element];
  for (long long begin = 0; begin < length; begin += AHEAD) {
    Number decays[AHEAD], drives[AHEAD];
#pragma unroll
    for (int k = 0; k < AHEAD; k++) {
      const bool present = begin + k < length;
      decays[k] = present ? decay[(begin + k) * n] : constant(0, Number());
      drives[k] = present ? drive[(begin + k) * n] : constant(0, Number());
    }
    // x_k = a_k x_{k−1} + b_k
#pragma unroll
    for (int k = 0; k < AHEAD; k++)
      if (begin + k < length) {
        now = fused(decays[k], now, drives[k]);
        kept[(begin + k) * n] = now;
      }
  }
  x[element] = now;
}
