// What every block of time hands on to the one before it: the adjoint is an affine step too. With s the gradient of the
// first sample's state, as a function of the gradient r that comes from after the block,
//
//     Π α* r + Σ …        what goes on to x before the block
//     Δ H* (Π α* r + Σ …)    what goes on to v before it, the product without the first α
//
// The products count where no sequence begins within the block. Each lane goes backward through its block of time once,
// state by state, and keeps nothing but these.

#include "device.cuh"
#include "parts.cuh"
#include "functions.cuh"
#include "discretize.cuh"
#include "tiles.cuh"
#include "selective.cuh"

struct Ends {
  REAL *power, *x, *power_v, *v; // (rows, blocks of time, d, n)
};

__device__ __forceinline__ REAL step_of(const Scan &scan, const Place &at, const Lane &lane, int k) {
  REAL step = to_real(scan.delta[at.delta + lane.channel - at.first + k * at.step]);
  if (scan.bias) step += scan.bias[lane.channel];
  return scan.softened ? softplus(step) : step;
}

__device__ __forceinline__ Told grad_of(const Scan &scan, const SIGNAL *grad, const Place &at, const Lane &lane, int k) {
  const Told g = times(scan.doubled, get(grad, at.y + lane.channel - at.first + k * at.step, Told()));
  if (!scan.z) return g;
  return times(gate(to_real(scan.z[at.z + lane.channel - at.first + k * at.step])), g);
}

__device__ __forceinline__ void back_one(
    const Scan &scan, const SIGNAL *grad, const Place &at, const Lane &lane, Number (&power)[OWN], Number (&x)[OWN],
    Number (&power_v)[OWN], Number (&v)[OWN], int k) {
  const REAL dt = step_of(scan, at, lane, k);
  const Number g = like(grad_of(scan, grad, at, lane, k), Number());
  const bool edge = scan.reset && scan.reset[(scan.common & RESET ? 0 : (long long)at.row * scan.length) + k];
#pragma unroll
  for (int s = 0; s < OWN; s++) {
    const Number c = s < lane.own ? get(scan.c + at.c + k * at.c_step, lane.first + s, Number()) : constant(0, Number());
    const Factors<Number> f = factors(scan.weight, dt, lane.a[s], lane.turns[s]);
    const Number back = times_plus(conj(c), g, x[s]), behind = times(dt, conj(f.behind)), alpha = conj(f.alpha);
    power_v[s] = times(behind, power[s]);
    v[s] = edge ? constant(0, Number()) : times(behind, back);
    power[s] = times(alpha, power[s]);
    x[s] = edge ? constant(0, Number()) : times(alpha, back);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS) adjoint_ends(
    const SIGNAL *delta, const SIGNAL *z, const REAL *a, const SIGNAL *c, const REAL *bias, const unsigned char *reset,
    const SIGNAL *grad_y, REAL *power, REAL *x, REAL *power_v, REAL *v, int length, int d, int groups, int chunk,
    int common, int softened, REAL weight, REAL doubled) {
  const Scan scan = {nullptr, delta, z, a, nullptr, c, nullptr, bias, nullptr, nullptr, reset, length, d, groups, chunk,
                     common, softened, weight, doubled};
  const Place at = place_of(scan);
  const Lane lane = lane_of(scan, at);
  Number product[OWN], state[OWN], product_v[OWN], state_v[OWN];
#pragma unroll
  for (int s = 0; s < OWN; s++) {
    product[s] = constant(1, Number());
    state[s] = product_v[s] = state_v[s] = constant(0, Number());
  }
  for (int k = at.end - 1; k >= at.begin; k--)
    back_one(scan, grad_y, at, lane, product, state, product_v, state_v, k);
  const long long where = state_of(scan, lane, (long long)at.row * at.chunks + at.chunk);
  store_states(power, where, product, lane);
  store_states(x, where, state, lane);
  if (!TWO_TAPS) return;
  store_states(power_v, where, product_v, lane);
  store_states(v, where, state_v, lane);
}
