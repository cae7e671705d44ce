"""Laws of the selective scan and of ssd, on inputs that are drawn: `pytest -m deep` runs each on 2,000 examples.

The error model is that of `statespace.testing.bounds`, for coefficients that change: what is rounded at one sample is
seen at all later ones, multiplied by |C| Π|α|. A step rounds

    (1 + |z|)·a·(|x| + Δ|v|) + b|v⁻| + g|v|        z = ΔA, known to eps|z|; 1 instead of 1 + |z| for rational rules

by a few units, with the sizes a, b, g of α, β, γ before anything in them cancels. tests/mutants.py breaks the library
in places and looks whether these laws see it.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from margins import ENOUGH, MARGINS, VACUOUS, record, rooms

import statespace as ss
from gallery import METHODS as NAMES
from statespace.discretization.names import as_method
from statespace.selective import reference
from statespace.selective.arguments import two_taps
from statespace.testing import strategies
from statespace.testing.margin import compare

pytestmark = pytest.mark.deep

METHODS = NAMES | {"exp_trapezoidal(0.2)": ss.ExponentialTrapezoidal(0.2)}
RATIONAL = ("bilinear", "s4_bilinear", "euler", "backward_euler", "gbt(0.3)")
FEWER = settings(max_examples=settings.default.max_examples // 5)  # a gradient takes a thousand scans
ROUNDINGS = 4.0  # half units of a step, in two answers; twice as many where numbers are complex


# --------------------------------------------------------------- what is drawn


class Case(NamedTuple):
    """The arrays of a scan, with a batch axis of two or without, and what is given beside them."""

    arrays: strategies.SelectiveInputs
    pairs: bool
    x0: Any  # (d, n), or the pair
    reset: Any  # (..., L)
    rule: Any
    groups: int

    def __repr__(self):  # what failed is printed to be pasted; Hypothesis warns of long names
        return f"<scan of {self.arrays.u.shape} by {self.rule}>"

    def how(self, **more):
        """Options of a scan from its start."""
        return self.options() | {"x0": self.x0, "reset": self.reset} | more

    def options(self):
        """What holds at any time."""
        return {"pairs": self.pairs, "method": self.rule, "groups": self.groups}

    def during(self, part):
        """The arrays of a part of time."""
        u, delta, a, b, c, d = self.arrays
        b, c = (m if m.shape[-3] == 1 else m[..., part, :, :] for m in (b, c))
        return u[..., part, :], delta[..., part, :], a, b, c, d

    def pasted(self):
        """For the report of a failure."""
        return self.arrays._asdict() | self.how()


@st.composite
def cases(draw, method, *, dtypes=(float, complex, np.float32, np.complex64), batch=(), long=True, **options):
    """A scan by a method: short, over a few tiles of 128 samples, of a few channels or of more than a vector has, of
    one or two channels with the states of one or two vectors."""
    groups = draw(st.sampled_from((1, 2, 3)))
    length = draw(st.sampled_from((None, None, None, 150, 300))) if long else None
    channels = draw(st.sampled_from((None, None, 18)))
    sizes = (length, channels, draw(st.sampled_from((1, 2)))) if channels or length else (None, None, None)
    if draw(st.integers(0, 4)) == 4:
        sizes, groups = (draw(st.sampled_from((1, 3, 20, 140))), draw(st.sampled_from((1, 2))), 16), 1
    kind = draw(st.sampled_from(dtypes))
    x = draw(strategies.selective_inputs(*sizes, groups=groups, batch=batch, dtype=kind, **options))
    pairs = np.dtype(kind).kind == "c" and draw(st.booleans())
    if pairs:
        x = x._replace(u=np.ascontiguousarray(x.u.real), D=x.D.real.copy())
    if not pairs and np.dtype(kind).kind == "c" and draw(st.booleans()):
        x = x._replace(u=np.ascontiguousarray(x.u.real))
    for array in x:
        array.setflags(write=False)
    rule = as_method(METHODS[method])
    return Case(x, pairs, draw(starts(x.A, rule)), draw(resets(x.u.shape[:-1])), rule, groups)


@st.composite
def starts(draw, poles, rule):
    """The state before the first sample, or none."""
    size = draw(st.sampled_from((None, 1.0, -2.0, 1e3)))
    if size is None:
        return None
    x = np.reshape(size * (1.0 + np.arange(poles.size)) / max(poles.size, 1), poles.shape)
    x = (x * (1 - 0.5j) if poles.dtype.kind == "c" else x).astype(poles.dtype)
    return (x, -2 * x[::-1]) if two_taps(rule) else x


@st.composite
def resets(draw, shape):
    """Where sequences begin, other places in each row, or None."""
    length = shape[-1]
    every = draw(st.none() | st.lists(st.integers(0, max(length - 1, 0)), min_size=1, max_size=4))
    if every is None:
        return None
    starts = np.zeros(shape, bool)
    for k, row in enumerate(starts.reshape(-1, length)):
        row[(np.array(every) + k * (length // 3)) % length] = True
    return starts


METHOD = st.sampled_from(sorted(METHODS))
ANY = METHOD.flatmap(cases)


# --------------------------------------------------------------- what rounding may do


class Walk(NamedTuple):
    """A run in double precision, and how far two answers may lie apart."""

    x: Any  # (L, d, n)
    y: Any  # (L, 1, d): every sample has a bound of its own
    of_state: Any  # (d, n), of the last
    memory: float


def walk(case, *, roundings=ROUNDINGS, signs=True, shifted=False, tiny=0.0):
    """States and bounds of one sequence. Without signs nothing cancels over time, as where sums are taken in another
    order; ``shifted`` counts what is rounded of w = x − γ v; ``tiny`` is the decay that counts as nothing: what is left
    of a sample after it is missing from all later states."""
    u, delta, a, b, c, d = map(wide, case.arrays)
    kind = case.arrays.u.dtype
    eps, floor = np.finfo(kind).eps, np.finfo(kind).tiny
    b, c = (np.broadcast_to(np.repeat(m, len(a) // case.groups, -2), (len(u), *a.shape)) for m in (b, c))
    with np.errstate(all="ignore"):
        size, f = sizes(case.rule, a, delta[..., None])
        v = b * u[..., None]
        x, before = start_of(case, a)
        lost, past, xs, bounds, remembered = np.zeros(a.shape), np.zeros(a.shape), [], [], 0.0
        gone = tiny * np.abs(x)
        for k in range(len(u)):
            if case.reset is not None and case.reset[k]:
                x, before, lost, past, gone = 0 * x, 0 * before, 0 * lost, 0 * past, 0 * gone
            now, was, own = np.abs(v[k]), np.abs(before), np.abs(f.alpha[k])
            unit = delta[k][:, None] * (now + was)
            local = size.alpha[k] * (np.abs(x) + unit * size.smooth) + size.beta[k] * was + size.gamma[k] * now
            local = local + shifted * size.alpha[k] * size.gamma[k] * was
            lost = own * lost + eps * local + floor * (1 + np.abs(x) + now + unit)
            gone = np.maximum(own, 1.0) * gone + tiny * unit
            if signs:
                x = f.alpha[k] * x + f.beta[k] * before + f.gamma[k] * v[k]
            else:
                x = own * np.abs(x) + size.beta[k] * was + size.gamma[k] * now
            before, past = v[k], np.minimum(own, 1.0) * past + 1
            seen = np.abs(x) + shifted * size.gamma[k] * now
            total = (np.abs(c[k]) * (roundings * lost + gone + eps * (a.shape[1] + 1) * seen)).sum(axis=-1)
            bounds.append((1 + case.pairs) * total + 2 * eps * np.abs(d * u[k]) + floor)
            xs.append(x)
            remembered = max(remembered, past.max(initial=1.0))
    more = 2.0 if a.dtype.kind == "c" or v.dtype.kind == "c" else 1.0
    bound = more * np.reshape(bounds, (len(u), 1, len(a)))[:, 0]
    largest = max(np.abs(xs).max(initial=0.0), np.abs(v).max(initial=0.0), bound.max(initial=0.0) / eps)
    assume(largest < 1e-6 * np.finfo(kind).max)  # Euler's rule may grow, where C = 0 unseen
    return Walk(np.reshape(xs, (len(u), *a.shape)), bound, more * (roundings * lost + gone) + floor, remembered)


class Sizes(NamedTuple):
    alpha: Any  # with the digits that z costs
    beta: Any
    gamma: Any
    smooth: float  # whether β and γ know z no better than e^z does


def sizes(rule, a, dt):
    """Sizes of the coefficients, (L, d, n), and the coefficients."""
    f, z = rule.factors(a, dt), dt * a
    if rule in [as_method(METHODS[name]) for name in RATIONAL]:
        # α = (1 + (1 − w)z)/(1 − wz), 1 + z/(1 − wz) where z is small
        share = np.maximum(1 - rule.w, np.abs(z) <= 1)
        alpha = (1 + share * np.abs(z)) / np.abs(1 - rule.w * z)
        return Sizes(alpha, np.abs(f.beta), np.abs(f.gamma), 0.0), f
    plain = rule.factors(a.real, dt)  # means of e^{sz} over a step: of an oscillation they cancel
    return Sizes((1 + np.abs(z)) * np.abs(f.alpha), np.abs(plain.beta), np.abs(plain.gamma), 1.0), f


def wide(array):
    return np.asarray(array).astype(complex if np.asarray(array).dtype.kind == "c" else float)


def start_of(case, a):
    """X and v before the first sample."""
    x, v = case.x0 if isinstance(case.x0, tuple) else (case.x0, None)
    return tuple(np.zeros(a.shape) if part is None else wide(part) for part in (x, v))


def plain(case):
    """The few lines of NumPy, in double: y and the last x and v."""
    u, delta, a, b, c, d = map(wide, case.arrays)
    b, c = (np.broadcast_to(np.repeat(m, len(a) // case.groups, -2), (len(u), *a.shape)) for m in (b, c))
    x, v = start_of(case, a)
    with np.errstate(all="ignore"):
        y, x, v = reference(u, delta, a, b, c, 0 * d, method=case.rule, x0=x, v0=v, reset=case.reset)
        return (2 * y.real if case.pairs else y) + d * u, x, v


def scan(case, **more):
    """Y and the last state."""
    return ss.selective_scan(*case.arrays, **case.how(**more), return_state=True)


def parts(state):
    """X and v, or x alone."""
    return state if isinstance(state, tuple) else (state,)


def held(law, sides, bound, memory, case):
    """Compare (L, d), every sample by its own bound, and keep the margin."""
    sides = {name: y[:, None] for name, y in sides.items()}
    record(law, compare(law, sides, bound, memory, **case.pasted()))


def same(got, wanted):
    """The same bits; NaN where a forward rule has grown beyond all numbers."""
    for one, two in zip(parts(got), parts(wanted), strict=True):
        assert np.array_equal(one, two, equal_nan=True)
        assert one.dtype == two.dtype


# --------------------------------------------------------------- one recurrence


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_the_scan_is_the_reference(method, data):
    """And so is its last state, in every precision, of real and complex numbers and pairs."""
    case = data.draw(cases(method))
    known = walk(case)
    (y, state), (wanted, x, v) = scan(case), plain(case)
    assert y.dtype == case.arrays.u.dtype if case.pairs else np.result_type(case.arrays.A, case.arrays.u)
    held(f"selective, {method}", {"scan": y, "reference": wanted}, known.y, known.memory, case)
    of_v = 4 * np.finfo(y.dtype).eps * np.abs(v) + np.finfo(y.dtype).tiny
    for got, want, bound in zip(parts(state), (x, v), (known.of_state, of_v), strict=False):
        compare("the last state", {"scan": got[:, None], "reference": want[:, None]}, bound, **case.pasted())


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_constant_is_a_discrete_system(method, data):
    """Constant Δ, B and C from zero: `filter` of the discretization of every channel."""
    case = data.draw(cases(method, dtypes=(float, complex), long=False, constant=True))
    case = case._replace(x0=None, reset=None, pairs=False)
    u, delta, a, b, c, d = case.arrays
    known = walk(case, shifted=True)
    got, wanted = scan(case)[0], []
    for k in range(len(a)):
        j = k // (len(a) // case.groups)
        parts = ss.Diagonal(a[k]), b[0, j][:, None], c[0, j][None], d[k, None, None]
        digital = ss.discretize(ss.ContinuousSystem(*parts), float(delta[0, k]), case.rule)
        wanted.append(ss.filter(digital, u[:, k]))
    sides = {"scan": got, "filter": np.stack(wanted, axis=1).reshape(got.shape)}
    held(f"selective, constant, {method}", sides, known.y, known.memory, case)


@given(ANY, st.data())
def test_what_surrounds_a_scan(case, data):
    """Bias and softplus of Δ, and the gate."""
    assume(case.arrays.u.dtype.itemsize == 8 * (1 + (case.arrays.u.dtype.kind == "c")))
    u, delta, a, *rest = case.arrays
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    raw, bias, z = 4 * rng.normal(size=delta.shape), rng.normal(size=len(a)), 3 * rng.normal(size=delta.shape)
    a = a / np.maximum(np.abs(a), 1.0)
    softened = case._replace(arrays=strategies.SelectiveInputs(u, np.logaddexp(0, raw + bias), a, *rest))
    biased = case._replace(arrays=strategies.SelectiveInputs(u, delta + np.abs(bias), a, *rest))
    gate, known = z / (1 + np.exp(-z)), walk(softened, roundings=2 * ROUNDINGS)
    y = ss.selective_scan(u, raw, a, *rest, z=z, delta_bias=bias, delta_softplus=True, **case.how())
    sides = {"inside": y, "before and after": scan(softened)[0] * gate}
    bound = known.y * np.abs(gate) + 4 * np.finfo(float).eps * np.abs(y)  # the gate is known to a few units
    held("selective, gate and softplus", sides, bound, known.memory, case)
    same(ss.selective_scan(u, delta, a, *rest, delta_bias=np.abs(bias), **case.how()), scan(biased)[0])


@given(ANY, st.data())
def test_linear(case, data):
    """In u and the state: a·scan(u) + b·scan(v), the signals rounded once."""
    a, b = data.draw(st.tuples(*2 * [st.sampled_from((1.0, -1.0, 2.0, 0.3, -1e3))]))
    v = data.draw(strategies.signals(*case.arrays.u.shape, dtype=case.arrays.u.dtype))
    one, two = case._replace(x0=None), case._replace(x0=None, arrays=case.arrays._replace(u=v))
    both = case._replace(x0=None, arrays=case.arrays._replace(u=(a * case.arrays.u + b * v).astype(v.dtype)))
    known, other = walk(one), walk(two)
    bound = 2 * (abs(a) * known.y + abs(b) * other.y)
    sides = {"of the sum": wide(scan(both)[0]), "sum": a * wide(scan(one)[0]) + b * wide(scan(two)[0])}
    held("selective, linear", sides, bound, known.memory, case)


# --------------------------------------------------------------- the same bits


@given(ANY, st.data())
def test_any_blocks_are_one_scan(case, data):
    """With resets; the state is handed on."""
    y, last = scan(case)
    chunks, state, at, pieces = data.draw(strategies.chunkings(len(y))), case.x0, 0, []
    for count in chunks:
        part = slice(at, at + count)
        cuts = None if case.reset is None else case.reset[part]
        some, state = ss.selective_scan(*case.during(part), **case.how(x0=state, reset=cuts), return_state=True)
        pieces.append(some)
        at += count
    same(np.concatenate(pieces), y)
    same(state, last)


@given(METHOD.flatmap(lambda method: cases(method, long=False)))
def test_steps_are_the_scan(case):
    """One sample after the other."""
    y, last = scan(case._replace(reset=None))
    state = case.x0
    for k in range(len(y)):
        u, delta, a, b, c, d = case.arrays
        now, state = ss.selective_step(state, u[k], delta[k], a, b[k], c[k], d, **case.options())
        same(now, y[k])
    same(state, last)


@given(METHOD.flatmap(lambda method: cases(method, batch=(2,))))
def test_reset_is_separate_scans(case):
    """From zero each, at other samples in each row of the batch."""
    assume(case.reset is not None)
    y, last = scan(case)
    for row in range(2):
        edges = [0, *np.flatnonzero(case.reset[row]), y.shape[1]]
        for k, (i, j) in enumerate(itertools.pairwise(edges)):
            u, delta, a, b, c, d = case.during(slice(i, j))
            start = case.x0 if k == 0 else None
            arrays = u[row], delta[row], a, b[row], c[row], d
            one, state = ss.selective_scan(*arrays, **case.how(x0=start, reset=None), return_state=True)
            same(y[row, i:j], one)
        same(tuple(part[row] for part in parts(last)), parts(state))


@given(METHOD.flatmap(lambda method: cases(method, batch=(2,))), st.data())
def test_a_channel_is_alone(case, data):
    """A row of a batch, and a channel of a group: the same bits alone, wherever they lie in memory."""
    y, last = scan(case)
    u, delta, a, b, c, d = case.arrays
    row, k = data.draw(st.integers(0, 1)), data.draw(st.integers(0, len(a) - 1))
    j = k // (len(a) // case.groups)
    x0 = None if case.x0 is None else tuple(part[k : k + 1] for part in parts(case.x0))
    start = x0 if x0 is None or len(x0) == 2 else x0[0]
    arrays = (np.asfortranarray(m) for m in (u[row, :, k : k + 1], delta[row, :, k : k + 1], a[k : k + 1]))
    more = b[row, :, j : j + 1], c[row, ::-1, j : j + 1].copy()[::-1], d[k : k + 1]
    how = case.how(x0=start, groups=1, reset=None if case.reset is None else case.reset[row])
    one, state = ss.selective_scan(*arrays, *more, **how, return_state=True)
    same(one[:, 0], y[row, :, k])
    same(tuple(part[0] for part in parts(state)), tuple(part[row, k] for part in parts(last)))


@given(ANY, st.data())
def test_a_step_of_zero_holds(case, data):
    """x stays, bit for bit, by every method."""
    k = data.draw(st.integers(0, len(case.arrays.u) - 1))
    delta = case.arrays.delta.copy()
    delta[k] = 0
    case = case._replace(arrays=case.arrays._replace(delta=delta), reset=None)
    before, after = (
        ss.selective_scan(*case.during(slice(0, end)), **case.how(), return_state=True)[1] for end in (k, k + 1)
    )
    assume(all(np.isfinite(part).all() for part in parts(before)))
    same(parts(after)[0], parts(before)[0])


# --------------------------------------------------------------- in chunks


class Heads(NamedTuple):
    """The arguments of ssd, and the scan of all channels of all heads that it is."""

    arrays: dict
    scan: Case
    width: int

    def __repr__(self):
        return f"<heads {self.arrays['x'].shape}>"

    def flat(self, y):
        """(L, h, p) as (L, d)."""
        return y.reshape(len(y), -1)


@st.composite
def heads(draw, method="impulse"):
    """Heads of one to three channels with one pole each; channels of a head are multiples of one signal, turned."""
    case = draw(cases(method, dtypes=(float, np.float32), long=draw(st.booleans())))
    u, delta, a, b, c, d = case.arrays
    p = draw(st.integers(1, 3))
    wave = draw(strategies.signals(len(u), p, dtype=u.dtype))
    x = u[:, :, None] * np.array([1.0, -0.5, 0.0], u.dtype)[:p] + wave[:, None, :]
    poles, direct = a[:, 0], np.repeat(d, p).reshape(-1, p) if draw(st.booleans()) else d
    start, two = case.x0, two_taps(case.rule)
    x0 = None if start is None else np.stack([k * (start[0] if two else start) for k in (1, 2, -1)[:p]], axis=1)
    arrays = {"x": x, "delta": delta, "A": poles, "B": b, "C": c, "D": direct, "x0": x0, "reset": case.reset}
    every = strategies.SelectiveInputs(
        x.reshape(len(x), -1), np.repeat(delta, p, axis=1), np.repeat(np.repeat(poles, p)[:, None], b.shape[-1], 1),
        b, c, np.repeat(d, p),
    )  # fmt: skip
    begun = None if x0 is None else x0.reshape(-1, b.shape[-1])
    begun = (begun, 0 * begun) if two and begun is not None else begun
    return Heads(arrays, Case(every, False, begun, case.reset, case.rule, case.groups), p)


def in_chunks(case, chunk):
    """What a run in chunks may be off: sums of samples and exponents over a chunk, their roundings at random."""
    count = min(chunk, len(case.arrays.u))
    tiny = 1e-26 if case.arrays.u.dtype == np.float32 else 1e-282
    return walk(case, roundings=ROUNDINGS * (1 + count**0.5), signs=False, tiny=tiny)


CHUNK = st.sampled_from((7, 2, 1, 3, 20, 64, 1000))


@given(heads(), CHUNK)
def test_ssd_is_a_selective_scan(case, chunk):
    """With the pole of a head in all its states and channels; also the last state."""
    known = in_chunks(case.scan, chunk)
    (y, state), (wanted, last) = ss.ssd(**case.arrays, chunk=chunk, return_state=True), scan(case.scan)
    held("ssd", {"ssd": case.flat(y), "scan": wanted}, known.y, known.memory, case.scan)
    sides = {"ssd": state.reshape(last.shape)[:, None], "scan": last[:, None]}
    compare("the last state of ssd", sides, known.of_state, **case.scan.pasted())


@given(heads(), CHUNK, CHUNK)
def test_ssd_is_the_same_in_any_chunks(case, chunk, other):
    known, more = in_chunks(case.scan, chunk), in_chunks(case.scan, other)
    sides = {f"chunks of {k}": case.flat(ss.ssd(**case.arrays, chunk=k)) for k in (chunk, other)}
    assume(len(sides) == 2)
    held("ssd, any chunks", sides, known.y + more.y, known.memory, case.scan)


@given(heads(), CHUNK, st.data())
def test_ssd_in_pieces_is_one_run(case, chunk, data):
    """The state is handed on, in double."""
    known = in_chunks(case.scan, chunk)
    x0, at, pieces = case.arrays["x0"], 0, []
    timeless = {k: case.arrays[k] for k in ("A", "D")}
    for count in data.draw(strategies.chunkings(len(case.arrays["x"]))):
        some = {k: case.arrays[k][at : at + count] for k in ("x", "delta", "B", "C")}
        reset = None if case.scan.reset is None else case.scan.reset[at : at + count]
        y, x0 = ss.ssd(**some, **timeless, x0=x0, reset=reset, chunk=chunk, return_state=True)
        pieces.append(y)
        at += count
    sides = {"in pieces": case.flat(np.concatenate(pieces)), "one run": case.flat(ss.ssd(**case.arrays, chunk=chunk))}
    held("ssd, in pieces", sides, 2 * known.y, known.memory, case.scan)


@given(heads("exp_trapezoidal(0.2)"), CHUNK)
def test_ssd_trapezoidal_is_a_selective_scan(case, chunk):
    """With one weight and no angles it is the exponential-trapezoidal rule of that weight."""
    known = in_chunks(case.scan, chunk)
    arrays, x0 = dict(case.arrays), case.arrays["x0"]
    (h, p), n = arrays["x"].shape[1:], arrays["B"].shape[-1]
    if x0 is not None:
        arrays["x0"] = ss.TrapezoidalState(x0, np.zeros((h, n)), np.zeros((h, p)), np.zeros((h, 0)))
    weight = np.full(arrays["delta"].shape, case.scan.rule.w)
    y = ss.ssd_trapezoidal(**arrays, weight=weight, chunk=chunk)
    sides = {"ssd_trapezoidal": case.flat(y), "scan": scan(case.scan)[0]}
    held("ssd_trapezoidal", sides, known.y, known.memory, case.scan)


# --------------------------------------------------------------- gradients


def packed(y, state):
    return np.concatenate([np.ravel(part) for part in (y, *parts(state))])


@st.composite
def smooth(draw, method):
    """A scan with raw steps, rates as logarithms, from a state: nothing leaves what is allowed where it is moved."""
    kind = draw(st.sampled_from((float, complex)))
    groups, length = draw(st.sampled_from((1, 2))), draw(st.sampled_from((1, 5, 12, 140)))
    channels, states = draw(st.sampled_from(((2, 2), (4, 1), (18, 1)))) if length < 100 else (2, 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))

    def some(*shape, kind=kind):
        return rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind is complex else 0)

    rates, turns = rng.normal(size=(channels, states)), 3 * rng.normal(size=(channels, states))
    raw = rng.normal(size=(2, length, channels)) - 2
    b, c = some(length, groups, states), some(1 if draw(st.booleans()) else length, groups, states)
    signal, direct, z, bias = some(length, channels), some(channels), raw[0] + 1, rng.normal(size=channels)
    reset = np.arange(length) == length // 2 if draw(st.booleans()) else None
    rule = as_method(METHODS[method])
    x0, v0 = some(channels, states), some(channels, states) if two_taps(rule) else None
    how = {"groups": groups, "method": rule, "reset": reset, "delta_softplus": True, "return_state": True}
    return (signal, raw, rates, turns if kind is complex else None, b, c, direct, z, bias, x0, v0), how


@FEWER
@given(METHOD.flatmap(smooth))
def test_the_gradient_is_that_of_the_scan(case):
    """Of y and the last state together, by every argument."""
    args, how = case
    two = two_taps(how["method"])

    def model(args):
        u, raw, rates, turns, b, c, d, z, bias, x, v = args
        a = -np.exp(rates) + (0 if turns is None else 1j * turns)
        return (u, raw, a, b, c, d), {"z": z, "delta_bias": bias, "x0": (x, v) if two else x} | how

    def function(*args):
        arrays, options = model(args)
        return packed(*ss.selective_scan(*arrays, **options))

    def vjp(*args):
        arrays, options = model(args)
        (y, state), pullback = ss.selective_scan_vjp(*arrays, **options)

        def pull(w):
            each = np.split(w, np.cumsum([part.size for part in (y, *parts(state))])[:-1])
            of_y, *of_state = (g.reshape(part.shape) for g, part in zip(each, (y, *parts(state)), strict=True))
            found = pullback(of_y, tuple(of_state) if two else of_state[0])
            turned = None if args[3] is None else found.A.imag
            start = (*found.x0,) if two else (found.x0, None)
            return (*found[:2], -np.exp(args[2]) * found.A.real, turned, *found[3:8], *start)

        return packed(y, state), pull

    record("selective, gradient", ss.testing.assert_gradient(function, vjp, *args))


@FEWER
@given(st.integers(0, 2**16), st.sampled_from((1, 5, 12, 40)), st.sampled_from((1, 4, 7, 64)), st.booleans())
def test_the_gradient_is_that_of_ssd(seed, length, chunk, cut):
    rng = np.random.default_rng(seed)
    (h, g), p, n = ((4, 2), (3, 1), (2, 2))[seed % 3], 1 + seed % 2, 2
    x, b, c, d = (rng.normal(size=s) for s in ((length, h, p), (length, g, n), (1, g, n), (h,)))
    steps, rates, x0 = rng.normal(size=(length, h)) - 2, rng.normal(size=h), rng.normal(size=(h, p, n))
    how = {"chunk": chunk, "reset": np.arange(length) == length // 2 if cut else None}

    def function(x, steps, rates, b, c, d, x0):
        y, state = ss.ssd(x, np.exp(steps), -np.exp(rates), b, c, d, x0=x0, return_state=True, **how)
        return packed(y, state)

    def vjp(x, steps, rates, b, c, d, x0):
        y, pullback = ss.ssd_vjp(x, np.exp(steps), -np.exp(rates), b, c, d, x0=x0, **how)

        def pull(w):
            found = pullback(w[: y.size].reshape(y.shape), w[y.size :].reshape(x0.shape))
            return found._replace(delta=found.delta * np.exp(steps), A=-np.exp(rates) * found.A)

        return function(x, steps, rates, b, c, d, x0), pull

    record("ssd, gradient", ss.testing.assert_gradient(function, vjp, x, steps, rates, b, c, d, x0))


# --------------------------------------------------------------- the laws themselves


def test_no_selective_law_is_vacuous():
    """As test_no_law_is_vacuous of test_laws.py."""
    for law in MARGINS:
        found = rooms(law)
        if law.startswith(("selective", "ssd")) and found.size >= ENOUGH:  # -m deep
            assert np.median(found) < VACUOUS, f"{law}: bound / error / √memory is {np.median(found):.3g} in the median"
