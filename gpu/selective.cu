// The selective scan: discretization, scan and read-out in one pass over time (the twin of statespace/cpu/selective.py).
//
//     x_k = α x_{k−1} + β v_{k−1} + γ v_k        v_k = B_k u_k        y_k = C_k x_k + D u_k
//
// TPC lanes of a warp share the states of a channel, in registers; a block has THREADS/TPC channels of one group and of
// one row of the batch, and goes through time in tiles of TILE samples. A tile comes to shared memory while the one
// before it is worked on. Signals are (rows, L, d), B and C (rows, L or 1, g, n). Blocks of time (blockIdx.y) start from
// states that `selective_ends` and a carry have found.

#include "device.cuh"
#include "parts.cuh"
#include "functions.cuh"
#include "discretize.cuh"
#include "tiles.cuh"
#include "selective.cuh"

constexpr int SIGNAL_TILE = TILE * CHANNELS, HEARD_TILE = SIGNAL_TILE * HEARD, LEVEL_TILE = TILE * LEVEL;

struct Out {
  SIGNAL *y;                // (rows, L, d)
  REAL *x, *v;              // (rows, d, n), or x of every block of time
  REAL *marks, *power;      // x at every SPAN samples, (rows, L/SPAN, d, n), or none; (rows, blocks of time, d, n)
};

// One half of the tiles: copies go to one while the other is worked on.
struct Stage {
  SIGNAL *u, *delta, *z, *b, *c;
};
constexpr int STAGE = bytes_of<SIGNAL>(HEARD_TILE) + 2 * bytes_of<SIGNAL>(SIGNAL_TILE) + 2 * bytes_of<SIGNAL>(LEVEL_TILE);

__device__ __forceinline__ Stage stage_of(int turn) {
  char *memory = shared_memory() + turn * STAGE;
  Stage stage;
  stage.u = take<SIGNAL>(memory, HEARD_TILE);
  stage.delta = take<SIGNAL>(memory, SIGNAL_TILE);
  stage.z = take<SIGNAL>(memory, SIGNAL_TILE);
  stage.b = take<SIGNAL>(memory, LEVEL_TILE);
  stage.c = take<SIGNAL>(memory, LEVEL_TILE);
  return stage;
}

__device__ __forceinline__ void fetch(const Stage &stage, const Scan &scan, const Place &at, int begin, int samples) {
  const long long moved = begin * at.step;
  copy_rows<CHANNELS * HEARD>(stage.u, scan.u + (at.u + moved) * HEARD, at.step * HEARD, at.count * HEARD, samples);
  copy_rows<CHANNELS>(stage.delta, scan.delta + at.delta + moved, at.step, at.count, samples);
  copy_rows<LEVEL>(stage.b, scan.b + at.b + begin * at.b_step, at.b_step, STATES * PARTS, samples);
  if (!ENDS) {
    copy_rows<LEVEL>(stage.c, scan.c + at.c + begin * at.c_step, at.c_step, STATES * PARTS, samples);
    if (scan.z) copy_rows<CHANNELS>(stage.z, scan.z + at.z + moved, at.step, at.count, samples);
  }
  commit_copies();
}

// Before the first sample of a block of time, which for `ends` is zero.
__device__ __forceinline__ void start(const Scan &scan, const Place &at, Lane &lane) {
  const long long row = scan.common & X0 ? 0 : at.row;
  load_states(lane.x, ENDS ? nullptr : scan.x0, state_of(scan, lane, row * at.chunks + at.chunk), lane);
#pragma unroll
  for (int s = 0; s < OWN; s++) lane.power[s] = constant(1, Number());
  if (!TWO_TAPS) return;
  if (at.begin > 0 && lane.present)
    load_drive(lane.v, scan, at, lane, at.begin - 1);
  else
    load_states(lane.v, scan.v0, state_of(scan, lane, scan.common & V0 ? 0 : at.row), lane);
}

__device__ __forceinline__ void forget(Lane &lane) {
#pragma unroll
  for (int s = 0; s < OWN; s++) lane.x[s] = lane.v[s] = constant(0, Number());
}

// One step of a lane's states, and what they add to y.
__device__ __forceinline__ Told advance(
    const Scan &scan, Lane &lane, REAL dt, Heard u, const SIGNAL *b, const SIGNAL *c) {
  REAL row_b[OWN * PARTS], row_c[OWN * PARTS];
  read_row(row_b, b);
  if (!ENDS) read_row(row_c, c);
  Told y = constant(0, Told());
#pragma unroll
  for (int s = 0; s < OWN; s++) {
    if (!FULL && s >= lane.own) break;
    const Number now = like(times(u, each(row_b, s, Number())), Number());
    const Factors<Number> f = factors(scan.weight, dt, lane.a[s], lane.turns[s]);
    // x_k = α x_{k−1} + Δ (H v_{k−1} + G v_k)
    Number drive = RULE == IMPULSE ? like(times(times(dt, u), each(row_b, s, Number())), Number())
                                   : times(dt, times(f.ahead, now));
    if (TWO_TAPS) {
      drive = times_plus(dt, times(f.behind, lane.v[s]), drive);
      lane.v[s] = now;
    }
    lane.x[s] = times_plus(f.alpha, lane.x[s], drive);
    if (ENDS) lane.power[s] = times(f.alpha, lane.power[s]);
    if (!ENDS) y = plus(y, like(times(each(row_c, s, Number()), lane.x[s]), y));
  }
  return y;
}

// So many samples at a time; with rules that take more than an exponential, code would be long for little.
constexpr int GROUP = RULE == IMPULSE && PARTS == 1 ? (TPC < 8 ? TPC : 8) : TPC < 2 ? TPC : 2;

// GROUP samples from t on; y of a sample is left with one lane.
template <bool WHOLE>
__device__ __forceinline__ void scan_group(
    const Scan &scan, Lane &lane, const Stage &stage, const REAL *dt, const int *edge, REAL *y, int t, int samples) {
  const int channel = threadIdx.x / TPC, part = threadIdx.x % TPC;
  Told sums[GROUP];
#pragma unroll
  for (int j = 0; j < GROUP; j++) {
    sums[j] = constant(0, Told());
    if (!WHOLE && t + j >= samples) continue; // the same in all threads
    if (scan.reset && edge[t + j]) forget(lane);
    const int at = (t + j) * CHANNELS + channel, level = (t + j) * LEVEL + part * OWN * PARTS;
    sums[j] = advance(scan, lane, dt[at], get(stage.u, at, Heard()), stage.b + level, stage.c + level);
  }
  if (ENDS) return;
  sum_over_lanes<GROUP, TPC, 1>(sums, part);
  const int own = t + first_left<GROUP, TPC>(part);
  if (many_left<GROUP, TPC>(part) && (WHOLE || own < samples))
    put(y, own * CHANNELS + channel, times(scan.doubled, sums[0]));
}

__device__ __forceinline__ void scan_tile(
    const Scan &scan, Lane &lane, const Stage &stage, const REAL *dt, const int *edge, REAL *y, int samples) {
  const int whole = samples / GROUP * GROUP;
  for (int t = 0; t < whole; t += GROUP) scan_group<true>(scan, lane, stage, dt, edge, y, t, samples);
  if (whole < samples) scan_group<false>(scan, lane, stage, dt, edge, y, whole, samples);
}

// y ← (y + D u) z/(1 + e^{−z}), to memory
__device__ __forceinline__ void tell(
    const Scan &scan, const Out &out, const Place &at, const Stage &stage, const REAL *y, int begin, int samples) {
  const int channel = threadIdx.x % CHANNELS; // of this thread, at every TPC-th sample
  if (channel >= at.count) return;
  const Told d = scan.direct ? get(scan.direct, at.first + channel, Told()) : Told();
  for (int t = threadIdx.x / CHANNELS; t < samples; t += TPC) {
    const int i = t * CHANNELS + channel;
    Told value = get(y, i, Told());
    if (scan.direct) value = plus(value, like(times(d, like(get(stage.u, i, Heard()), d)), value));
    if (scan.z) value = times(gate(to_real(stage.z[i])), value);
    put(out.y, at.y + (begin + t) * at.step + channel, value);
  }
}

// The last state; for `ends` that of every block of time, with the product of its α.
__device__ __forceinline__ void finish(const Scan &scan, const Out &out, const Place &at, const Lane &lane) {
  if (!ENDS && at.chunk + 1 < at.chunks) return;
  const long long where = state_of(scan, lane, ENDS ? (long long)at.row * at.chunks + at.chunk : at.row);
  store_states(out.x, where, lane.x, lane);
  if (ENDS) store_states(out.power, where, lane.power, lane);
  if (!ENDS && TWO_TAPS) store_states(out.v, where, lane.v, lane);
}

__device__ __forceinline__ void run(const Scan &scan, const Out &out) {
  char *memory = shared_memory() + 2 * STAGE;
  const Place at = place_of(scan);
  REAL *dt = take<REAL>(memory, SIGNAL_TILE), *y = take<REAL>(memory, SIGNAL_TILE * TOLD);
  int *edge = take<int>(memory, TILE);
  clear(shared_memory(), (int)(memory - shared_memory()));
  Lane lane = lane_of(scan, at);
  start(scan, at, lane);
  barrier();
  fetch(stage_of(0), scan, at, at.begin, at.begin + TILE < at.end ? TILE : at.end - at.begin);
  for (int begin = at.begin, turn = 0; begin < at.end; begin += TILE, turn ^= 1) {
    const int samples = begin + TILE < at.end ? TILE : at.end - begin;
    if (out.marks && begin % SPAN == 0) store_states(out.marks, mark_of(scan, at, lane, begin / SPAN), lane.x, lane);
    const Stage stage = stage_of(turn);
    wait_copies<0>();
    barrier(); // this tile is here, and nobody needs the one before it any more
    const int next = begin + TILE;
    if (next < at.end) fetch(stage_of(turn ^ 1), scan, at, next, next + TILE < at.end ? TILE : at.end - next);
    steps_of_tile(scan, at, stage.delta, dt, edge, begin, samples);
    barrier();
    scan_tile(scan, lane, stage, dt, edge, y, samples);
    if (!ENDS) {
      barrier();
      tell(scan, out, at, stage, y, begin, samples);
    }
  }
  finish(scan, out, at, lane);
}

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS) selective_lanes(
    const SIGNAL *u, const SIGNAL *delta, const SIGNAL *z, const REAL *a, const SIGNAL *b, const SIGNAL *c,
    const REAL *direct, const REAL *bias, const REAL *x0, const REAL *v0, const unsigned char *reset, SIGNAL *y, REAL *x,
    REAL *v, REAL *marks, REAL *power, int length, int d, int groups, int chunk, int common, int softened, REAL weight,
    REAL doubled) {
  const Scan scan = {u,  delta, z, a, b, c, direct, bias, x0, v0, reset, length, d, groups, chunk, common, softened,
                     weight, doubled};
  run(scan, Out{y, x, v, marks, power});
}
