// Tiles of signals in shared memory, and sums over lanes in which every lane ends with another sample.

// Bytes of COUNT numbers, in full sixteens, so that what lies behind begins at one.
template <class T> __device__ constexpr int bytes_of(int count) { return (count * (int)sizeof(T) + 15) / 16 * 16; }

// The next COUNT numbers of shared memory.
template <class T> __device__ __forceinline__ T *take(char *&memory, int count) {
  T *found = (T *)memory;
  memory += bytes_of<T>(count);
  return found;
}

// What copies never reach (channels and states that are not there) is 0.
__device__ __forceinline__ void clear(char *memory, int bytes) {
  for (int i = threadIdx.x; i < bytes / 4; i += THREADS) ((int *)memory)[i] = 0;
}

// Begin to copy `rows` rows of `width` numbers, `step` apart in memory and ROW apart in the tile: sixteen bytes at a
// time where all rows begin at such an address.
template <int ROW, class T>
__device__ __forceinline__ void copy_rows(T *tile, const T *from, long long step, int width, int rows) {
  constexpr int EACH = 16 / sizeof(T);
  const bool wide = ROW % EACH == 0 && width % EACH == 0 && step % EACH == 0 && (unsigned long long)from % 16 == 0;
  constexpr int PIECES = ROW / EACH > 0 ? ROW / EACH : 1, AT_ONCE = THREADS / PIECES;
  if (wide && width == ROW && THREADS % PIECES == 0) { // each thread has a column of pieces
    const int row = threadIdx.x / PIECES, at = threadIdx.x % PIECES * EACH;
    from += row * step + at;
    tile += row * ROW + at;
    for (int i = row; i < rows; i += AT_ONCE, from += AT_ONCE * step, tile += AT_ONCE * ROW) copy_bytes<16>(tile, from);
  } else if (wide) {
#pragma unroll 1
    for (int i = threadIdx.x; i < rows * (width / EACH); i += THREADS) {
      const int row = i / (width / EACH), at = i % (width / EACH) * EACH;
      copy_bytes<16>(tile + row * ROW + at, from + row * step + at);
    }
  } else {
#pragma unroll 1
    for (int i = threadIdx.x; i < rows * width; i += THREADS) {
      const int row = i / width, at = i % width;
      if (sizeof(T) >= 4)
        copy_bytes<sizeof(T) == 8 ? 8 : 4>(tile + row * ROW + at, from + row * step + at);
      else
        tile[row * ROW + at] = from[row * step + at];
    }
  }
}

// Sum values[i] over the LANES lanes of a group that are APART from each other; lane number l of the group is left with
// the sums of values `first_left`(l) and after, in the first places. Half of what a lane has goes to its partner:
// COUNT − 1 exchanges for COUNT = LANES, not COUNT·log2(LANES).
template <int COUNT, int LANES> __device__ constexpr int first_left(int lane) {
  return COUNT >= LANES ? lane * (COUNT / LANES) : lane / (LANES / COUNT);
}
template <int COUNT, int LANES> __device__ constexpr int many_left(int lane) { // 0 where another lane has the same
  return COUNT >= LANES ? COUNT / LANES : lane % (LANES / COUNT) == 0 ? 1 : 0;
}
template <int COUNT, int LANES, int APART, class Number>
__device__ __forceinline__ void sum_over_lanes(Number (&values)[COUNT], int lane) {
  int left = COUNT;
#pragma unroll
  for (int mask = LANES / 2; mask > 0; mask /= 2) {
    if (left > 1) {
      left /= 2;
      const bool upper = lane & mask;
#pragma unroll
      for (int i = 0; i < COUNT / 2; i++) {
        if (i < left) {
          const Number kept = upper ? values[(i + left) % COUNT] : values[i];
          const Number given = upper ? values[i] : values[(i + left) % COUNT];
          values[i] = plus(kept, swapped(given, mask * APART));
        }
      }
    } else {
      values[0] = plus(values[0], swapped(values[0], mask * APART));
    }
  }
}
