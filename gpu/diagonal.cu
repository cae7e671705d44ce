// Diagonal systems: modes that do not talk to each other (the twin of diagonal_steps and pair_steps in
// statespace/cpu/diagonal.py).
//
//     y_k = C x_k + D u_k        x_{k+1} = a x_k + B u_k        PAIRS: y_k = 2·Re(C x_k) + D u_k on real signals
//
// A row of the batch, or one block of time of it, belongs to `lanes` neighbours in a warp, 1 to 32. Each holds HELD of
// its modes in registers, in double, and what they see is summed over the lanes by exchanges, in an order that depends
// on the number of lanes only. With one input and one output (SINGLE) the coefficients lie in registers too, and STRIP
// samples are read before they are needed; with more, coefficients come from the cache. Lanes of neighbouring rows are
// neighbours, so that channels that lie side by side are read together.
//
// Memory: a (systems, n), b (systems, m, n), c (systems, n, p), d (systems, m, p); x (rows, blocks, n), what each block
// starts from, and then what it leaves; states (rows, kept, n), before the last samples. Signals lie anywhere: row r at
// (r / inner)·outer step + (r % inner)·inner step, in samples.

#define REAL double
#include "device.cuh"
#include "parts.cuh"
#include "fused.cuh"

typedef Kind<PARTS>::Type Number;                  // of a mode
typedef Kind<PAIRS ? 1 : PARTS>::Type Sample;      // of a signal
constexpr int NUMBERS = sizeof(Sample) / sizeof(double), THREADS = 128, STRIP = SINGLE ? 8 : 1;

// How far a signal goes from sample to sample and from channel to channel, in its real numbers.
struct Steps {
  long long time, channel;
};

struct Modes {
  Number a[HELD], b[HELD], c[HELD], x[HELD];
};

// What one lane works on.
struct Lane {
  const Number *b, *c;   // of its system, from its first mode on
  const Sample *d;
  const SIGNAL *u;       // of its row and block of time
  SIGNAL *y;             // likewise; null where no outputs are wanted
  Number *states;        // of its row, from its first mode on; null where none are kept
  int part, lanes, own;  // its number among the lanes of the row; how many they are; the modes that it has
  int n, m, p;
  long long count, first;  // samples of the block, and the one from which on states are kept
  Steps heard, told;
};

__device__ __forceinline__ double sample_at(const SIGNAL *at, double) { return (double)at[0]; }
__device__ __forceinline__ Complex sample_at(const SIGNAL *at, Complex) {
  return Complex{(double)at[0], (double)at[1]};
}
__device__ __forceinline__ void put_sample(SIGNAL *at, double y) { at[0] = (SIGNAL)y; }
__device__ __forceinline__ void put_sample(SIGNAL *at, Complex y) { at[0] = (SIGNAL)y.re, at[1] = (SIGNAL)y.im; }

__device__ __forceinline__ Sample heard(const Lane &lane, long long k, int j) {
  if (k >= lane.count) return constant(0, Sample());
  return sample_at(lane.u + k * lane.heard.time + j * lane.heard.channel, Sample());
}

__device__ __forceinline__ void tell(const Lane &lane, long long k, int i, Sample y) {
  if (k >= lane.count || lane.part != 0) return;
  put_sample(lane.y + k * lane.told.time + i * lane.told.channel, y);
}

__device__ __forceinline__ double summed(double total, int lanes) {
  for (int mask = 1; mask < lanes; mask *= 2) total += exchange(total, mask);
  return total;
}
__device__ __forceinline__ Complex summed(Complex total, int lanes) {
  return Complex{summed(total.re, lanes), summed(total.im, lanes)};
}

// What a mode adds to an output: c x, or for one of a pair Re(c x).
__device__ __forceinline__ double seen(double c, double x, double total) { return fused(c, x, total); }
__device__ __forceinline__ Complex seen(Complex c, Complex x, Complex total) { return fused(c, x, total); }
__device__ __forceinline__ double seen(Complex c, Complex x, double total) {
  return fma(c.re, x.re, fma(-c.im, x.im, total));
}

// Σ over all modes of C x_k for output i; every lane takes part.
__device__ __forceinline__ Sample output(const Lane &lane, const Modes &modes, int i) {
  Sample total = constant(0, Sample());
#pragma unroll
  for (int q = 0; q < HELD; q++) {
    if (SINGLE) {
      total = seen(modes.c[q], modes.x[q], total);
    } else if (q < lane.own) {  // c[i + p·(lanes·q)]
      total = seen(lane.c[(long long)lane.lanes * q * lane.p + i], modes.x[q], total);
    }
  }
  total = summed(total, lane.lanes);
  return PAIRS ? plus(total, total) : total;
}

__device__ __forceinline__ void keep(const Lane &lane, const Modes &modes, long long k) {
  if (!lane.states || k >= lane.count || k < lane.first) return;
  Number *to = lane.states + (k - lane.first) * lane.n;
#pragma unroll
  for (int q = 0; q < HELD; q++)
    if (q < lane.own) to[lane.lanes * q] = modes.x[q];
}

// ------------------------------------------------------------ one input, one output

__device__ __forceinline__ void run_single(const Lane &lane, Modes &modes, long long longest) {
  const Sample d = lane.d[0];
  for (long long begin = 0; begin < longest; begin += STRIP) {
    Sample u[STRIP];
#pragma unroll
    for (int t = 0; t < STRIP; t++) u[t] = heard(lane, begin + t, 0);
#pragma unroll
    for (int t = 0; t < STRIP; t++) {
      keep(lane, modes, begin + t);
      // y_k = C x_k + D u_k
      if (lane.y) tell(lane, begin + t, 0, fused(d, u[t], output(lane, modes, 0)));
      // x_{k+1} = a x_k + B u_k
      if (begin + t < lane.count)
#pragma unroll
        for (int q = 0; q < HELD; q++)
          modes.x[q] = fused(modes.a[q], modes.x[q], times(modes.b[q], u[t]));
    }
  }
}

// ------------------------------------------------------------ many

__device__ __forceinline__ void run_many(const Lane &lane, Modes &modes, long long longest) {
  for (long long k = 0; k < longest; k++) {
    keep(lane, modes, k);
    // y_k = C x_k + D u_k
    for (int i = 0; lane.y && i < lane.p; i++) {
      Sample total = output(lane, modes, i);
      for (int j = 0; j < lane.m; j++) total = fused(lane.d[(long long)j * lane.p + i], heard(lane, k, j), total);
      tell(lane, k, i, total);
    }
    if (k >= lane.count) continue;
    // x_{k+1} = a x_k + B u_k
#pragma unroll
    for (int q = 0; q < HELD; q++) modes.x[q] = times(modes.a[q], modes.x[q]);
    for (int j = 0; j < lane.m; j++) {
      const Sample u = heard(lane, k, j);
#pragma unroll
      for (int q = 0; q < HELD; q++)  // b[j, lanes·q]
        if (q < lane.own) modes.x[q] = fused(lane.b[(long long)j * lane.n + lane.lanes * q], u, modes.x[q]);
    }
  }
}

// ------------------------------------------------------------ kernel

// The 1 lets ptxas take the registers that a lane needs: for more blocks at a time it would spill some.
extern "C" __global__ void __launch_bounds__(THREADS, 1) diagonal_lanes(
    const Number *__restrict__ a, const Number *__restrict__ b, const Number *__restrict__ c,
    const Sample *__restrict__ d, const long long *__restrict__ which, const SIGNAL *__restrict__ u, Number *x,
    SIGNAL *__restrict__ y, Number *__restrict__ states, long long rows, long long blocks, long long steps,
    long long length, long long kept, int lanes, int n, int m, int p, long long inner, long long u_outer,
    long long u_inner, long long u_time, long long u_channel, long long y_outer, long long y_inner, long long y_time,
    long long y_channel) {
  const long long thread = (long long)blockIdx.x * THREADS + threadIdx.x, item = thread / lanes;
  const bool present = item < rows * blocks;  // the others go along, for the exchanges of their warp
  const long long row = present ? item % rows : 0, block = present ? item / rows : 0;
  const long long system = which ? which[row] : 0, outer = row / inner, within = row % inner;
  Lane lane;
  lane.part = (int)(thread % lanes), lane.lanes = lanes;
  lane.n = n, lane.m = m, lane.p = p;
  lane.own = lane.part < n ? (n - lane.part + lanes - 1) / lanes : 0;
  const long long begin = block * steps;
  lane.count = length - begin < steps ? length - begin : steps, lane.first = length - kept - begin;
  if (!present) lane.count = 0;
  lane.b = b + system * m * n + lane.part;
  lane.c = c + (system * n + lane.part) * p;
  lane.d = d + system * m * p;
  lane.heard = Steps{u_time * NUMBERS, u_channel * NUMBERS};
  lane.told = Steps{y_time * NUMBERS, y_channel * NUMBERS};
  lane.u = u + (outer * u_outer + within * u_inner + begin * u_time) * NUMBERS;
  lane.y = y ? y + (outer * y_outer + within * y_inner + begin * y_time) * NUMBERS : nullptr;
  lane.states = kept ? states + row * kept * n + lane.part : nullptr;
  Number *own = x + (row * blocks + block) * n + lane.part;

  Modes modes;
#pragma unroll
  for (int q = 0; q < HELD; q++) {
    const bool has = q < lane.own;
    modes.a[q] = has ? a[system * n + lane.part + lanes * q] : constant(0, Number());
    modes.b[q] = SINGLE && has ? lane.b[lanes * q] : constant(0, Number());
    modes.c[q] = SINGLE && has ? lane.c[lanes * q] : constant(0, Number());
    modes.x[q] = present && has ? own[lanes * q] : constant(0, Number());  // another may have put its own there
  }
  const long long longest = steps < length ? steps : length;
  if (SINGLE)
    run_single(lane, modes, longest);
  else
    run_many(lane, modes, longest);
#pragma unroll
  for (int q = 0; q < HELD; q++)
    if (present && q < lane.own) own[lanes * q] = modes.x[q];
}
