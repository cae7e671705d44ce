"""The strategies find the faults of others: without a hint, on each of five seeds, and each shrinks to what it is.

Every law here is one that users would write. Beside what is wrong stands what is right, under the same strategy.
"""

import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given
from hypothesis import strategies as st
from scipy import linalg, signal

import statespace as ss
from statespace.testing import assert_equivalent, assert_forms_agree, assert_linear, strategies

SEEDS = pytest.mark.parametrize("seed", range(5))
MILLION = 1e6  # times the bound: no question of rounding


# --------------------------------------------------------------- how it is searched


def search(law, drawn, seed, examples, *phases):
    """A law on drawn cases: all that it was tried on, and what failed last, if anything. Nothing is remembered."""
    cases = []

    def law_of_one(case):
        cases.append(case)
        law(*case)

    test = hypothesis.settings(
        database=None,
        derandomize=False,
        deadline=None,
        max_examples=examples,
        phases=(Phase.generate, *phases),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )(given(drawn)(law_of_one))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # who is wrong may say so
        try:
            hypothesis.seed(seed)(test)()
        except AssertionError as error:
            return cases, str(error)
    return cases, None


def found(law, drawn, seed, examples=200):
    """The message that is found."""
    said = search(law, drawn, seed, examples)[1]
    assert said is not None, f"nothing was found in {examples} examples of seed {seed}"
    return said


def shrunk(law, drawn, seed, examples=200):
    """The simplest case that fails, and its message."""
    cases, said = search(law, drawn, seed, examples, Phase.shrink)
    assert said is not None
    return cases[-1], said


def holds(law, drawn, examples=100):
    """It does, on every seed."""
    for seed in range(5):
        cases, said = search(law, drawn, seed, examples // 5)
        assert said is None, said
        assert len(cases) >= examples // 10


@st.composite
def stepped(draw, systems):
    """A continuous system and a step of time for it."""
    system = draw(systems)
    return system, draw(strategies.time_steps(system))


@st.composite
def fed(draw, systems, length=None):
    """A system and a signal for it."""
    system = draw(systems)
    return system, draw(strategies.signals(length, system.n_inputs))


@st.composite
def stepped_and_fed(draw, systems):
    """A continuous system of one input, a step, and a signal of two samples or more, (L,)."""
    system, dt = draw(stepped(systems))
    return system, dt, draw(strategies.signals(draw(st.integers(2, 40))))


def angle_of(system, dt):
    """‖ΔA‖."""
    return float(np.linalg.norm(np.asarray(system.A))) * dt


# --------------------------------------------------------------- a filter of high order through its companion form

# Poles within a decade, as those of Butterworth filters are: on one circle.
HIGH_ORDER = strategies.systems(
    structure="cascade", min_states=8, max_states=20, stiffness=10.0, damping=(0.05, 1.0), time_scale=(1.0, 1e4)
)


def through_zpk(system, dt):
    A, B, C, D, _ = signal.cont2discrete(signal.zpk2ss(*ss.to_zpk(system)), dt, "zoh")
    assume(all(np.isfinite(m).all() for m in (A, B, C, D)))  # NaN is found as well, but not by the law
    return ss.DiscreteSystem(A, B, C, D, dt=dt)


def as_dense(system, dt):
    return ss.discretize(ss.ContinuousSystem(*system), dt)


def zoh_is_ours(discretization):
    """As functions of u, so that the bound is ours: a companion form's own is as large as its error."""

    def law(system, dt):
        digital = discretization(system, dt)
        run = lambda u: ss.simulate(digital, u, form="recurrent").y  # noqa: E731
        assert_equivalent(run, ss.discretize(system, dt), angle=angle_of(system, dt), slack=MILLION)

    return law


@SEEDS
def test_high_orders_through_a_companion_form_are_found(seed):
    """`zpk2ss` and `cont2discrete` of SciPy, zoh."""
    assert "equivalence does not hold" in found(zoh_is_ours(through_zpk), stepped(HIGH_ORDER), seed)


def test_high_orders_through_sections_hold():
    holds(zoh_is_ours(as_dense), stepped(HIGH_ORDER))


# --------------------------------------------------------------- the dropped imaginary part

DISCRETE = strategies.systems("discrete", structure="dense")


def real_logarithm(digital):
    """Back from zoh by a matrix logarithm, as it is often written."""
    A, B, C, D = digital
    n, m = B.shape
    whole = linalg.logm(np.block([[A, B], [np.zeros((m, n)), np.eye(m)]])).real / digital.dt
    return ss.ContinuousSystem(whole[:n, :n], whole[:n, n:], C, D)


def there_and_back(undo):
    def law(digital):
        assume((np.abs(digital.poles) > 1e-3).all())  # a pole at 0 has no logarithm at all
        try:
            back = ss.discretize(undo(digital), digital.dt)
        except ValueError:  # refused, or NaN came out
            hypothesis.reject()
        assert_equivalent(lambda u: ss.simulate(back, u, form="recurrent").y, digital, slack=MILLION)

    return law


@SEEDS
def test_the_dropped_imaginary_part_is_found(seed):
    found(there_and_back(real_logarithm), st.tuples(DISCRETE), seed, examples=500)


def test_the_dropped_imaginary_part_shrinks_to_a_pole_that_alternates():
    (system,), _ = shrunk(there_and_back(real_logarithm), st.tuples(DISCRETE), 0)
    assert -0.5 in system.poles
    assert system.n_states <= 2


def test_our_logarithm_holds_or_refuses():
    holds(there_and_back(lambda digital: ss.undiscretize(digital, "zoh")), st.tuples(DISCRETE))


COMPLEX = strategies.systems("discrete", dtype=complex)


def by_dlsim(system, u):
    assert_equivalent(lambda v: signal.dlsim((*system, system.dt), v)[1], system, u)


@SEEDS
def test_a_state_that_is_cast_to_real_is_found(seed):
    """`dlsim` of a complex system."""
    found(by_dlsim, fed(COMPLEX), seed)


def test_a_state_that_is_cast_to_real_shrinks_to_one_number():
    (system, u), _ = shrunk(by_dlsim, fed(COMPLEX), 0)
    assert system.n_states <= 1
    assert np.count_nonzero(u) == 1


def test_real_systems_by_dlsim_hold():
    holds(by_dlsim, fed(strategies.systems("discrete")))


# --------------------------------------------------------------- the vector of time


def one_pole(t):
    """0.5, on a grid, whose step is taken from both ends."""
    return ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=(t[-1] - t[0]) / (len(t) - 1))


def on_a_grid(t):
    """From 0, as `dlsim` wants it."""
    t = t - t[0]
    system = one_pole(t)
    assert_equivalent(lambda v: signal.dlsim((*system, system.dt), v, t)[1], system, np.ones(len(t)))


def on_a_grid_from_anywhere(t):
    system = one_pole(t)
    assume(t[-1] < 1e4 * system.dt)  # it would answer with as many samples
    assert_equivalent(lambda v: signal.dlsim((*system, system.dt), v, t)[1], system, np.ones(len(t)))


def on_our_grid(t):
    system = one_pole(t)
    assert_equivalent(lambda v: ss.simulate(system, v, t=t).y, system, np.ones(len(t)))


GRIDS = st.tuples(strategies.irregular_grids(uniform=True))


@SEEDS
def test_a_sample_less_is_found(seed):
    """`dlsim` counts samples by ⌊t/Δ⌋ + 1, which rounding decides."""
    assert "as many samples out as in" in found(on_a_grid, GRIDS, seed)


@SEEDS
def test_samples_counted_from_zero_are_found(seed):
    """And from t = 0, wherever the grid begins."""
    assert "as many samples out as in" in found(on_a_grid_from_anywhere, GRIDS, seed)


def test_samples_counted_from_zero_shrink_to_two_stamps():
    (t,), _ = shrunk(on_a_grid_from_anywhere, GRIDS, 0)
    assert np.array_equal(t, [1.0, 2.0])


def test_our_grids_hold():
    holds(on_our_grid, GRIDS)


# --------------------------------------------------------------- what a signal decides

ONE_TO_ONE = strategies.systems(structure="dense", min_states=1, inputs=1, outputs=1, stiffness=30.0)


@st.composite
def superposed(draw):
    """A system, two signals, a number."""
    system, dt, u = draw(stepped_and_fed(ONE_TO_ONE))
    return system, dt, u, draw(strategies.signals(len(u))), draw(st.sampled_from((1.0, -1.0, 0.5)))


def hold_of(u):
    """The hold by the looks of the signal: foh where it is smooth."""
    return "foh" if np.abs(np.diff(u)).max() <= 0.5 * np.abs(u).max() else "zoh"


def linear_with(hold):
    def law(system, dt, u, v, a):
        like = ss.discretize(system, dt, "foh")
        run = lambda w: ss.simulate(ss.discretize(system, dt, hold(w)), w, form="recurrent").y  # noqa: E731
        assert_linear(run, u, v, a=a, system=like, slack=1e3)

    return law


@SEEDS
def test_a_hold_that_the_signal_chooses_is_found(seed):
    """As in earlier versions of ControlSystems.jl: not linear in u."""
    assert "linearity does not hold" in found(linear_with(hold_of), superposed(), seed)


def test_a_hold_that_is_said_holds():
    holds(linear_with(lambda u: "foh"), superposed())


# --------------------------------------------------------------- the state that foh starts from


def from_rest(start):
    """First-order hold by two routes of SciPy: `lsim`, and `cont2discrete` with `dlsim`, from x(0) = 0."""

    def law(system, dt, u):
        t, digital = dt * np.arange(len(u)), signal.cont2discrete(tuple(system), dt, "foh")
        held = ss.discretize(system, dt, "foh")
        first = lambda v: signal.dlsim(digital, v, x0=start(system, dt, v))[1]  # noqa: E731
        second = lambda v: signal.lsim(tuple(system), v, t)[1]  # noqa: E731
        assert_equivalent(first, second, u, system=held, angle=1 + angle_of(system, dt), slack=100)

    return law


def as_it_is(system, dt, u):
    return np.zeros(system.n_states)


def as_it_is_mapped(system, dt, u):
    return ss.initial_state(system, dt, "foh", as_it_is(system, dt, u), u[:1])


@SEEDS
def test_the_starting_state_that_foh_drops_is_found(seed):
    found(from_rest(as_it_is), stepped_and_fed(ONE_TO_ONE), seed)


def test_the_starting_state_that_foh_drops_shrinks_to_an_impulse():
    (system, dt, u), _ = shrunk(from_rest(as_it_is), stepped_and_fed(ONE_TO_ONE), 0)
    assert np.array_equal(system.poles, [-1.0])
    assert (dt, u.tolist()) == (1.0, [1.0, 0.0])


def test_the_mapped_starting_state_holds():
    """`initial_state` mends SciPy's foh."""
    holds(from_rest(as_it_is_mapped), stepped_and_fed(ONE_TO_ONE))


# --------------------------------------------------------------- matrices of integers

WHOLE = strategies.systems(structure="dense", inputs=1, outputs=1, min_states=1, max_states=3, time_scale=(1.0, 1.0))


def by_lsim(dtype):
    def law(system, dt, u):
        system = ss.ContinuousSystem(*(np.rint(m) for m in system))
        t, matrices = dt * np.arange(len(u)), tuple(m.astype(dtype) for m in system)
        wanted = lambda v: ss.simulate(ss.ContinuousSystem(*matrices), v, dt=dt, hold="foh").y  # noqa: E731
        held = ss.discretize(system, dt, "foh")
        angle = 1 + angle_of(system, dt)
        assert_equivalent(lambda v: signal.lsim(matrices, v, t)[1], wanted, u, system=held, angle=angle, slack=MILLION)

    return law


@SEEDS
def test_integer_matrices_are_found(seed):
    """`lsim` with a matrix of integers."""
    found(by_lsim(int), stepped_and_fed(WHOLE), seed)


# --------------------------------------------------------------- powers of a companion form

RESONANT = strategies.systems("discrete", structure="cascade", min_states=6, max_states=10, margin=0.01)
BLOCK = 64


def companion_blocks(system, u):
    """y = O x + T u and x⁺ = A^M x + R u, block after block, in the coordinates of a companion matrix."""
    A, B, C, D = signal.tf2ss(*ss.to_tf(system))
    return blocks_of(A, B[:, 0], C[0], float(D[0, 0]), u[:, 0])


def own_blocks(system, u):
    A, B, C, D = system
    return blocks_of(np.asarray(A), B[:, 0], C[0], D[0, 0], u[:, 0])


def blocks_of(A, B, C, D, u):
    O, R = [C], [B]
    for _ in range(BLOCK - 1):
        O.append(O[-1] @ A)
        R.append(A @ R[-1])
    h = np.array([D, *(np.array(O[:-1]) @ B)])
    x, y = np.zeros(len(A)), []
    for at in range(0, len(u), BLOCK):
        block = u[at : at + BLOCK]
        y.append(np.array(O[: len(block)]) @ x + np.convolve(h, block)[: len(block)])
        if len(block) == BLOCK:
            x = np.linalg.matrix_power(A, BLOCK) @ x + np.transpose(R[::-1]) @ block
    return np.concatenate(y)[:, None]


def in_blocks(form):
    def law(system, u):
        assert_forms_agree(system, u, forms={"blocks": form}, slack=MILLION)

    return law


@SEEDS
def test_powers_of_a_companion_form_are_found(seed):
    found(in_blocks(companion_blocks), fed(RESONANT, 300), seed)


def test_powers_of_sections_hold():
    holds(in_blocks(own_blocks), fed(RESONANT, 300))


# --------------------------------------------------------------- a state in single precision


def with_state_in(dtype):
    def law(system, u):
        A, B, C, D = (np.asarray(m, dtype) for m in system)

        def run(u):
            x, y = np.zeros(len(A), dtype), []
            for u_k in u.astype(dtype):
                y.append(C @ x + D @ u_k)
                x = A @ x + B @ u_k
            return np.array(y, float)

        assert_equivalent(run, system, u)

    return law


@SEEDS
def test_a_state_in_single_precision_is_found(seed):
    found(with_state_in(np.float32), fed(DISCRETE), seed)


def test_a_state_in_double_precision_holds():
    holds(with_state_in(np.float64), fed(DISCRETE))


# --------------------------------------------------------------- an exponential that divides by what nearly cancels


def test_scipys_exponential_of_a_complex_triangle():
    """(e^b − e^a)/(b − a) as it stands, where a and b nearly agree; `test_the_table` found it, and ours is right."""
    a, b = -2.7 - 2.8j, -2.7 - 2.5e-9 - (2.8 + 2.6e-9) * 1j
    wanted = 4.0 * np.exp(a) * np.expm1(b - a) / (b - a)
    triangle = np.array([[a, 4.0], [0.0, b]])
    ours = np.asarray(ss.discretize(ss.ContinuousSystem(triangle, np.eye(2), np.eye(2)), 1.0).A)
    assert 1e-10 < abs(linalg.expm(triangle)[0, 1] / wanted - 1) < 1e-6
    assert abs(ours[0, 1] / wanted - 1) < 1e-14


# --------------------------------------------------------------- an impulse of height 1/Δ


@pytest.mark.peer
@SEEDS
def test_an_impulse_scaled_by_the_step_is_found(seed):
    """python-control's `impulse_response` of a discrete system is h/Δ."""
    import control

    def law(system):
        def run(u):
            t = system.dt * np.arange(len(u))
            return np.convolve(u, control.impulse_response(control.ss(*system, system.dt), t).outputs)[: len(u)]

        assert_equivalent(run, system, length=32, slack=MILLION)

    found(law, st.tuples(strategies.systems("discrete", inputs=1, outputs=1)), seed)
