"""selective_scan and its pullback on the device, against the CPU engine in double and the few lines of NumPy.

Compiled sizes are kept few: three states, where nothing else is said.
"""

import itertools

import card
import numpy as np
import pretend
import pytest
import test_selective_laws as laws
from hypothesis import given, settings
from hypothesis import strategies as st

import statespace as ss
from statespace.gpu import layout
from statespace.testing import strategies
from statespace.testing.margin import compare

EPS = {np.dtype(kind): np.finfo(kind).eps for kind in (np.float16, np.float32, np.float64)}
ARRAYS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "x0", "reset")
FEW = settings(max_examples=max(8, settings.default.max_examples // 5))


@pytest.fixture
def multiprocessors(monkeypatch):
    """Set how many the rules of layout.py believe in, which decides over lanes and blocks of time."""

    def believe(count):
        monkeypatch.setattr("statespace.gpu.selective.multiprocessors", lambda: count)

    believe(132)
    return believe


class Case(dict):
    """Arguments of a scan by name."""

    def mapped(self, function):
        def each(value):
            if isinstance(value, tuple):
                return tuple(map(each, value))
            return function(value) if isinstance(value, np.ndarray) else value

        return Case({name: each(value) for name, value in self.items()})

    def on(self, cupy):
        return self.mapped(cupy.asarray)

    def wide(self):
        return self.mapped(lambda a: a.astype(np.result_type(a.dtype, np.float64)) if a.dtype.kind in "fc" else a)


def case_of(
    length=37, d=5, n=3, *, batch=(2,), kind=np.float32, poles=False, complex_u=False, groups=None, constant=False,
    gate=True, soft=True, feed=True, x0=True, reset=True, seed=0, **more,
):  # fmt: skip
    """Every argument there is, unless it is left out; poles says whether they are complex."""
    rng, method = np.random.default_rng(seed), more.get("method", "mamba")

    def numbers(*shape, complex_=False):
        made = rng.normal(size=shape) + (1j * rng.normal(size=shape) if complex_ else 0)
        return made.astype(np.result_type(kind, np.complex64) if complex_ else kind)

    level = (*batch, 1 if constant else length, *(() if groups is None else (groups,)), n)
    a = -np.exp(rng.normal(size=(d, n))) + (3j * rng.normal(size=(d, n)) if poles else 0)
    step = numbers(*batch, length, d)
    case = Case(
        u=numbers(*batch, length, d, complex_=complex_u),
        delta=step if soft else np.abs(step) / 4,
        A=a.astype(np.result_type(kind, np.complex64) if poles else np.result_type(kind, np.float32)),
        B=numbers(*level, complex_=poles),
        C=numbers(*level, complex_=poles),
        delta_softplus=soft,
        groups=groups,
        **more,
    )
    if feed:
        case["D"] = numbers(d)
    if gate:
        case["z"] = 2 * numbers(*batch, length, d)
    if soft:
        case["delta_bias"] = numbers(d)
    if reset:
        case["reset"] = rng.random((*batch, length)) < 3 / max(length, 3)
    if x0:
        start = [numbers(*batch, d, n, complex_=poles or complex_u) for _ in range(2)]
        case["x0"] = tuple(start) if laws.two_taps(laws.as_method(method)) else start[0]
    return case


def answers(cupy, case):
    """Y and the parts of the last state, of the device and of the CPU in double, both as NumPy arrays."""
    y, state = ss.selective_scan(**case.on(cupy), return_state=True)
    wanted, last = ss.selective_scan(**case.wide(), return_state=True)
    assert type(y) is cupy.ndarray
    return [a.get() for a in (y, *laws.parts(state))], [wanted, *laws.parts(last)]


def close(got, wanted, units, kind):
    """Within so many units of the largest."""
    for one, two in zip(got, wanted, strict=True):
        assert one.shape == two.shape
        size = np.abs(two).max(initial=0.0)
        error = np.abs(one - two).max(initial=0.0)
        assert error <= units * EPS[np.dtype(kind)] * size, f"{error / size / EPS[np.dtype(kind)]:.1f} units"


# --------------------------------------------------------------- the laws


@st.composite
def drawn(draw, method, kind):
    """A scan by a method, of three states: drawn poles, steps, resets and starts, as for the CPU engine."""
    length, d = draw(st.sampled_from((1, 2, 31, 33, 70))), draw(st.sampled_from((1, 2, 6)))
    groups = draw(st.sampled_from((1, 2))) if d % 2 == 0 else 1
    x = draw(strategies.selective_inputs(length, d, 3, groups=groups, dtype=kind))
    pairs = np.dtype(kind).kind == "c" and draw(st.booleans())
    if np.dtype(kind).kind == "c":
        x = x._replace(u=np.ascontiguousarray(x.u.real))
        x = x._replace(D=x.D.real.copy()) if pairs else x
    rule = laws.as_method(laws.METHODS[method])
    start, reset = draw(laws.starts(x.A, rule)), draw(laws.resets(x.u.shape[:-1]))
    return laws.Case(x, pairs, start, reset, rule, groups)


@pytest.mark.parametrize("kind", [np.float32, complex])
@pytest.mark.parametrize("method", laws.METHODS)
@FEW
@given(data=st.data())
def test_the_scan_is_the_reference(cupy, method, kind, data):
    """Within the bound that rounding has for each sample; twice that of the CPU engine, as an exp2 has two units."""
    case = data.draw(drawn(method, kind))
    known, (wanted, x, v) = laws.walk(case, roundings=8.0), laws.plain(case)
    how = Case(case.how()).on(cupy)
    y, state = ss.selective_scan(*(cupy.asarray(a) for a in case.arrays), **how, return_state=True)
    laws.held("on the device", {"scan": y.get(), "reference": wanted}, known.y, known.memory, case)
    of_v = 4 * np.finfo(y.dtype).eps * np.abs(v) + np.finfo(y.dtype).tiny
    for got, want, bound in zip(laws.parts(state), (x, v), (known.of_state, of_v), strict=False):
        compare("the last state", {"scan": got.get()[:, None], "reference": want[:, None]}, bound)


@pytest.mark.parametrize("name", ["mamba", "foh"])
def test_a_slow_pole_loses_what_float32_loses(cupy, name):
    """c·eps·min(L, 1/(1 − |α|)) of the largest output, over steps that are all alike."""
    case = case_of(3000, 1, batch=(), gate=False, soft=False, feed=False, x0=False, reset=False, method=name)
    for memory in (1e2, 1e4, 1e6):
        case["delta"][:] = 1.0
        case["A"] = np.full((1, 3), -1 / memory, np.float32)
        got, wanted = answers(cupy, case)
        close(got[:1], wanted[:1], 4 * min(3000, memory), np.float32)


# --------------------------------------------------------------- every argument


KINDS = [(np.float32, False), (np.float64, True)]
VARIANTS = {
    "everything": {},
    "nothing": {"gate": False, "soft": False, "feed": False, "x0": False, "reset": False},
    "groups": {"groups": 5},
    "constant": {"constant": True},
    "no batch": {"batch": ()},
    "more batch": {"batch": (2, 3)},
    "no gate, reset": {"gate": False},
    "steps as they are": {"soft": False},
}


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_argument(cupy, variant, kind):
    got, wanted = answers(cupy, case_of(kind=kind[0], poles=kind[1], **VARIANTS[variant]))
    close(got, wanted, 16, kind[0])


@pytest.mark.parametrize("how", [{"pairs": True}, {"complex_u": True}, {"complex_u": True, "constant": True}], ids=str)
def test_complex_signals_and_pairs(cupy, how):
    got, wanted = answers(cupy, case_of(poles=True, **how))
    close(got, wanted, 16, np.float32)


@pytest.mark.parametrize("length", [0, 1, 2, 31, 32, 33, 64, 65])
@pytest.mark.parametrize("d", [1, 3, 4, 130])
def test_tails(cupy, length, d):
    """Lengths beside those of a tile, channels that fill no sixteen bytes, and no block of threads."""
    got, wanted = answers(cupy, case_of(length, d))
    close(got, wanted, 16, np.float32)


@pytest.mark.parametrize("n", [0, 1, 4, 5, 16, 64, 256])
def test_numbers_of_states(cupy, n):
    got, wanted = answers(cupy, case_of(n=n))
    close(got, wanted, 16, np.float32)


@pytest.mark.parametrize(("channels", "lanes"), [(200, 1), (100, 2), (50, 4), (20, 8)])
def test_lanes_of_a_channel(cupy, multiprocessors, channels, lanes):
    """The same numbers from one to eight lanes that share the states of a channel, no more than are needed."""
    multiprocessors(1)
    scene = layout.Scene(2, 33, channels, 1, 16, 1, 1, 1, 4, 4, True, 1)
    assert layout.forward_sizes(scene).tpc == lanes
    got, wanted = answers(cupy, case_of(33, channels, 16))
    close(got, wanted, 16, np.float32)


def test_half_precision(cupy):
    """Signals are halves, arithmetic and states single; with complex poles too."""
    case = case_of(kind=np.float16, soft=True)
    got, wanted = answers(cupy, case)
    assert got[0].dtype == np.float16
    assert got[1].dtype == np.float32
    close(got[:1], wanted[:1], 2, np.float16)
    close(got[1:], wanted[1:], 16, np.float32)


def test_batch_axes_broadcast(cupy):
    case = case_of(batch=(2, 3))
    case["delta"], case["B"], case["x0"] = case["delta"][:1], case["B"][:, :1], case["x0"][1, 2]
    case["reset"], case["z"] = case["reset"][0, 0], case["z"][1, 1]
    got, wanted = answers(cupy, case)
    close(got, wanted, 16, np.float32)


def test_arrays_of_any_layout(cupy):
    """Strides are no matter: turned, reversed, every second."""
    case = case_of(40, 4)
    device = case.on(cupy)
    turned = {name: cupy.asarray(np.ascontiguousarray(case[name].swapaxes(-1, -2))).swapaxes(-1, -2) for name in "uBz"}
    got = ss.selective_scan(**(device | turned))
    assert np.array_equal(got.get(), ss.selective_scan(**device).get())


def test_gates_and_steps_at_the_ends(cupy):
    """z = ±finfo.max and raw steps of ±200 give no NaN; NaN in u goes forward until a reset."""
    case = case_of(40, 4, batch=(), x0=False)
    case["reset"][:], case["reset"][20] = False, True
    case["z"][3], case["z"][4] = np.finfo(np.float32).min, np.finfo(np.float32).max / 1e6
    case["delta"][5], case["delta"][6] = -200, 200
    case["u"][10, 1] = np.nan
    y, wanted = ss.selective_scan(**case.on(cupy)).get(), ss.selective_scan(**case)
    assert np.array_equal(np.isnan(y), np.isnan(wanted))
    assert np.isnan(y[10:20, 1]).all()
    assert not np.isnan(y[20:]).any()
    assert np.abs(y[3]).max() < 1e-30


# --------------------------------------------------------------- blocks of time


@pytest.mark.parametrize(("method", "kind"), [("mamba", (np.float32, False)), ("foh", (np.float64, True))])
def test_blocks_of_time(cupy, multiprocessors, method, kind):
    """Few channels and a long signal: blocks from states that were found before, the last one shorter."""
    multiprocessors(4)
    case = case_of(1100, 3, batch=(), kind=kind[0], poles=kind[1], method=method)
    got, wanted = answers(cupy, case)
    close(got, wanted, 16, kind[0])
    case["x0"] = None
    got, wanted = answers(cupy, case)
    close(got, wanted, 16, kind[0])


@pytest.mark.parametrize("method", ["mamba", "zoh"])
def test_nothing_comes_over_a_reset_between_blocks(cupy, multiprocessors, method):
    """NaN goes forward until a reset, and its gradients backward until one, in whatever blocks they are."""
    multiprocessors(4)
    case = case_of(1100, 3, batch=(), kind=np.float64, x0=False, method=method)
    case["reset"] = np.isin(np.arange(1100), (300, 700))
    case["u"][10] = np.nan
    got, wanted = answers(cupy, case)
    assert np.array_equal(np.isnan(got[0]), np.isnan(wanted[0]))
    assert np.isnan(got[0]).any(axis=1).sum() == 290
    case["u"][10] = 0
    grad = np.ones((1100, 3))
    grad[600] = np.nan
    found = ss.selective_scan_vjp(**case.on(cupy))[1](cupy.asarray(grad)).u.get()
    known = ss.selective_scan_vjp(**case)[1](grad).u
    assert np.array_equal(np.isnan(found), np.isnan(known))
    assert np.isnan(found).any(axis=1).sum() == 301


def test_a_product_that_overflows_makes_nothing_of_nothing(cupy, multiprocessors):
    """A state of 0 stays 0, however much a block would have made of it."""
    multiprocessors(4)
    case = case_of(1100, 3, batch=(), gate=False, soft=False, feed=False, x0=False, reset=False)
    case["A"], case["u"], case["delta"] = -4 * case["A"], 0 * case["u"], 0 * case["delta"] + 1
    with pytest.warns(RuntimeWarning, match="its state grows"):
        wanted = ss.selective_scan(**case)
    assert np.array_equal(ss.selective_scan(**case.on(cupy)).get(), wanted)


@pytest.mark.parametrize("length", [1100, 4097])
def test_the_scan_of_a_pullback_has_the_same_bits(cupy, multiprocessors, length):
    multiprocessors(4)
    case = case_of(length, 3, batch=(), kind=np.float64)
    y, _ = ss.selective_scan_vjp(**case.on(cupy))
    assert np.array_equal(y.get(), ss.selective_scan(**case.on(cupy)).get())


@pytest.mark.parametrize("method", ["mamba", "foh"])
def test_pieces_are_one_scan(cupy, method):
    """Any split, with the state handed on: the same bits, as time is not cut here."""
    case = case_of(method=method)
    whole, last = ss.selective_scan(**case.on(cupy), return_state=True)
    state, ys = case["x0"], []
    state = tuple(map(cupy.asarray, state)) if isinstance(state, tuple) else cupy.asarray(state)
    for begin, end in itertools.pairwise((0, 1, 17, 17, 37)):
        piece = Case(case)
        for name in ("u", "delta", "B", "C", "z"):
            piece[name] = case[name][:, begin:end]
        piece["reset"] = case["reset"][:, begin:end]
        piece = piece.on(cupy) | {"x0": state, "return_state": True}
        y, state = ss.selective_scan(**piece)
        ys.append(y.get())
    assert np.array_equal(np.concatenate(ys, axis=1), whole.get())
    for one, two in zip(laws.parts(state), laws.parts(last), strict=True):
        assert np.array_equal(one.get(), two.get())


# --------------------------------------------------------------- the pullback


def pulled(cupy, case, seed=1):
    """Gradients on the device, and those of the CPU engine in double, as lists of NumPy arrays."""
    rng = np.random.default_rng(seed)
    y, pullback = ss.selective_scan_vjp(**case.on(cupy), return_state=True)
    _, back = ss.selective_scan_vjp(**case.wide(), return_state=True)

    def like(a):
        made = rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else 0)
        return made.astype(a.dtype)

    grad, state = like(y[0]), tuple(map(like, laws.parts(y[1])))
    one = state if isinstance(y[1], tuple) else state[0]
    given = Case(grad_y=grad, grad_state=one)
    found = [pullback(**given.on(cupy)) for _ in range(2)]
    for first, second in zip(flat(found[0]), flat(found[1]), strict=True):
        assert np.array_equal(first.get(), second.get())  # the same bits in every run
    return [g.get() for g in flat(found[0])], flat(back(**given.wide()))


def flat(gradients):
    """The arrays of named tuples of arrays, pairs and None."""
    return [a for g in gradients if g is not None for a in (g if isinstance(g, tuple) else (g,))]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("method", ["mamba", "s4_zoh", "zoh", "foh", "exp_trapezoidal", "bilinear", "s4_bilinear"])
def test_gradients_of_every_rule(cupy, method, kind):
    got, wanted = pulled(cupy, case_of(kind=kind[0], poles=kind[1], method=method))
    close(got, wanted, 40, kind[0])


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "everything"])
def test_gradients_of_every_argument(cupy, variant):
    got, wanted = pulled(cupy, case_of(**VARIANTS[variant]))
    close(got, wanted, 40, np.float32)


@pytest.mark.parametrize("how", [{"pairs": True}, {"complex_u": True}], ids=str)
def test_gradients_of_complex_signals_and_pairs(cupy, how):
    got, wanted = pulled(cupy, case_of(poles=True, **how))
    close(got, wanted, 40, np.float32)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 33])
@pytest.mark.parametrize("d", [1, 130])
def test_gradients_at_tails(cupy, length, d):
    got, wanted = pulled(cupy, case_of(length, d, constant=length == 9))
    close(got, wanted, 40, np.float32)


@pytest.mark.parametrize("n", [1, 16, 64, 256])
def test_gradients_of_numbers_of_states(cupy, n):
    got, wanted = pulled(cupy, case_of(n=n, batch=()))
    close(got, wanted, 40, np.float32)


def test_gradients_of_one_complex_state(cupy):
    """The widest numbers, on the most channels that a block of threads can have."""
    got, wanted = pulled(cupy, case_of(12, 130, 1, kind=np.float64, poles=True, complex_u=True))
    close(got, wanted, 40, np.float64)


def test_what_a_block_of_threads_has_is_enough():
    """Shared memory, for every number of states, kind, group and size of a batch."""
    kinds = itertools.product((1, 2), (1, 2), (1, 2), (4, 8), (2, 4, 8), (False, True))
    for (parts, heard, told, real, signal, simple), width in itertools.product(kinds, (1, 20, 40, 1536)):
        for n in (1, 2, 3, 5, 16, 17, 40, 64, 100, 128, 256):
            scene = layout.Scene(2, 100, 2 * width, 2, n, parts, heard, told, real, signal, simple, 132)
            if n <= layout.most_states(scene):
                back = layout.adjoint_sizes(scene)
                sizes = (layout.forward_sizes(scene), layout.forward_sizes(scene, back.span), back)
                assert all(size.shared <= 48 * 1024 and size.threads % 32 == 0 for size in sizes)


@pytest.mark.parametrize(("method", "kind"), [("mamba", (np.float32, False)), ("foh", (np.float64, True))])
def test_gradients_over_blocks_of_time(cupy, multiprocessors, method, kind):
    multiprocessors(4)
    for constant in (False, True):
        case = case_of(1100, 3, batch=(), kind=kind[0], poles=kind[1], method=method, constant=constant)
        got, wanted = pulled(cupy, case)
        close(got, wanted, 100, kind[0])


def test_gradients_in_half_precision(cupy):
    case = case_of(kind=np.float16)
    got, wanted = pulled(cupy, case)
    assert got[0].dtype == np.float16
    close(got, wanted, 4, np.float16)


def test_gradients_of_what_broadcasts(cupy):
    case = case_of(batch=(2, 3))
    case["delta"], case["B"], case["x0"] = case["delta"][:1], case["B"][:, :1], case["x0"][1, 2]
    got, wanted = pulled(cupy, case)
    close(got, wanted, 40, np.float32)


# --------------------------------------------------------------- what else a device is


def test_too_many_states(cupy):
    with pytest.raises(
        ValueError, match=r"on a GPU a channel .* has 256 states of float32 at most, got 300; run it on"
    ):
        ss.selective_scan(**case_of(n=300).on(cupy))
    with pytest.raises(ValueError, match="64 states of complex128 at most, got 65"):
        ss.selective_scan(**case_of(n=65, kind=np.float64, poles=True).on(cupy))


def test_nothing_is_copied_to_the_host(cupy):
    """Nor waited for."""
    if cupy is not pretend.cupy:
        pytest.skip("counted where CuPy is pretended")
    case, before = case_of().on(cupy), card.machine.downloads
    with card.no_copies(uploads=True):
        y, pullback = ss.selective_scan_vjp(**case)
        pullback(y)
    assert card.machine.downloads == before
