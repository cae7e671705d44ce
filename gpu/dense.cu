// Dense systems sample by sample, and states that go from block to block (the twins of dense_steps,
// complex_dense_steps, carry and low_rank_steps in statespace/cpu).
//
//     dense       [x_{k+1}; y_k] = [[A, B], [C, D]] [x_k; u_k]
//     carry       x_{j+1} = P x_j + v_j
//     low rank    w = −Qᴴ x_k,  y_k = C x_k + D u_k,  then x_{k+1} = a x_k + P w + B u_k
//
// A row belongs to `width` threads of one block, which has THREADS/width rows.
// A thread sums rows of the matrix, width apart, in the order of columns; the state lies in shared memory, twice, so
// that one barrier is enough for a sample. Rows beyond the last go along for the barriers.
//
// Matrices are (systems, columns, rows), transposed, so that neighbouring threads read neighbours. Signals (rows, L,
// channels) lie one after the other; x is (rows, n).

#define REAL double
#include "device.cuh"
#include "parts.cuh"
#include "fused.cuh"

typedef Kind<PARTS>::Type Number;

// Launch bounds ask for 1 block at least, or ptxas spills for the sake of more at a time.
constexpr int THREADS = 128;

// The row that a thread works on, and its part of it.
struct Row {
  long long row, system;
  int i, width;
  bool present;
};

__device__ __forceinline__ Row own_row(const long long *which, long long rows, int width) {
  Row own;
  own.width = width, own.i = (int)threadIdx.x % width;
  own.row = (long long)blockIdx.x * (THREADS / width) + (int)threadIdx.x / width;
  own.present = own.row < rows;
  own.system = which && own.present ? which[own.row] : 0;
  return own;
}

// Shared memory of so many numbers for each row.
__device__ __forceinline__ Number *room(const Row &own, int numbers) {
  return (Number *)shared_memory() + ((int)threadIdx.x / own.width) * numbers;
}

__device__ __forceinline__ double number_at(const SIGNAL *u, long long at, double) { return (double)u[at]; }
__device__ __forceinline__ Complex number_at(const SIGNAL *u, long long at, Complex) {
  return Complex{(double)u[2 * at], (double)u[2 * at + 1]};
}
__device__ __forceinline__ void put_number(SIGNAL *y, long long at, double value) { y[at] = (SIGNAL)value; }
__device__ __forceinline__ void put_number(SIGNAL *y, long long at, Complex value) {
  y[2 * at] = (SIGNAL)value.re, y[2 * at + 1] = (SIGNAL)value.im;
}

// Σ_j M[j, i] x_j, M being (columns, rows) and this its column i.
__device__ __forceinline__ Number
product(const Number *__restrict__ matrix, int rows, int columns, const Number *x, Number total) {
#pragma unroll 4
  for (int j = 0; j < columns; j++) total = fused(matrix[(long long)j * rows], x[j], total);
  return total;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) dense_steps(
    const Number *__restrict__ matrix, const long long *__restrict__ which, const SIGNAL *__restrict__ u,
    Number *__restrict__ x, SIGNAL *__restrict__ y, Number *__restrict__ states, long long rows, long long length,
    long long kept, int n, int m, int p, int width) {
  const Row own = own_row(which, rows, width);
  const Number *system = matrix + own.system * (n + m) * (n + p);
  Number *now = room(own, 2 * (n + m)), *next = now + n + m;
  for (int i = own.i; i < n && own.present; i += width) now[i] = x[own.row * n + i];
  for (long long k = 0; k < length; k++) {
    for (int j = own.i; j < m && own.present; j += width)
      now[n + j] = number_at(u, (own.row * length + k) * m + j, Number());
    barrier();
    if (own.present) {
      for (int i = own.i; i < n && k >= length - kept; i += width)
        states[(own.row * kept + k - (length - kept)) * n + i] = now[i];
      // [x_{k+1}; y_k] = [[A, B], [C, D]] [x_k; u_k]
      for (int i = own.i; i < n + p; i += width) {
        const Number total = product(system + i, n + p, n + m, now, constant(0, Number()));
        if (i < n)
          next[i] = total;
        else
          put_number(y, (own.row * length + k) * p + i - n, total);
      }
    }
    Number *const other = now;
    now = next, next = other;
  }
  for (int i = own.i; i < n && own.present; i += width) x[own.row * n + i] = now[i];
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) carry(
    const Number *__restrict__ power, const long long *__restrict__ which, const Number *__restrict__ v,
    Number *__restrict__ x, long long rows, long long blocks, int n, int width) {
  const Row own = own_row(which, rows, width);
  const Number *system = power + own.system * n * n;
  Number *now = room(own, 2 * n), *next = now + n;
  // x[row, 0, :], v[row, 0, :]
  Number *states = x + own.row * (blocks + 1) * n;
  const Number *made = v + own.row * blocks * n;
  for (int i = own.i; i < n && own.present; i += width) now[i] = states[i];
  for (long long j = 0; j < blocks; j++) {
    barrier();
    // x_{j+1} = P x_j + v_j
    for (int i = own.i; i < n && own.present; i += width) {
      const Number total = product(system + i, n, n, now, made[j * n + i]);
      next[i] = states[(j + 1) * n + i] = total;
    }
    Number *const other = now;
    now = next, next = other;
  }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) low_rank_steps(
    const Number *__restrict__ a, const Number *__restrict__ pt, const Number *__restrict__ qt,
    const Number *__restrict__ bt, const Number *__restrict__ ct, const Number *__restrict__ dt,
    const long long *__restrict__ which, const SIGNAL *__restrict__ u, Number *__restrict__ x, SIGNAL *__restrict__ y,
    Number *__restrict__ states, long long rows, long long length, long long kept, int n, int r, int m, int p,
    int width) {
  const Row own = own_row(which, rows, width);
  const Number *diagonal = a + own.system * n, *spread = pt + own.system * r * n, *reach = bt + own.system * m * n;
  const Number *gather = qt + own.system * r * n, *see = ct + own.system * n * p, *through = dt + own.system * m * p;
  Number *now = room(own, n + m + r), *heard = now + n, *w = heard + m;
  for (int i = own.i; i < n && own.present; i += width) now[i] = x[own.row * n + i];
  for (long long k = 0; k < length; k++) {
    for (int j = own.i; j < m && own.present; j += width)
      heard[j] = number_at(u, (own.row * length + k) * m + j, Number());
    barrier();
    for (int i = own.i; i < n && own.present && k >= length - kept; i += width)
      states[(own.row * kept + k - (length - kept)) * n + i] = now[i];
    // w = −Qᴴ x_k,  y_k = C x_k + D u_k
    for (int i = own.i; i < r + p && own.present; i += width) {
      if (i < r) {  // row i of qt
        w[i] = minus(constant(0, Number()), product(gather + (long long)i * n, 1, n, now, constant(0, Number())));
      } else {
        const Number free = product(see + i - r, p, n, now, constant(0, Number()));
        put_number(y, (own.row * length + k) * p + i - r, product(through + i - r, p, m, heard, free));
      }
    }
    barrier();
    // x_{k+1} = a x_k + P w + B u_k
    for (int i = own.i; i < n && own.present; i += width) {
      const Number grown = product(spread + i, n, r, w, times(diagonal[i], now[i]));
      now[i] = product(reach + i, n, m, heard, grown);
    }
    barrier();
  }
  for (int i = own.i; i < n && own.present; i += width) x[own.row * n + i] = now[i];
}
