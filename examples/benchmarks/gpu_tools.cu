// Small kernels of the benchmark: inputs of any size made on the card, a kernel that does nothing for a while, and loads
// from shared memory that are timed. device.cuh of the engine is pasted in front.

#ifndef DISTINCT
#define DISTINCT 1
#endif

// The clock of a multiprocessor; where there is none, 64 later than it was.
__device__ __forceinline__ long long clock_after(long long before) {
#ifdef STATESPACE_EMULATED
  return before + 64;
#else
  return clock64();
#endif
}

constexpr int LOADS = 8;     // of a round, one behind the other
constexpr int WORDS = 1024;  // of sixteen bytes in shared memory, a power of two

// A number that has nothing to do with its neighbours (the finalizer of MurmurHash3).
__device__ __forceinline__ unsigned int scattered(unsigned int x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// x_i = scale·(a sum of four uniform numbers, of mean 0 and deviation 1): a normal one, but for its tails
extern "C" __global__ void noise(float *x, long long count, unsigned int seed, float scale) {
  const long long all = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += all) {
    float sum = -2.0f;
    for (unsigned int k = 0; k < 4; k++)
      sum += (scattered(scattered((unsigned int)i + seed) + 0x9e3779b9u * (k + 1) + (unsigned int)(i >> 32)) >> 8) *
             (1.0f / (1 << 24));
    x[i] = scale * 1.7320508f * sum;
  }
}

// One thread that waits: what is queued meanwhile starts without gaps.
extern "C" __global__ void hold(long long *clocks, long long wanted) {
  const long long begin = clock_after(0);
  long long now = begin;
  while (now - begin < wanted) now = clock_after(now);
  clocks[0] = now - begin;
}

union Piece {
  Sixteen all;
  unsigned int each[4];
};

// Every lane of a warp reads sixteen bytes, the same as those DISTINCT lanes on (as lanes that have the same states of other
// channels read B and C), rounds·LOADS times. clocks[warp] are those that this took; what was read is kept, as nobody
// would load it otherwise.
extern "C" __global__ void broadcast_loads(unsigned int *kept, long long *clocks, int rounds) {
  Sixteen *words = (Sixteen *)shared_memory();
  for (int i = threadIdx.x; i < WORDS; i += blockDim.x) {
    Piece piece;
    for (int j = 0; j < 4; j++) piece.each[j] = scattered(4 * i + j);
    words[i] = piece.all;
  }
  barrier();
  const int warp = threadIdx.x / 32, own = threadIdx.x % DISTINCT;
  unsigned int sums[4] = {0, 0, 0, 0};
  const long long begin = clock_after(0);
#pragma unroll 1
  for (int round = 0; round < rounds; round++) {
    const Sixteen *from = words + (round * LOADS * DISTINCT & (WORDS - 1)) + own;
#pragma unroll
    for (int k = 0; k < LOADS; k += 2) {
      Piece one, two;
      one.all = from[k * DISTINCT];
      two.all = from[(k + 1) * DISTINCT];
#pragma unroll
      for (int j = 0; j < 4; j++) sums[j] ^= one.each[j] ^ two.each[j];
    }
  }
  if (threadIdx.x % 32 == 0) clocks[warp] = clock_after(begin) - begin;
  kept[threadIdx.x] = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
}
