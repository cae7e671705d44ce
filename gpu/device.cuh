// What depends on where a kernel runs: on a GPU, or on the host where tests compile the same text for it. Everything
// else in this folder is plain C++.

#ifndef SIGNAL
#define SIGNAL REAL
#endif

#ifdef STATESPACE_EMULATED // by tests/gpu/emulation.h, which has threads that take turns

#define barrier() emulated_barrier()
#define exchange(value, mask) emulated_exchange(value, mask)
template <int BYTES> inline void copy_bytes(void *to, const void *from) { emulated_copy(to, from, BYTES); }
inline void commit_copies() { emulated_commit(); }
template <int PENDING> inline void wait_copies() { emulated_wait(PENDING); }
inline char *shared_memory() { return emulated_shared(); }

inline float exp2_fast(float x) { return exp2f(x); }
inline float inverse_fast(float x) { return 1 / x; }
inline void sine_cosine(float half_turns, float &sine, float &cosine) {
  sine = (float)sin(3.14159265358979323846 * half_turns);
  cosine = (float)cos(3.14159265358979323846 * half_turns);
}
inline void sine_cosine(double half_turns, double &sine, double &cosine) {
  const long double pi = 3.14159265358979323846264338327950288L;
  sine = (double)sinl(pi * half_turns);
  cosine = (double)cosl(pi * half_turns);
}

struct Half {
  _Float16 value;
};
inline float to_real(Half h) { return (float)h.value; }
inline Half to_half(float x) { return Half{(_Float16)x}; }
struct alignas(16) Sixteen {
  unsigned int words[4];
};

#else

__device__ __forceinline__ void barrier() { __syncthreads(); }
template <class T> __device__ __forceinline__ T exchange(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

// Copies from global to shared memory that go on while the thread does (sm_80); before, plain ones.
template <int BYTES> __device__ __forceinline__ void copy_bytes(void *to, const void *from) {
#if __CUDA_ARCH__ >= 800
  const unsigned int at = (unsigned int)__cvta_generic_to_shared(to);
  if (BYTES == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
  if (BYTES == 8) asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(at), "l"(from) : "memory");
  if (BYTES == 4) asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
#else
  if (BYTES == 16) *(uint4 *)to = *(const uint4 *)from;
  if (BYTES == 8) *(uint2 *)to = *(const uint2 *)from;
  if (BYTES == 4) *(unsigned int *)to = *(const unsigned int *)from;
#endif
}
__device__ __forceinline__ void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int PENDING> __device__ __forceinline__ void wait_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}
extern __shared__ uint4 shared_words[];
__device__ __forceinline__ char *shared_memory() { return (char *)shared_words; }

// One instruction each, to 2 units in the last place.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float inverse_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ void sine_cosine(float half_turns, float &sine, float &cosine) {
  sincospif(half_turns, &sine, &cosine);
}
__device__ __forceinline__ void sine_cosine(double half_turns, double &sine, double &cosine) {
  sincospi(half_turns, &sine, &cosine);
}

// cuda_fp16.h is not pasted: two instructions are all that is needed of it.
struct Half {
  unsigned short bits;
};
__device__ __forceinline__ float to_real(Half h) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h.bits));
  return x;
}
__device__ __forceinline__ Half to_half(float x) {
  Half h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(x));
  return h;
}
typedef uint4 Sixteen;

#endif

__device__ __forceinline__ double exp2_fast(double x) { return exp2(x); }
__device__ __forceinline__ double inverse_fast(double x) { return 1 / x; }
__device__ __forceinline__ float to_real(float x) { return x; }
__device__ __forceinline__ double to_real(double x) { return x; }
__device__ __forceinline__ void put_real(float &to, REAL x) { to = (float)x; }
__device__ __forceinline__ void put_real(double &to, REAL x) { to = (double)x; }
__device__ __forceinline__ void put_real(Half &to, REAL x) { to = to_half((float)x); }

// COUNT numbers that lie side by side in shared memory, sixteen bytes at a time where they fill those.
template <int COUNT, class T> __device__ __forceinline__ void read_row(REAL (&row)[COUNT], const T *from) {
  constexpr int EACH = 16 / sizeof(T);
  if constexpr (COUNT % EACH != 0) {
    for (int i = 0; i < COUNT; i++) row[i] = to_real(from[i]);
  } else {
    for (int i = 0; i < COUNT / EACH; i++) {
      union {
        Sixteen all;
        T each[EACH];
      } piece;
      piece.all = ((const Sixteen *)from)[i];
      for (int j = 0; j < EACH; j++) row[i * EACH + j] = to_real(piece.each[j]);
    }
  }
}
