// What the selective scan and its adjoint share: their arguments, where a block is, and what a lane holds.

typedef Kind<PARTS>::Type Number; // of A, B, C and x
typedef Kind<HEARD>::Type Heard;  // of u
typedef Kind<TOLD>::Type Told;    // of y

constexpr int CHANNELS = THREADS / TPC;           // of a block
constexpr int OWN = (STATES + TPC - 1) / TPC;     // states of a lane
constexpr int LEVEL = OWN * TPC * PARTS;          // numbers of B or C, with those of states that are not there
constexpr bool FULL = OWN * TPC == STATES;

// Bits of `common`: what all rows of the batch share, and what is constant in time.
constexpr int U = 1, DELTA = 2, Z = 4, B = 8, C = 16, X0 = 32, V0 = 64, RESET = 128, B_CONSTANT = 256, C_CONSTANT = 512;

struct Scan {
  const SIGNAL *u, *delta, *z; // (rows, L, d); z may be none
  const REAL *a;               // (d, n)
  const SIGNAL *b, *c;         // (rows, L or 1, g, n)
  const REAL *direct, *bias;   // (d,), or none
  const REAL *x0, *v0;         // (rows, blocks of time, d, n) and (rows, d, n), or none
  const unsigned char *reset;  // (rows, L), or none
  int length, d, groups, chunk, common, softened;
  REAL weight, doubled;
};

// Where a block of threads is, in numbers (of which complex ones have two).
struct Place {
  long long u, delta, z, b, c, y; // of its first channel at the first sample
  long long step, b_step, c_step; // from sample to sample
  int row, chunk, chunks, first, count, group, begin, end;
};

__device__ __forceinline__ Place place_of(const Scan &scan) {
  Place at;
  const int width = scan.d / scan.groups, blocks = (width + CHANNELS - 1) / CHANNELS, block = blockIdx.x % blocks;
  const long long signal = (long long)scan.length * scan.d, level = (long long)scan.groups * STATES * PARTS;
  at.group = blockIdx.x / blocks % scan.groups;
  at.row = blockIdx.x / blocks / scan.groups;
  at.first = at.group * width + block * CHANNELS;
  at.count = width - block * CHANNELS < CHANNELS ? width - block * CHANNELS : CHANNELS;
  at.chunk = blockIdx.y;
  at.chunks = gridDim.y;
  at.begin = at.chunk * scan.chunk;
  at.end = scan.length - at.begin < scan.chunk ? scan.length : at.begin + scan.chunk;
  at.step = scan.d;
  at.b_step = scan.common & B_CONSTANT ? 0 : level;
  at.c_step = scan.common & C_CONSTANT ? 0 : level;
  const long long own = at.row * signal + at.first, shared = at.first;
  at.y = own;
  at.u = scan.common & U ? shared : own;
  at.delta = scan.common & DELTA ? shared : own;
  at.z = scan.common & Z ? shared : own;
  const long long lies = (long long)at.group * STATES * PARTS;
  at.b = (scan.common & B ? 0 : at.row * (at.b_step ? scan.length * level : level)) + lies;
  at.c = (scan.common & C ? 0 : at.row * (at.c_step ? scan.length * level : level)) + lies;
  return at;
}

// What a lane holds of its channel.
struct Lane {
  Number x[OWN], v[OWN], a[OWN], power[OWN];
  Turns<Number> turns[OWN];
  int channel, first, own; // of the signal; its first state and how many there are
  bool present;
};

// Number of the first state of a lane in an array (…, d, n).
__device__ __forceinline__ long long state_of(const Scan &scan, const Lane &lane, long long leading) {
  return (leading * scan.d + lane.channel) * STATES + lane.first;
}

__device__ __forceinline__ void load_states(Number (&states)[OWN], const REAL *from, long long at, const Lane &lane) {
#pragma unroll
  for (int s = 0; s < OWN; s++) states[s] = from && s < lane.own ? get(from, at + s, Number()) : constant(0, Number());
}

template <class T>
__device__ __forceinline__ void store_states(T *to, long long at, const Number (&states)[OWN], const Lane &lane) {
#pragma unroll
  for (int s = 0; s < OWN; s++)
    if (s < lane.own) put(to, at + s, states[s]);
}

// v of a sample, B u
__device__ __forceinline__ void load_drive(Number (&v)[OWN], const Scan &scan, const Place &at, const Lane &lane, int k) {
  const Heard u = get(scan.u, at.u + lane.channel - at.first + k * at.step, Heard());
  const SIGNAL *b = scan.b + at.b + k * at.b_step;
#pragma unroll
  for (int s = 0; s < OWN; s++)
    v[s] = s < lane.own ? like(times(u, get(b, lane.first + s, Number())), Number()) : constant(0, Number());
}

// Lanes of channels and states that are not there hold zeros and store nothing.
__device__ __forceinline__ Lane lane_of(const Scan &scan, const Place &at) {
  Lane lane;
  const int channel = threadIdx.x / TPC, part = threadIdx.x % TPC;
  lane.present = channel < at.count;
  lane.channel = at.first + (lane.present ? channel : 0);
  lane.first = part * OWN;
  const int left = STATES - lane.first;
  lane.own = !lane.present || left < 0 ? 0 : left < OWN ? left : OWN;
  load_states(lane.a, scan.a, state_of(scan, lane, 0), lane);
#pragma unroll
  for (int s = 0; s < OWN; s++) lane.turns[s] = turns_of(lane.a[s]);
  return lane;
}

// The steps of a tile, log(1 + e^x) of them where they are raw, and where a sequence begins.
__device__ __forceinline__ void steps_of_tile(
    const Scan &scan, const Place &at, const SIGNAL *delta, REAL *dt, int *edge, int begin, int samples) {
  const int channel = threadIdx.x % CHANNELS; // of this thread, at every TPC-th sample
  const REAL bias = scan.bias && channel < at.count ? scan.bias[at.first + channel] : 0;
  for (int t = threadIdx.x / CHANNELS; t < samples; t += TPC) {
    const REAL step = to_real(delta[t * CHANNELS + channel]) + bias;
    dt[t * CHANNELS + channel] = scan.softened ? softplus(step) : step;
  }
  if (scan.reset)
    for (int t = threadIdx.x; t < samples; t += THREADS)
      edge[t] = scan.reset[(scan.common & RESET ? 0 : (long long)at.row * scan.length) + begin + t];
}

// Number of the first state of a lane among those kept at every SPAN samples, (rows, L/SPAN, d, n).
__device__ __forceinline__ long long mark_of(const Scan &scan, const Place &at, const Lane &lane, int mark) {
  return state_of(scan, lane, (long long)at.row * ((scan.length + SPAN - 1) / SPAN) + mark);
}
