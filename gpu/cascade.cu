// Sections in series, sample by sample, and delay lines (the twins of cascade_steps and delay_steps in statespace/cpu).
//
//     v = u_k, and section by section
//     y = c1 x1 + c2 x2 + d v,  x1⁺ = a11 x1 + a12 x2 + b v,  x2⁺ = a21 x1 + a22 x2,  v = y
//     FIR:  y_k = Σ_j taps[j] u_{k−j}
//
// cascade_steps: a thread has a row. It takes STRIP samples through one section after the other, so that the eight
// numbers of a section are read, and its state read and written, once for all of them; what passes from section to
// section stays in registers, in double. q is (systems, sections, 8) = a11 a12 a21 a22 b c1 c2 d, x (2·sections, rows),
// rows last, so that neighbouring threads read neighbours; states (rows, kept, 2·sections). Signals lie anywhere: row r
// at (r / inner)·outer + (r % inner)·within.
//
// delay_steps: a thread has an output. padded is (rows, taps − 1 + L), the samples before the first ones in front.

#define REAL double
#include "device.cuh"
#include "parts.cuh"
#include "fused.cuh"

typedef Kind<PARTS>::Type Number;

// Launch bounds ask for 1 block at least, or ptxas spills for the sake of more at a time.
constexpr int THREADS = 128, STRIP = 16, NUMBERS = 8;

__device__ __forceinline__ double number_at(const SIGNAL *u, double) { return (double)u[0]; }
__device__ __forceinline__ Complex number_at(const SIGNAL *u, Complex) { return Complex{(double)u[0], (double)u[1]}; }
__device__ __forceinline__ void put_number(SIGNAL *y, double value) { y[0] = (SIGNAL)value; }
__device__ __forceinline__ void put_number(SIGNAL *y, Complex value) {
  y[0] = (SIGNAL)value.re, y[1] = (SIGNAL)value.im;
}

// Takes `count` samples v through a section; the states before those from number `first` on go to `states`.
__device__ __forceinline__ void section(
    const Number *__restrict__ q, Number &x1, Number &x2, Number (&v)[STRIP], int count, long long first,
    Number *states, int apart) {
  const Number a11 = q[0], a12 = q[1], a21 = q[2], a22 = q[3], b = q[4], c1 = q[5], c2 = q[6], d = q[7];
#pragma unroll
  for (int t = 0; t < STRIP; t++)
    if (t < count) {
      if (t >= first) states[(t - first) * apart] = x1, states[(t - first) * apart + 1] = x2;
      // y = c1 x1 + c2 x2 + d v,  x1⁺ = a11 x1 + a12 x2 + b v,  x2⁺ = a21 x1 + a22 x2
      const Number y = fused(c1, x1, fused(c2, x2, times(d, v[t])));
      const Number after = fused(a11, x1, fused(a12, x2, times(b, v[t])));
      x2 = fused(a21, x1, times(a22, x2)), x1 = after, v[t] = y;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) cascade_steps(
    const Number *__restrict__ q, const long long *__restrict__ which, const SIGNAL *__restrict__ u,
    Number *__restrict__ x, SIGNAL *__restrict__ y, Number *__restrict__ states, long long rows, long long length,
    long long kept, int sections, long long inner, long long u_outer, long long u_inner, long long u_time,
    long long u_channel, long long y_outer, long long y_inner, long long y_time, long long y_channel) {
  const long long row = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (row >= rows) return;
  constexpr int PART = PARTS;  // numbers of the signal's type in a sample
  const Number *table = q + (which ? which[row] : 0) * sections * NUMBERS;
  u += (row / inner * u_outer + row % inner * u_inner) * PART;
  y += (row / inner * y_outer + row % inner * y_inner) * PART;
  for (long long begin = 0; begin < length; begin += STRIP) {
    const int count = length - begin < STRIP ? (int)(length - begin) : STRIP;
    Number v[STRIP];
#pragma unroll
    for (int t = 0; t < STRIP; t++)
      v[t] = t < count ? number_at(u + (begin + t) * u_time * PART, Number()) : constant(0, Number());
    // states[row, k − (L − kept), section], from sample `first` of the strip on
    const long long before = length - kept - begin, first = before > 0 ? before : 0;
    Number *trace = states + ((row * kept + begin + first - (length - kept)) * sections) * 2;
    for (int i = 0; i < sections; i++) {
      Number &x1 = x[2 * i * rows + row], &x2 = x[(2 * i + 1) * rows + row];
      Number one = x1, two = x2;
      section(table + i * NUMBERS, one, two, v, count, first, trace + 2 * i, 2 * sections);
      x1 = one, x2 = two;
    }
#pragma unroll
    for (int t = 0; t < STRIP; t++)
      if (t < count) put_number(y + (begin + t) * y_time * PART, v[t]);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS) delay_steps(
    const Number *__restrict__ taps, const long long *__restrict__ which, const Number *__restrict__ padded,
    SIGNAL *__restrict__ y, long long rows, long long length, int n) {
  const long long element = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (element >= rows * length) return;
  const long long row = element / length, k = element % length;
  const Number *own = taps + (which ? which[row] : 0) * (n + 1), *now = padded + row * (n + length) + k + n;
  // y_k = Σ_j taps[j] u_{k−j}
  Number total = times(own[0], now[0]);
  for (int j = 1; j <= n; j++) total = fused(own[j], now[-j], total);
  put_number(y + element * PARTS, total);
}
