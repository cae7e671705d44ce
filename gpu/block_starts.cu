// What each block of time starts from: x_{j+1} = p_j x_j + e_j over the blocks j, with p the product of the decays of a
// block and e the last state of one that starts from zero. A thread has one state and goes from block to block.
//
// Where a sequence begins within a block nothing of x_j is left, not even NaN; and nothing of an x_j of 0, however much
// the block would have made of it. 0·NaN and ∞·0 would be NaN.

#include "device.cuh"
#include "parts.cuh"

typedef Kind<PARTS>::Type Number;

__device__ __forceinline__ bool is_zero(REAL a) { return a == 0; }
__device__ __forceinline__ bool is_zero(Complex a) { return a.re == 0 && a.im == 0; }

extern "C" __global__ void __launch_bounds__(THREADS) block_starts(
    const REAL *power, const REAL *ends, const unsigned char *cut, const REAL *first, REAL *starts, long long rows,
    long long blocks, long long states) {
  const long long element = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (element >= rows * states) return;
  const long long row = element / states, i = element % states;
  Number x = get(first, element, Number());
  for (long long j = 0; j < blocks; j++) {
    const long long at = (row * blocks + j) * states + i;
    put(starts, at, x);
    const Number made = get(ends, at, Number());
    x = (cut && cut[row * blocks + j]) || is_zero(x) ? made : times_plus(get(power, at, Number()), x, made);
  }
}
