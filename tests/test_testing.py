"""The assertions: what is right passes, what is broken fails and says where, and the bounds of the errors hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import statespace as ss
from gallery import METHODS, digital_systems, systems
from statespace.testing import strategies
from statespace.testing.bounds import coarse_bound, convolution_bound, memory, output_bound, seen, state_system
from statespace.testing.margin import Margin, compare, worst
from statespace.testing.report import written

KIT = ss.testing
EPS = np.finfo(float).eps
SPRING = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
DIGITAL = ss.discretize(SPRING, 0.1)
LAG = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=1.0)
BA = ss.to_ba(DIGITAL)
U = np.sin(np.arange(30.0) ** 2)
SIGNALS = {"(L,)": U, "(L, 1)": U[:, None], "(2, L, 1)": np.stack([U, U[::-1]])[..., None], "no samples": np.zeros(0)}
DIGITALS = digital_systems()


def lfilter(u):
    """DIGITAL as another library has it, along time."""
    return signal.lfilter(*BA, u, axis=-1 if u.ndim == 1 else -2) if u.size else u


def late(u):
    """Wrong from sample 7 on."""
    k = np.arange(len(u)) if u.ndim == 1 else np.arange(u.shape[-2])[:, None]
    return lfilter(u) * (1 + 1e-9 * (k >= 7))


def failure(call):
    with pytest.raises(AssertionError) as caught:
        call()
    return str(caught.value)


def pasted(text):
    """What the lines of a report build, by name."""
    namespace = {}
    exec(text[text.index("import numpy as np, statespace as ss") :], namespace)
    return namespace


# --------------------------------------------------------------- two of them


@pytest.mark.parametrize("shape", SIGNALS)
def test_functions_and_systems_are_equivalent(shape):
    u = SIGNALS[shape]
    for pair in ((lfilter, DIGITAL), (DIGITAL, lfilter), (lfilter, lfilter), (DIGITAL, DIGITAL)):
        margin = KIT.assert_equivalent(*pair, u)
        assert margin.error <= margin.bound
    KIT.assert_equivalent(lfilter, lfilter, u, system=DIGITAL)
    if u.size:
        assert "output 0 at sample 7" in failure(lambda: KIT.assert_equivalent(DIGITAL, late, u))


def test_equivalence_says_where_and_by_how_much():
    text = failure(lambda: KIT.assert_equivalent(late, DIGITAL, U))
    wanted, got = float(lfilter(U)[7]), float(late(U)[7])
    assert text.startswith("equivalence does not hold for output 0 at sample 7:\n")
    assert f"  first   {got!r}" in text
    assert "\n  second  " in text
    assert f"they differ by {abs(got - wanted):.3g}, allowed is " in text
    found = pasted(text)
    np.testing.assert_array_equal(found["u"], U)
    assert found["first"] is ...
    assert failure(lambda: KIT.assert_equivalent(late, found["second"], found["u"])) == text


def test_without_a_signal_kernels_are_compared():
    KIT.assert_equivalent(DIGITAL, lfilter)
    two = ss.append(LAG, LAG)
    KIT.assert_equivalent(two, two)
    other = ss.DiscreteSystem(two.A, two.B, two.C, [[0, 0], [1e-9, 0]], dt=1.0)
    text = failure(lambda: KIT.assert_equivalent(two, other))
    assert "output 1 at sample 0" in text
    np.testing.assert_array_equal(pasted(text)["u"][0], [1.0, 0.0])  # by the first input
    assert KIT.assert_equivalent(LAG, LAG, length=3).memory == 2.0
    assert len(pasted(failure(lambda: KIT.assert_equivalent(LAG, 2 * LAG, length=3)))["u"]) == 3


def test_no_states_and_no_outputs_in_common():
    gain = ss.DiscreteSystem([], [], [], [[2.0, 1.0]], dt=1.0)
    assert KIT.assert_equivalent(gain, gain).error == 0
    KIT.assert_equivalent(gain, lambda u: u @ [[2.0], [1.0]])
    assert "output 0 at sample 0" in failure(lambda: KIT.assert_equivalent(gain, lambda u: u[:, :1]))
    text = failure(lambda: KIT.assert_equivalent(ss.append(LAG, LAG)[:, 0], ss.append(LAG, LAG, LAG)[:, 0]))
    assert text.startswith("equivalence does not hold: first has shape (22, 2) and second has shape (22, 3)")


def test_continuous_systems_are_compared_by_their_behaviour():
    turned = ss.ContinuousSystem([[-0.4, -4.0], [1.0, 0.0]], [[1.0], [0.0]], [[0.0, 1.0]])
    KIT.assert_equivalent(SPRING, turned)
    KIT.assert_equivalent(SPRING, ss.from_tf([1.0], [1.0, 0.4, 4.0]))
    KIT.assert_equivalent(ss.ContinuousSystem([], [], [], [[1.0]]), ss.ContinuousSystem([], [], [], [[1.0]]))
    failure(lambda: KIT.assert_equivalent(SPRING, ss.from_tf([1.0], [1.0, 0.4, 4.0001])))


def test_a_factor_allows_more_and_an_angle_as_well():
    near = DIGITAL * (1 + 1e-13)
    failure(lambda: KIT.assert_equivalent(DIGITAL, near))
    KIT.assert_equivalent(DIGITAL, near, slack=1e3)
    KIT.assert_equivalent(DIGITAL, near, angle=1e3)


@pytest.mark.peer
def test_matrices_of_other_libraries_are_read():
    import control

    def by_scipy(a, b, c, d, dt):
        return signal.StateSpace(*signal.cont2discrete((a, b, c, d), dt, "bilinear")[:4], dt=dt)

    def by_control(a, b, c, d, dt):
        return control.sample_system(control.ss(a, b, c, d), dt, "bilinear")

    for function in (by_scipy, by_control):
        found = KIT.from_matrices(function)(SPRING, 0.1)
        KIT.assert_equivalent(found, ss.discretize(SPRING, 0.1, "bilinear"), angle=1.0)
        assert KIT.assert_discretization_order(KIT.from_matrices(function), 2) == pytest.approx(2, abs=0.15)


def test_matrices_come_in_tuples_lists_and_systems():
    def five(a, b, c, d, dt):
        return signal.cont2discrete((a, b, c, d), dt)

    for function in (five, lambda *s: five(*s)[:4], lambda *s: list(five(*s)), lambda *s: ss.discretize(SPRING, s[-1])):
        found = KIT.from_matrices(function)(SPRING, 0.1)
        assert found.dt == 0.1
        KIT.assert_equivalent(found, DIGITAL, angle=1.0)


# --------------------------------------------------------------- forms


@pytest.mark.parametrize("name", DIGITALS)
def test_forms_of_every_structure_agree(name):
    system = DIGITALS[name]
    one = np.ones(system.state_size)
    assert KIT.assert_forms_agree(system).bound > 0
    KIT.assert_forms_agree(system, x0=one)
    KIT.assert_forms_agree(system, np.zeros((0, system.n_inputs)), forms="chunked")


def mine(system, u):
    return np.convolve(u, ss.kernel(system, len(u))[:, 0, 0])[: len(u)]


def test_forms_of_your_own():
    def wrong(system, u):
        return mine(system, u) + 1e-9 * (np.arange(len(u)) == 11)

    KIT.assert_forms_agree(DIGITAL, U, forms={"mine": mine, "chunked": None})
    text = failure(lambda: KIT.assert_forms_agree(DIGITAL, U, forms={"mine": mine, "wrong": wrong}))
    assert text.startswith("form 'wrong' does not hold for output 0 at sample 11:\n  recurrent  ")
    found = pasted(text)
    assert failure(lambda: KIT.assert_forms_agree(found["system"], found["u"], forms={"wrong": wrong})) == text
    assert "as many samples out as in" in failure(
        lambda: KIT.assert_forms_agree(DIGITAL, U, forms={"x": lambda s, u: 1})
    )


def test_final_states_are_compared(monkeypatch):
    """A form whose outputs are right and whose state is not."""
    from statespace.testing import equivalence

    def broken(system, u, *, x0=None, form):
        response = ss.simulate(system, u, x0=x0, form=form)
        if form != "recurrent":
            object.__setattr__(response, "final_state", response.final_state + np.array([0, 1e-9]))
        return response

    monkeypatch.setattr(equivalence, "simulate", broken)
    text = failure(lambda: KIT.assert_forms_agree(DIGITAL, U, x0=[1.0, 2.0]))
    assert text.startswith("the final state of form 'chunked' does not hold for output 1 at sample 0")
    np.testing.assert_array_equal(pasted(text)["x0"], [1.0, 2.0])


# --------------------------------------------------------------- streams


def smooth(block, state):
    if not len(block):  # scipy.signal.lfilter forgets its state over no samples (SciPy issue 22571)
        return block, state
    return signal.lfilter([0.5], [1.0, -0.5], block, zi=np.zeros(1) if state is None else state)


def forgetful(block, state):
    """It starts again at every block."""
    return smooth(block, None)


class Keeper:
    """A filter that keeps its state to itself."""

    def __init__(self, leaks):
        self.leaks, self.x = leaks, 0.0

    def __call__(self, block, state):
        if state is None and not self.leaks:
            self.x = 0.0
        y = np.empty(len(block))
        for k, u in enumerate(block):
            self.x = 0.5 * self.x + u
            y[k] = self.x
        return y, "not None"


CHUNKS = [(30,), (0, 30), (30, 0), (0, 0, 30, 0), (10, 0, 0, 20), (1,) * 30, (7, 8, 15)]


@pytest.mark.parametrize("chunks", CHUNKS)
def test_streams_agree(chunks):
    assert KIT.assert_streaming_agrees(smooth, U, chunks, exact=True) == Margin(0.0, 0.0, 30.0)
    assert KIT.assert_streaming_agrees(Keeper(leaks=False), U, chunks, exact=True).error == 0
    for system in (DIGITAL, DIGITALS["pairs"], DIGITALS["batch"], DIGITALS["complex"], DIGITALS["taps"]):
        u = U if system.n_inputs == 1 else np.stack([U, U[::-1]], -1)
        assert KIT.assert_streaming_agrees(system, u, chunks) == Margin(0.0, 0.0, memory(system, 30).max())
        assert KIT.assert_streaming_agrees(system, u, chunks, exact=False).bound > 0


def ours(block, state):
    return ss.scipy_signal.lfilter([0.5], [1.0, -0.5], block, zi=np.zeros(1) if state is None else state)


def test_lfilter_of_ours_keeps_its_state_over_an_empty_block():
    KIT.assert_streaming_agrees(ours, U, (4, 0, 26), system=ss.from_ba([0.5], [1.0, -0.5], dt=1.0))


def test_broken_streams_fail():
    text = failure(lambda: KIT.assert_streaming_agrees(forgetful, U, (10, 20)))
    assert text.startswith("streaming does not hold for output 0 at sample 10:\n  in blocks  ")
    found = pasted(text)
    assert failure(lambda: KIT.assert_streaming_agrees(forgetful, found["u"], found["chunks"])) == text
    assert "sample 0" in failure(lambda: KIT.assert_streaming_agrees(Keeper(leaks=True), U, (10, 20)))
    KIT.assert_streaming_agrees(forgetful, U, (30,))
    KIT.assert_streaming_agrees(forgetful, np.zeros(0), (0, 0))


def test_the_same_bits_on_request():
    def by_product(block, state):
        return block * (1 + (2 * EPS if state else 0.0)), True

    KIT.assert_streaming_agrees(by_product, U, (10, 20), exact=False)
    text = failure(lambda: KIT.assert_streaming_agrees(by_product, U, (10, 20), exact=True))
    assert "allowed is nothing: the same bits are promised" in text


def test_a_claim_makes_the_bound_that_of_the_system():
    coarse = KIT.assert_streaming_agrees(lambda u, x: (u * 1.0, x), U, (10, 20), exact=False)
    gain = ss.DiscreteSystem([], [], [], [[1.0]], dt=1.0)
    assert KIT.assert_streaming_agrees(lambda u, x: (u * (1 + EPS), x), U, (10, 20), system=gain).error == 0

    def drifts(block, state):
        return block * (1 + (20 * EPS if state else 0.0)), True

    assert coarse.error == 0
    KIT.assert_streaming_agrees(drifts, U, (10, 20))
    failure(lambda: KIT.assert_streaming_agrees(drifts, U, (10, 20), system=gain))


# --------------------------------------------------------------- linear and time-invariant


@pytest.mark.parametrize("shape", SIGNALS)
def test_filters_are_linear_and_time_invariant(shape):
    u = SIGNALS[shape]
    for f in (DIGITAL, lfilter):
        for a, b in ((2.0, -3.0), (1j, 0.5), (0, 0), (1e100, 1e-100)):
            margin = KIT.assert_linear(f, u, u[::-1], a=a, b=b, system=DIGITAL)
            assert margin.error <= margin.bound
        KIT.assert_linear(f, u, u[::-1])
        for delay in (0, 1, 5):
            KIT.assert_time_invariant(f, u, delay, system=DIGITAL)
    KIT.assert_time_invariant(DIGITAL, u, 4, exact=True)


def test_what_is_not_linear_fails():
    for broken in (np.abs, np.square, lambda u: u + 1e-9, lambda u: lfilter(u).clip(-0.01), lambda u: np.round(u, 12)):
        text = failure(lambda f=broken: KIT.assert_linear(f, U, U[::-1]))
        assert text.startswith("linearity does not hold for output 0 at sample ")
        found = pasted(text)
        again = failure(lambda f=broken, x=found: KIT.assert_linear(f, x["u"], x["v"], a=x["a"], b=x["b"]))
        assert again == text


def test_what_changes_with_time_fails():
    def drifts(u):
        return u * (1 + 1e-9 * np.arange(len(u)))

    def looks_ahead(u):
        return np.append(u[1:], 0.0)

    def recalls(u):  # the mean of the whole signal
        return u - u.mean()

    for broken, sample in ((drifts, 3), (recalls, 0), (lambda u: u[::-1].copy(), 0)):
        text = failure(lambda f=broken: KIT.assert_time_invariant(f, U, 3))
        assert text.startswith("time invariance does not hold for output 0 at sample "), sample
        found = pasted(text)
        assert failure(lambda f=broken, x=found: KIT.assert_time_invariant(f, x["u"], x["delay"])) == text
    assert "output 0 at sample 2" in failure(lambda: KIT.assert_time_invariant(looks_ahead, 1.0 + U**2, 3))


def test_a_system_with_many_outputs_names_the_wrong_one():
    def wrong(u):
        y = np.stack([lfilter(u[:, 0]), lfilter(u[:, 1])], -1)
        y[5:, 1] += 1e-9 * np.abs(u[5:, 0])
        return y

    u = np.stack([U, U[::-1]], -1)
    assert "for output 1 at sample 5" in failure(
        lambda: KIT.assert_linear(wrong, u, -0.5 * u, system=ss.append(DIGITAL, DIGITAL))
    )


def test_a_batch_names_the_wrong_member():
    two = ss.DiscreteSystem([[[0.5]], [[0.25]]], LAG.B, [[[1.0]], [[2.0]]], dt=1.0)
    other = ss.DiscreteSystem([[[0.5]], [[0.25]]], LAG.B, [[[1.0]], [[2.0 + 1e-9]]], dt=1.0)
    text = failure(lambda: KIT.assert_equivalent(two, other, U))
    assert "output 0 at sample 2 of system (1,)" in text
    KIT.assert_forms_agree(two, U)


def test_single_precision_is_held_to_its_own_rounding():
    u = U.astype(np.float32)
    for f in (DIGITAL, lambda u: lfilter(u).astype(np.float32)):
        assert 0 < KIT.assert_linear(f, u, u[::-1], system=DIGITAL).error < 1e-5
        KIT.assert_linear(f, u, u[::-1])
    text = failure(lambda: KIT.assert_linear(np.abs, u, u))
    assert pasted(text)["u"].dtype == np.float32


def test_a_function_cannot_change_the_signal():
    def in_place(u):
        u *= 2.0
        return u

    u = U.copy()
    KIT.assert_linear(in_place, u, u)
    KIT.assert_time_invariant(in_place, u)
    KIT.assert_equivalent(in_place, lambda u: 2.0 * u, u)
    KIT.assert_forms_agree(
        ss.DiscreteSystem([], [], [], [[2.0]], dt=1.0), u, forms={"in place": lambda s, u: in_place(u)}
    )
    KIT.assert_streaming_agrees(lambda b, s: (in_place(b), s), u, (10, 20))
    np.testing.assert_array_equal(u, U)


# --------------------------------------------------------------- order

ORDERS = dict.fromkeys(METHODS, 1) | dict.fromkeys(("foh", "bilinear", "exp_trapezoidal"), 2)
MEASURED_ON = {
    "spring": SPRING,
    "stiff": ss.from_zpk([], [-1.0, -1e4], 1e4),
    "unstable": ss.from_zpk([], [0.5 + 2j, 0.5 - 2j], 1.0),
    "zeros": ss.from_zpk([-3.0], [-1 + 2j, -1 - 2j], 1.0),
    "pairs": systems()["pairs"],
    "complex": systems()["complex"],
    "MIMO": systems()["dense"],
    "integrators": systems()["integrators"],
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("system", MEASURED_ON)
def test_the_order_of_every_method(name, system):
    """Its own where the output feels the input at once (C B is not 0), and never less."""
    method, order, system = METHODS[name], ORDERS[name], MEASURED_ON[system]
    measured = KIT.assert_discretization_order(method, order, system)
    assert measured > order - 0.15
    if np.any(system.C @ system.B):
        assert measured == pytest.approx(order, abs=0.4)
        text = failure(lambda: KIT.assert_discretization_order(method, order + 1, system))
        assert text.startswith(f"order {order + 1} does not hold: measured is ")
        found = pasted(text)
        assert KIT.assert_discretization_order(method, order, found["system"], dt=found["dt"]) == measured


def test_what_is_exact_has_no_order():
    static = ss.ContinuousSystem([], [], [], [[2.0]])
    for method in ("zoh", "foh", "bilinear"):
        assert KIT.assert_discretization_order(method, 5, static) == np.inf


def test_a_wrong_rule_fails():
    def half(system, dt):
        return ss.discretize(system, dt / 2, "foh")

    def late(system, dt):
        return ss.discretize(system, dt * (1 + dt), "foh")

    failure(lambda: KIT.assert_discretization_order(half, 1))
    failure(lambda: KIT.assert_discretization_order(late, 2))
    assert KIT.assert_discretization_order(late, 1) == pytest.approx(1, abs=0.15)


# --------------------------------------------------------------- what is printed


def same(one, other):
    """The same system to the last bit; one without states has no A whose batch axes could be written."""
    assert type(one) is type(other)
    assert type(one.A) is type(other.A)
    for name in "BCD" if one.n_states else "D":
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    assert (one.n_states, one.n_inputs, one.n_outputs) == (other.n_states, other.n_inputs, other.n_outputs)
    if one.n_states:
        np.testing.assert_array_equal(np.asarray(one.A), np.asarray(other.A))
        np.testing.assert_array_equal(one.poles, other.poles)
    assert one.time_unit == other.time_unit
    if isinstance(one, ss.DiscreteSystem):
        np.testing.assert_array_equal(one.dt, other.dt)
        assert one.method == other.method


def back(value):
    return eval(written(value), {"np": np, "ss": ss})


GALLERY = systems() | {f"digital {name}": system for name, system in DIGITALS.items()}


@pytest.mark.parametrize("name", GALLERY)
def test_systems_are_printed_to_be_pasted(name):
    same(back(GALLERY[name]), GALLERY[name])


@given(
    st.sampled_from(["continuous", "discrete"]),
    st.sampled_from([float, complex]),
    st.sampled_from([(), (2, 1)]),
    st.data(),
)
def test_drawn_systems_are_printed_to_be_pasted(time, dtype, batch, data):
    system = data.draw(strategies.systems(time, dtype=dtype, batch=batch))
    same(back(system), system)


NUMBERS = [
    np.array([0.1, np.nan, np.inf, -np.inf]),
    np.array([1j, complex(np.nan, np.inf), complex(0.1, -np.inf)]),
    np.array([[1 / 3 + 1j]]),
    np.zeros((0, 2)),
    np.zeros((2, 0, 3), np.complex64),
    np.array([0.1, np.nan], np.float32),
    np.array([0.1 + 2j, complex(0, np.inf)], np.complex64),
    np.array(2.0),
    np.array([True, False]),
    np.array([3, 4]),
]


@pytest.mark.parametrize("value", NUMBERS, ids=written)
def test_arrays_are_printed_to_be_pasted(value):
    again = back(value)
    assert again.dtype == value.dtype
    np.testing.assert_array_equal(again, value)
    assert again.shape == value.shape


def test_other_values_are_printed_to_be_pasted():
    for value in (
        ss.Bilinear(0.3),
        ss.ZeroOrderHold("current"),
        ss.MatchedPoles(),
        (1, 2),
        0.1,
        2 - 1j,
        np.float64(0.1),
    ):
        assert back(value) == value
    assert written(np.convolve) == "...  # convolve"
    assert written(np.zeros(3000)) == "...  # float64 of shape (3000,), too long to print"
    assert back(np.zeros(3000)) is ...


# --------------------------------------------------------------- one comparison


def test_the_nearest_to_its_bound_is_the_worst():
    one, two, none = Margin(1e-16, 1e-15), Margin(2e-16, 1e-14), Margin(0.0, 0.0)
    assert worst([two, one, none]) == one
    assert worst([none, two]) == two
    assert worst([none]) == none
    assert worst([none, Margin(0.0, 1.0)]).error == 0


def test_room_is_what_neither_rounding_nor_memory_explains():
    assert Margin(1.0, 20.0, 4.0).room == 10.0
    assert Margin(0.0, 1.0).room == np.inf
    assert Margin(0.0, 0.0).room == np.inf


def held(got, wanted, bound=0.0):
    return compare("x", {"got": np.array(got)[:, None], "wanted": np.array(wanted)[:, None]}, bound)


def test_what_is_no_number_is_itself_only():
    whole = [1.0, np.nan, np.inf, -np.inf]
    assert held(whole, whole) == Margin(0.0, 0.0)
    for k, other in ((1, 0.0), (1, np.inf), (2, np.nan), (2, -np.inf), (2, 1.0), (3, 1e308), (0, np.nan), (0, np.inf)):
        broken = [*whole[:k], other, *whole[k + 1 :]]
        for sides in ((broken, whole), (whole, broken)):
            text = failure(lambda sides=sides: held(*sides, bound=1e9))
            assert text.startswith(f"x does not hold for output 0 at sample {k}:")
            assert "they differ by inf" in text
    assert held([complex(np.nan, 1)], [complex(1, np.nan)]).error == 0


def test_a_bound_that_is_not_finite_allows_all_but_nan():
    assert held([1.0], [2.0], np.inf).error == 1.0
    failure(lambda: held([1.0], [2.0], np.nan))


def test_each_output_has_its_own_bound():
    one, two = np.zeros((3, 2)), np.zeros((3, 2))
    two[1:, 1] = 1.0
    assert compare("x", {"a": one, "b": two}, np.array([0.0, 2.0])).error == 1.0
    assert "output 1 at sample 1" in failure(lambda: compare("x", {"a": one, "b": two}, np.array([2.0, 0.5])))


def test_the_first_sample_that_fails_is_named():
    text = failure(lambda: held([0.0, 1e-3, 5.0, 1.0], [0.0] * 4, 1e-2))
    assert "sample 2" in text
    assert "they differ by 5, allowed is 0.01" in text


def test_shapes_must_agree():
    text = failure(lambda: held([1.0], [1.0, 2.0]))
    assert text.startswith("x does not hold: got has shape (1, 1) and wanted has shape (2, 1)")
    assert compare("x", {"a": np.zeros((0, 1)), "b": np.zeros((0, 1))}, 0.0) == Margin(0.0, 0.0)


# --------------------------------------------------------------- the error model


def in_extended_precision(system, u):
    """The recurrence with 64 bits of mantissa."""
    kind = np.clongdouble if system.is_complex or np.iscomplexobj(u) else np.longdouble
    a, b, c, d = (m.astype(kind) for m in system)
    x, y = np.zeros(len(a), kind), []
    for u_k in u.astype(kind):
        y.append(c @ x + d @ u_k)
        x = a @ x + b @ u_k
    return np.array(y).reshape(len(u), len(c))


FINE = pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is double here")


@FINE
def test_the_bound_holds_and_is_not_loose():
    """A run of ours against one in extended precision: it rounds by half of what two runs may differ by."""
    found = []

    @settings(max_examples=100)
    @given(st.sampled_from([float, complex]), st.data())
    def check(dtype, data):
        system = data.draw(strategies.systems("discrete", dtype=dtype))
        u = data.draw(strategies.signals(None, system.n_inputs))
        wanted = in_extended_precision(system, u)
        y = ss.simulate(system, u, form="recurrent").y.reshape(wanted.shape)
        error, bound = np.abs(y - wanted).max(axis=0, initial=0.0), output_bound(system, u)
        assert np.all(error <= bound)
        found.extend(bound[error > 0] / error[error > 0])

    check()
    assert len(found) > 20
    assert np.median(found) < 1000


@pytest.mark.peer
def test_the_bound_holds_in_any_precision():
    import mpmath

    @settings(max_examples=15)
    @given(strategies.systems("discrete", max_states=3, inputs=1, outputs=1), strategies.signals(20, 1))
    def check(system, u):
        with mpmath.workdps(60):
            a, b, c, d = (mpmath.matrix(m.tolist()) if m.size else None for m in system)
            x, wanted = b, []
            for u_k in u[:, 0]:
                now = d * mpmath.mpf(u_k)
                if system.n_states:
                    x = mpmath.zeros(system.n_states, 1) if not wanted else x
                    now, x = now + c * x, a * x + b * mpmath.mpf(u_k)
                wanted.append(now[0, 0])
            y = ss.simulate(system, u, form="recurrent").y[:, 0]
            error = max(abs(mpmath.mpf(float(one)) - other) for one, other in zip(y, wanted, strict=True))
        assert float(error) <= output_bound(system, u)[0]

    check()


@given(strategies.systems("discrete"), st.data(), st.sampled_from([1e-100, 1e100]))
def test_the_bound_scales_with_the_signal(system, data, factor):
    u = data.draw(strategies.signals(20, system.n_inputs))
    np.testing.assert_allclose(
        output_bound(system, factor * u), factor * output_bound(system, u), rtol=1e-9, atol=1e-300
    )


@given(strategies.systems("discrete", structure="dense"), st.data())
def test_the_bound_knows_no_units_of_the_state(system, data):
    """Powers of two change no rounding."""
    n = system.n_states
    size = 2.0 ** np.array(data.draw(st.lists(st.integers(-30, 30), min_size=n, max_size=n)))
    a, b, c, d = system
    other = ss.DiscreteSystem(ss.Dense(size[:, None] * a / size, system.poles), size[:, None] * b, c / size, d, dt=1.0)
    u = data.draw(strategies.signals(20, system.n_inputs))
    np.testing.assert_allclose(output_bound(other, u), output_bound(system, u), rtol=1e-12)


@pytest.mark.parametrize("structure", ["dense", "cascade", "diagonal", "pairs", "delay"])
@settings(max_examples=15)
@given(data=st.data())
def test_the_bound_of_a_batch_is_that_of_each(structure, data):
    """To how the members are summed."""
    two = data.draw(strategies.systems("discrete", batch=(2,), structure=structure, min_states=1))
    u = data.draw(strategies.signals(12, two.n_inputs))
    for angle in (0.0, 3.0):
        whole = output_bound(two, u, angle=angle)
        for k in range(2):
            ports = () if structure == "cascade" else (two.B[k], two.C[k], two.D[k])
            one = ss.DiscreteSystem(member(two.A, k), *ports, dt=two.dt)
            np.testing.assert_allclose(whole[k], output_bound(one, u, angle=angle), rtol=1e-12)
            assert memory(two, 12)[k] == memory(one, 12)


def member(a, k):
    if isinstance(a, ss.Cascade):
        return ss.Cascade(a.known_poles[k], a.zeros[k], a.gains[k])
    if isinstance(a, ss.Diagonal):
        return ss.Diagonal(a.diagonal[k], a.pairs)
    return a if isinstance(a, ss.DelayLine) else ss.Dense(np.asarray(a)[k], a.poles[k])


def test_memory_is_what_the_slowest_pole_remembers():
    lag = ss.DiscreteSystem([[0.9]], [[1.0]], [[1.0]], dt=1.0)
    assert memory(lag, 1000) == pytest.approx(10)
    assert memory(lag, 4) == 4
    assert memory(ss.DiscreteSystem([[1.0]], [[1.0]], [[1.0]], dt=1.0), 77) == 77
    assert memory(ss.DiscreteSystem([[2.0]], [[1.0]], [[1.0]], dt=1.0), 77) == 77
    assert memory(ss.DiscreteSystem([], [], [], [[1.0]], dt=1.0), 77) == 1
    assert memory(lag, 0) == 0


def test_no_samples_have_no_error():
    for system in DIGITALS.values():
        u = np.zeros((0, system.n_inputs))
        bound = output_bound(system, u)
        assert bound.shape == (*system.batch_shape, system.n_outputs)
        assert not bound.any()


def test_large_and_small_signals_have_bounds():
    big = ss.DiscreteSystem([[0.5, 0.0], [0.0, 0.25]], [[1.0], [1.0]], [[1.0, 1.0]], dt=1.0)
    assert np.isfinite(output_bound(big, np.full((50, 1), 1e300))).all()
    np.testing.assert_allclose(output_bound(big, np.full((9, 1), 1e300)), 1e300 * output_bound(big, np.ones((9, 1))))
    assert output_bound(big, np.full((9, 1), 1e-300)) > 0


def test_what_is_seen_of_a_state():
    np.testing.assert_allclose(seen(LAG, 3), [[1.75]])
    two = ss.DiscreteSystem([[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]], [[1.0, -2.0]], dt=1.0)
    np.testing.assert_allclose(seen(two, 5), [[1.0, 3.0]])


@pytest.mark.parametrize("name", DIGITALS)
def test_the_output_of_a_state_system_is_the_state(name):
    system = DIGITALS[name]
    u = np.sin(np.arange(20.0)[:, None] + np.arange(system.n_inputs))
    x = ss.simulate(system, u, states=True, form="recurrent").x
    inner = state_system(system)
    y = ss.simulate(inner, u, form="recurrent").y.reshape(x.shape)
    assert np.all(np.abs(y - x).max(axis=-2) <= 4 * output_bound(inner, u) + 1e-300)


def test_bounds_of_other_ways_are_larger():
    u = U[:, None]
    assert np.all(convolution_bound(DIGITAL, u) > 0)
    assert np.all(output_bound(DIGITAL, u, angle=10.0) > 3 * output_bound(DIGITAL, u))
    assert np.all(output_bound(DIGITAL, u, input_eps=1e-7) > 1e7 * output_bound(DIGITAL, u))
    assert coarse_bound(np.ones((5, 2))).tolist() == [8 * EPS * 5] * 2
    assert coarse_bound(np.ones((5, 1)), np.zeros((5, 1), np.float32)) == 40 * np.finfo(np.float32).eps
