// The gradient of the selective scan (the twin of statespace/cpu/selective_adjoint.py): tiles backward in time, each from
// the state that it started from. With the gradient g_k of y_k, and * for the complex conjugate, the gradients s_k of
// x_k and e_k of v_k = B_k u_k are
//
//     s_k = C_k* g_k + α_{k+1}* s_{k+1}        e_k = γ_k* s_k + β_{k+1}* s_{k+1}
//
// TPC lanes share the states of a channel. A tile of SPAN samples is cut into SUBS of SUB samples: states run forward
// once to find what each sub-tile starts from, then each is run again, and backward, in registers, state by state.
// Gradients of B and C are summed over the channels of a warp by exchanges, over warps in shared memory, and over blocks
// by whoever called, each in a fixed order: the same bits in every run.

#include "device.cuh"
#include "parts.cuh"
#include "functions.cuh"
#include "discretize.cuh"
#include "tiles.cuh"
#include "selective.cuh"

constexpr int SUBS = SPAN / SUB, WARPS = THREADS / 32, CHANNELS_OF_WARP = 32 / TPC;
constexpr int SIGNAL_TILE = SPAN * CHANNELS, LEVEL_TILE = SPAN * LEVEL, LEVEL_SUB = SUB * LEVEL;

struct Gradients {
  const SIGNAL *y;              // (rows, L, d), of what came out
  const REAL *back, *back_v;    // (rows, blocks of time, d, n): what comes from after each block, or none
  const REAL *marks;            // (rows, L/SPAN, d, n)
  SIGNAL *u, *delta, *z;        // (rows, L, d)
  REAL *b, *c;                  // (rows, g, blocks, L, n): sums over the channels of a block
  double *total_b, *total_c;    // (rows, g, blocks, blocks of time, n) where they are constant
  double *a, *direct, *bias;    // (rows, blocks of time, d, n), (rows, blocks of time, d)
  REAL *x0, *v0;                // (rows, d, n)
};

struct Tiles {
  SIGNAL *u, *delta, *z, *grad, *b, *c; // u and b with the sample before the tile first
  REAL *dt, *g, *of_u, *of_delta, *y;   // g behind the gate; y before it
  REAL *level;                          // (B or C, warps, SUB, n): gradients of a sub-tile
  double *total;                        // (B or C, SUB, n): their sums over time
  int *edge;
};

__device__ __forceinline__ Tiles take_tiles() {
  char *memory = shared_memory();
  Tiles tiles;
  tiles.total = take<double>(memory, 2 * LEVEL_SUB);
  tiles.u = take<SIGNAL>(memory, (SPAN + 1) * CHANNELS * HEARD);
  tiles.delta = take<SIGNAL>(memory, SIGNAL_TILE);
  tiles.z = take<SIGNAL>(memory, SIGNAL_TILE);
  tiles.grad = take<SIGNAL>(memory, SIGNAL_TILE * TOLD);
  tiles.b = take<SIGNAL>(memory, (SPAN + 1) * LEVEL);
  tiles.c = take<SIGNAL>(memory, LEVEL_TILE);
  tiles.dt = take<REAL>(memory, SIGNAL_TILE);
  tiles.g = take<REAL>(memory, SIGNAL_TILE * TOLD);
  tiles.of_u = take<REAL>(memory, SIGNAL_TILE * HEARD);
  tiles.of_delta = take<REAL>(memory, SIGNAL_TILE);
  tiles.y = take<REAL>(memory, SIGNAL_TILE * TOLD);
  tiles.level = take<REAL>(memory, 2 * WARPS * LEVEL_SUB);
  tiles.edge = take<int>(memory, SPAN);
  clear(shared_memory(), (int)(memory - shared_memory()));
  return tiles;
}

__device__ __forceinline__ void fetch(
    const Tiles &tiles, const Scan &scan, const Gradients &out, const Place &at, int begin, int samples) {
  const long long moved = begin * at.step;
  const int before = begin > 0 ? 1 : 0; // one sample more, unless there is none
  copy_rows<CHANNELS * HEARD>(tiles.u + (1 - before) * CHANNELS * HEARD, scan.u + (at.u + moved - before * at.step) * HEARD,
                              at.step * HEARD, at.count * HEARD, samples + before);
  copy_rows<LEVEL>(tiles.b + (1 - before) * LEVEL, scan.b + at.b + (begin - before) * at.b_step, at.b_step, STATES * PARTS,
                   samples + before);
  copy_rows<LEVEL>(tiles.c, scan.c + at.c + begin * at.c_step, at.c_step, STATES * PARTS, samples);
  copy_rows<CHANNELS>(tiles.delta, scan.delta + at.delta + moved, at.step, at.count, samples);
  copy_rows<CHANNELS * TOLD>(tiles.grad, out.y + (at.y + moved) * TOLD, at.step * TOLD, at.count * TOLD, samples);
  if (scan.z) copy_rows<CHANNELS>(tiles.z, scan.z + at.z + moved, at.step, at.count, samples);
  commit_copies();
  wait_copies<0>();
}

// g ← g z/(1 + e^{−z})
__device__ __forceinline__ void through_gate(const Scan &scan, const Tiles &tiles, int samples) {
  for (int i = threadIdx.x; i < samples * CHANNELS; i += THREADS) {
    const Told grad = get(tiles.grad, i, Told());
    put(tiles.g, i, scan.z ? times(gate(to_real(tiles.z[i])), grad) : grad);
  }
}

// What a lane needs of the samples of a sub-tile. A *plain* one is whole, and no sequence begins in it.
struct Steps {
  REAL dt[SUB];
  Heard u[SUB], before; // and that of the sample before them
  Told g[SUB];
  int count, edges; // samples; bit j where a sequence begins
  bool begins;      // whether the record does
};
__device__ __forceinline__ Steps steps_of(const Scan &scan, const Tiles &tiles, int begin, int first, int samples) {
  const int channel = threadIdx.x / TPC;
  Steps steps;
  steps.count = samples - first < SUB ? samples - first : SUB;
  steps.edges = 0;
  steps.begins = begin + first == 0;
  steps.before = get(tiles.u, first * CHANNELS + channel, Heard());
#pragma unroll
  for (int j = 0; j < SUB; j++) {
    const int at = (first + j) * CHANNELS + channel;
    steps.dt[j] = tiles.dt[at];
    steps.u[j] = get(tiles.u, at + CHANNELS, Heard());
    steps.g[j] = times(scan.doubled, get(tiles.g, at, Told()));
    if (scan.reset && j < steps.count && tiles.edge[first + j]) steps.edges |= 1 << j;
  }
  return steps;
}

__device__ __forceinline__ Number level_of(const SIGNAL *tile, int t, int s) {
  return get(tile, (t * LEVEL) / PARTS + threadIdx.x % TPC * OWN + s, Number());
}

// v of the sample before number j, which a rule of two taps still takes
__device__ __forceinline__ Number drive_before(
    const Scan &scan, const Place &at, const Lane &lane, const Tiles &tiles, const Steps &steps, int first, int j, int s) {
  if (steps.edges >> j & 1) return constant(0, Number());
  if (j == 0 && steps.begins) {
    if (!scan.v0 || s >= lane.own) return constant(0, Number());
    return get(scan.v0, state_of(scan, lane, scan.common & V0 ? 0 : at.row) + s, Number());
  }
  return like(times(j ? steps.u[j ? j - 1 : 0] : steps.before, level_of(tiles.b, first + j, s)), Number());
}

// What each sub-tile starts from.
__device__ __forceinline__ void find_starts(
    const Scan &scan, const Place &at, const Lane &lane, const Tiles &tiles, Number (&starts)[SUBS][OWN], int begin,
    int samples) {
#pragma unroll
  for (int i = 1; i < SUBS; i++) {
#pragma unroll
    for (int s = 0; s < OWN; s++) starts[i][s] = starts[i - 1][s];
    if (i * SUB >= samples) continue; // nobody starts there
    const Steps steps = steps_of(scan, tiles, begin, (i - 1) * SUB, samples);
#pragma unroll
    for (int j = 0; j < SUB; j++) {
      REAL b[OWN * PARTS];
      read_row(b, tiles.b + ((i - 1) * SUB + j + 1) * LEVEL + threadIdx.x % TPC * OWN * PARTS);
#pragma unroll
      for (int s = 0; s < OWN; s++) {
        const Factors<Number> f = factors(scan.weight, steps.dt[j], lane.a[s], lane.turns[s]);
        const Number now = like(times(steps.u[j], each(b, s, Number())), Number());
        const Number h = steps.edges >> j & 1 ? constant(0, Number()) : starts[i][s];
        Number drive = times(f.ahead, now);
        if (TWO_TAPS)
          drive = times_plus(f.behind, drive_before(scan, at, lane, tiles, steps, (i - 1) * SUB, j, s), drive);
        starts[i][s] = times_plus(f.alpha, h, times(steps.dt[j], drive));
      }
    }
  }
}

// Gradients of a sub-tile that are sums over the states of a lane.
struct Sums {
  Heard u[SUB];
  REAL delta[SUB];
  Told y[SUB];
};

// What goes backward with a state.
struct Back {
  Number x, v, a; // gradients of x_k and of v_k from later samples; of A
};

// One state of x_k = e^{ΔA} x_{k−1} + Δ u B over a sub-tile, forward and backward. sums.u gathers Σ B* s, of which the
// gradients of u and of Δ are made in the end.
template <bool PLAIN>
__device__ __forceinline__ void one_impulse_state(
    const Scan &scan, const Lane &lane, const Tiles &tiles, const Steps &steps, Number start, Back &back, Sums &sums,
    Number (&rows_b)[SUB], Number (&rows_c)[SUB], int first, int s) {
  Number before[SUB], after[SUB], alpha[SUB], h = start;
#pragma unroll
  for (int j = 0; j < SUB; j++) {
    rows_b[j] = rows_c[j] = constant(0, Number());
    if (!PLAIN && j >= steps.count) continue;
    alpha[j] = decay(lane.turns[s], steps.dt[j]);
    before[j] = !PLAIN && (steps.edges >> j & 1) ? constant(0, Number()) : h;
    const Number drive = like(times(times(steps.dt[j], steps.u[j]), level_of(tiles.b, first + j + 1, s)), Number());
    after[j] = h = times_plus(alpha[j], before[j], drive);
    if (scan.z) sums.y[j] = plus(sums.y[j], like(times(level_of(tiles.c, first + j, s), h), Told()));
  }
#pragma unroll
  for (int j = SUB - 1; j >= 0; j--) {
    if (!PLAIN && j >= steps.count) continue;
    const Number grad = like(steps.g[j], Number());
    const Number now = times_plus(conj(level_of(tiles.c, first + j, s)), grad, back.x);
    rows_b[j] = like(times(times(steps.dt[j], conj(steps.u[j])), now), Number());
    rows_c[j] = times(conj(after[j]), grad);
    sums.u[j] = plus(sums.u[j], like(times(conj(level_of(tiles.b, first + j + 1, s)), now), Heard()));
    back.x = times(conj(alpha[j]), now);
    const Number turned = times(back.x, conj(before[j])); // the gradient of ΔA
    sums.delta[j] += real_part(times(turned, conj(lane.a[s])));
    back.a = times_plus(steps.dt[j], turned, back.a);
    if (!PLAIN && (steps.edges >> j & 1)) back.x = constant(0, Number());
  }
}

// One state of x_k = α x_{k−1} + Δ (H v_{k−1} + G v_k) over a sub-tile.
__device__ __forceinline__ void one_held_state(
    const Scan &scan, const Place &at, const Lane &lane, const Tiles &tiles, const Steps &steps, Number start, Back &back,
    Sums &sums, Number (&rows_b)[SUB], Number (&rows_c)[SUB], int first, int s) {
  Number before[SUB], after[SUB], h = start;
#pragma unroll
  for (int j = 0; j < SUB; j++) {
    rows_b[j] = rows_c[j] = constant(0, Number());
    if (j >= steps.count) continue;
    const Factors<Number> f = factors(scan.weight, steps.dt[j], lane.a[s], lane.turns[s]);
    before[j] = steps.edges >> j & 1 ? constant(0, Number()) : h;
    Number drive = times(f.ahead, like(times(steps.u[j], level_of(tiles.b, first + j + 1, s)), Number()));
    if (TWO_TAPS) drive = times_plus(f.behind, drive_before(scan, at, lane, tiles, steps, first, j, s), drive);
    after[j] = h = times_plus(f.alpha, before[j], times(steps.dt[j], drive));
    if (scan.z) sums.y[j] = plus(sums.y[j], like(times(level_of(tiles.c, first + j, s), h), Told()));
  }
#pragma unroll
  for (int j = SUB - 1; j >= 0; j--) {
    if (j >= steps.count) continue;
    const Number b = level_of(tiles.b, first + j + 1, s), drive = like(times(steps.u[j], b), Number());
    const Number last = TWO_TAPS ? drive_before(scan, at, lane, tiles, steps, first, j, s) : constant(0, Number());
    const Number grad = like(steps.g[j], Number());
    const Slopes<Number> f = slopes(scan.weight, steps.dt[j], lane.a[s], lane.turns[s]);
    const Number now = times_plus(conj(level_of(tiles.c, first + j, s)), grad, back.x);
    const Number of_v = plus(times(steps.dt[j], times(conj(f.ahead), now)), back.v);
    rows_b[j] = like(times(conj(steps.u[j]), of_v), Number());
    rows_c[j] = times(conj(after[j]), grad);
    sums.u[j] = plus(sums.u[j], like(times(conj(b), of_v), Heard()));
    const Number driven = times(steps.dt[j], times_plus(f.bend, drive, times(f.fall, last)));
    const Number turned = times(now, conj(times_plus(f.turn, before[j], driven))); // the gradient of ΔA
    const Number direct = times(now, conj(times_plus(f.ahead, drive, times(f.behind, last))));
    sums.delta[j] += real_part(times_plus(turned, conj(lane.a[s]), direct));
    back.a = times_plus(steps.dt[j], turned, back.a);
    const bool edge = steps.edges >> j & 1;
    back.x = edge ? constant(0, Number()) : times(conj(f.alpha), now);
    if (TWO_TAPS) back.v = edge ? constant(0, Number()) : times(steps.dt[j], times(conj(f.behind), now));
  }
}

// Sums over the channels of a warp, to shared memory.
__device__ __forceinline__ void tell_levels(const Tiles &tiles, Number (&rows)[SUB], int which, int s) {
  const int lane = threadIdx.x % 32 / TPC, warp = threadIdx.x / 32;
  sum_over_lanes<SUB, CHANNELS_OF_WARP, TPC>(rows, lane);
#pragma unroll
  for (int i = 0; i < SUB; i++)
    if (i < many_left<SUB, CHANNELS_OF_WARP>(lane))
      put(tiles.level, ((which * WARPS + warp) * SUB + first_left<SUB, CHANNELS_OF_WARP>(lane) + i) * (LEVEL / PARTS) +
                           threadIdx.x % TPC * OWN + s, rows[i]);
}

// Sums over the states of a channel, to shared memory.
template <class T> __device__ __forceinline__ void tell_sums(REAL *tile, T (&sums)[SUB], int first, int samples) {
  const int part = threadIdx.x % TPC;
  sum_over_lanes<SUB, TPC, 1>(sums, part);
#pragma unroll
  for (int i = 0; i < SUB; i++) {
    const int t = first + first_left<SUB, TPC>(part) + i;
    if (i < many_left<SUB, TPC>(part) && t < samples) put(tile, t * CHANNELS + threadIdx.x / TPC, sums[i]);
  }
}

// Number of a block among those of its group and row.
__device__ __forceinline__ long long block_of(const Scan &scan, const Place &at) {
  const int width = scan.d / scan.groups, blocks = (width + CHANNELS - 1) / CHANNELS;
  return ((long long)at.row * scan.groups + at.group) * blocks + blockIdx.x % blocks;
}

// Gradients of B and C over the warps in their order: to memory, or to sums over time.
__device__ __forceinline__ void join_levels(
    const Scan &scan, const Gradients &out, const Place &at, const Tiles &tiles, int begin, int first, int samples) {
  for (int i = threadIdx.x; i < 2 * LEVEL_SUB; i += THREADS) {
    const int which = i / LEVEL_SUB, at_sub = i % LEVEL_SUB, t = first + at_sub / LEVEL, number = at_sub % LEVEL;
    if (t >= samples || number >= STATES * PARTS) continue;
    REAL total = 0;
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) total += tiles.level[(which * WARPS + warp) * LEVEL_SUB + at_sub];
    REAL *to = which ? out.c : out.b;
    if (scan.common & (which ? C_CONSTANT : B_CONSTANT))
      tiles.total[i] += total;
    else
      to[(block_of(scan, at) * scan.length + begin + t) * (STATES * PARTS) + number] = total;
  }
}

// Sums over time of a thread, which has one channel.
struct Totals {
  double bias, direct[TOLD];
};

// Sums in double of what one tile adds.
__device__ __forceinline__ void add_to(double (&sums)[OWN * PARTS], int s, REAL a) { sums[s % (OWN * PARTS)] += a; }
__device__ __forceinline__ void add_to(double (&sums)[OWN * PARTS], int s, Complex a) {
  sums[2 * s % (OWN * PARTS)] += a.re;
  sums[(2 * s + 1) % (OWN * PARTS)] += a.im;
}

__device__ __forceinline__ void add_direct(Totals &totals, REAL product) { totals.direct[0] += product; }
__device__ __forceinline__ void add_direct(Totals &totals, Complex product) {
  totals.direct[0] += product.re;
  totals.direct[TOLD - 1] += product.im;
}

// What is left for each sample: of u through D, of raw steps, of the gate.
__device__ __forceinline__ void tell(
    const Scan &scan, const Gradients &out, const Place &at, const Tiles &tiles, Totals &totals, int begin, int samples) {
  const int channel = threadIdx.x % CHANNELS; // of this thread, at every TPC-th sample
  if (channel >= at.count) return;
  const Told d = scan.direct ? get(scan.direct, at.first + channel, Told()) : Told();
  const REAL bias = scan.bias ? scan.bias[at.first + channel] : 0;
  for (int t = threadIdx.x / CHANNELS; t < samples; t += TPC) {
    const int i = t * CHANNELS + channel;
    const long long where = at.y + (begin + t) * at.step + channel;
    const Heard u = get(tiles.u, i + CHANNELS, Heard());
    const Told g = get(tiles.g, i, Told());
    Heard of_u = get(tiles.of_u, i, Heard());
    if (scan.direct) of_u = plus(of_u, like(times(conj(d), g), Heard()));
    put(out.u, where, of_u);
    REAL of_delta = tiles.of_delta[i];
    if (scan.softened) of_delta *= logistic(to_real(tiles.delta[i]) + bias);
    put_real(out.delta[where], of_delta);
    totals.bias += of_delta;
    add_direct(totals, like(times(conj(like(u, Told())), g), Told()));
    if (!scan.z) continue;
    // z/(1 + e^{−z}) = z σ has the slope σ (1 + z (1 − σ))
    const REAL z = not_too_low(to_real(tiles.z[i])), open = logistic(z), slope = open * (1 + z * (1 - open));
    Told y = times(scan.doubled, get(tiles.y, i, Told()));
    if (scan.direct) y = plus(y, like(times(d, like(u, Told())), Told()));
    put_real(out.z[where], slope * real_part(times(conj(y), get(tiles.grad, i, Told()))));
  }
}

// A sub-tile: all states of a lane, and the sums over them, over lanes and over channels.
template <bool PLAIN>
__device__ __forceinline__ void run_sub(
    const Scan &scan, const Place &at, const Lane &lane, const Tiles &tiles, const Steps &steps,
    const Number (&start)[OWN], Back (&back)[OWN], int first, int samples) {
  Sums sums;
#pragma unroll
  for (int j = 0; j < SUB; j++) {
    sums.u[j] = constant(0, Heard());
    sums.delta[j] = 0;
    sums.y[j] = constant(0, Told());
  }
#pragma unroll
  for (int s = 0; s < OWN; s++) {
    Number rows_b[SUB], rows_c[SUB];
    if (RULE == IMPULSE)
      one_impulse_state<PLAIN>(scan, lane, tiles, steps, start[s], back[s], sums, rows_b, rows_c, first, s);
    else
      one_held_state(scan, at, lane, tiles, steps, start[s], back[s], sums, rows_b, rows_c, first, s);
    tell_levels(tiles, rows_b, 0, s);
    tell_levels(tiles, rows_c, 1, s);
  }
  if (RULE == IMPULSE) {
#pragma unroll
    for (int j = 0; j < SUB; j++) {
      sums.delta[j] += real_part(times(conj(steps.u[j]), sums.u[j]));
      sums.u[j] = times(steps.dt[j], sums.u[j]);
    }
  }
  tell_sums(tiles.of_u, sums.u, first, samples);
  tell_sums(tiles.of_delta, sums.delta, first, samples);
  if (scan.z) tell_sums(tiles.y, sums.y, first, samples);
}

// One tile: forward to the starts of its sub-tiles, then each again and backward, the last one first.
__device__ __forceinline__ void run_tile(
    const Scan &scan, const Gradients &out, const Place &at, const Lane &lane, const Tiles &tiles, Back (&back)[OWN],
    int begin, int samples) {
  Number starts[SUBS][OWN];
  load_states(starts[0], out.marks, mark_of(scan, at, lane, begin / SPAN), lane);
  find_starts(scan, at, lane, tiles, starts, begin, samples);
#pragma unroll 1
  for (int i = (samples - 1) / SUB; i >= 0; i--) {
    Number start[OWN]; // starts[i], which stays in registers where i is not known
#pragma unroll
    for (int k = 0; k < SUBS; k++)
#pragma unroll
      for (int s = 0; s < OWN; s++)
        if (k == 0 || k == i) start[s] = starts[k][s];
    const Steps steps = steps_of(scan, tiles, begin, i * SUB, samples);
    // The same in all threads. Rules of more than an exponential gain little by code of their own for plain sub-tiles.
    if (RULE == IMPULSE && steps.count == SUB && !steps.edges)
      run_sub<true>(scan, at, lane, tiles, steps, start, back, i * SUB, samples);
    else
      run_sub<false>(scan, at, lane, tiles, steps, start, back, i * SUB, samples);
    barrier();
    join_levels(scan, out, at, tiles, begin, i * SUB, samples);
    barrier();
  }
}

// Sums over time, over the threads of a channel in their order.
__device__ __forceinline__ void finish(
    const Scan &scan, const Gradients &out, const Place &at, const Tiles &tiles, const Totals &totals) {
  double *table = (double *)(tiles.total + 2 * LEVEL_SUB); // what follows is not needed any more
  for (int i = 0; i < 1 + TOLD; i++) table[i * THREADS + threadIdx.x] = i ? totals.direct[(i - 1) % TOLD] : totals.bias;
  barrier();
  const long long lead = (long long)at.row * at.chunks + at.chunk;
  for (int i = threadIdx.x; i < (1 + TOLD) * at.count; i += THREADS) {
    const int which = i / at.count, channel = i % at.count;
    double total = 0;
    for (int k = channel; k < THREADS; k += CHANNELS) total += table[which * THREADS + k];
    const long long where = lead * scan.d + at.first + channel;
    (which ? out.direct : out.bias)[which ? where * TOLD + which - 1 : where] = total;
  }
  for (int i = threadIdx.x; i < 2 * STATES * PARTS; i += THREADS) {
    const int which = i / (STATES * PARTS), number = i % (STATES * PARTS);
    if (!(scan.common & (which ? C_CONSTANT : B_CONSTANT))) continue;
    double total = 0;
    for (int j = 0; j < SUB; j++) total += tiles.total[(which * SUB + j) * LEVEL + number];
    (which ? out.total_c : out.total_b)[(block_of(scan, at) * at.chunks + at.chunk) * (STATES * PARTS) + number] = total;
  }
}

__device__ __forceinline__ void run(const Scan &scan, const Gradients &out) {
  const Place at = place_of(scan);
  const Tiles tiles = take_tiles();
  const Lane lane = lane_of(scan, at);
  Number start[OWN], start_v[OWN];
  Back back[OWN];
  double sum_a[OWN * PARTS];
  Totals totals = {};
  const long long lead = state_of(scan, lane, (long long)at.row * at.chunks + at.chunk);
  load_states(start, out.back, lead, lane);
  load_states(start_v, out.back_v, lead, lane);
#pragma unroll
  for (int s = 0; s < OWN; s++) back[s] = Back{start[s], start_v[s], constant(0, Number())};
#pragma unroll
  for (int i = 0; i < OWN * PARTS; i++) sum_a[i] = 0;
  for (int begin = at.begin + (at.end - 1 - at.begin) / SPAN * SPAN; begin >= at.begin; begin -= SPAN) {
    const int samples = begin + SPAN < at.end ? SPAN : at.end - begin;
    barrier(); // the tile before is done with
    fetch(tiles, scan, out, at, begin, samples);
    barrier();
    steps_of_tile(scan, at, tiles.delta, tiles.dt, tiles.edge, begin, samples);
    through_gate(scan, tiles, samples);
    barrier();
    run_tile(scan, out, at, lane, tiles, back, begin, samples);
    tell(scan, out, at, tiles, totals, begin, samples);
#pragma unroll
    for (int s = 0; s < OWN; s++) {
      add_to(sum_a, s, back[s].a);
      back[s].a = constant(0, Number());
    }
  }
  for (int i = 0; i < OWN * PARTS; i++)
    if (i < lane.own * PARTS) out.a[lead * PARTS + i] = sum_a[i];
  if (at.chunk == 0) {
#pragma unroll
    for (int s = 0; s < OWN; s++) {
      start[s] = back[s].x;
      start_v[s] = back[s].v;
    }
    store_states(out.x0, state_of(scan, lane, at.row), start, lane);
    if (TWO_TAPS) store_states(out.v0, state_of(scan, lane, at.row), start_v, lane);
  }
  barrier();
  finish(scan, out, at, tiles, totals);
}

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS) selective_adjoint(
    const SIGNAL *u, const SIGNAL *delta, const SIGNAL *z, const REAL *a, const SIGNAL *b, const SIGNAL *c,
    const REAL *direct, const REAL *bias, const REAL *v0, const unsigned char *reset, const SIGNAL *grad_y,
    const REAL *back, const REAL *back_v, const REAL *marks, SIGNAL *of_u, SIGNAL *of_delta, SIGNAL *of_z, REAL *of_b,
    REAL *of_c, double *total_b, double *total_c, double *of_a, double *of_direct, double *of_bias, REAL *of_x0,
    REAL *of_v0, int length, int d, int groups, int chunk, int common, int softened, REAL weight, REAL doubled) {
  const Scan scan = {u,  delta, z, a, b, c, direct, bias, nullptr, v0, reset, length, d, groups, chunk, common, softened,
                     weight, doubled};
  run(scan, Gradients{grad_y, back, back_v, marks, of_u, of_delta, of_z, of_b, of_c, total_b, total_c, of_a, of_direct,
                      of_bias, of_x0, of_v0});
}
