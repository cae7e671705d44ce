"""Mamba blocks and models beside plain loops over time, written from the equations; and what they draw."""

import dataclasses
import gc
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import statespace as ss
from statespace.cpu import blocks as kernels
from statespace.mamba import LanguageModel, Layer, Mamba2Block, MambaBlock, causal_convolution, model, rms_norm
from statespace.mamba.generation import Choice, next_token

# --------------------------------------------------------------- the oracles: one sample after the other, in double


def silu(x):
    return x / (1 + np.exp(-x))


def norm_by_hand(x, weight, epsilon, groups=1):
    parts = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    return (parts / np.sqrt((parts**2).mean(-1, keepdims=True) + epsilon)).reshape(x.shape) * weight


def convolution_by_hand(x, weight, bias, left):
    """y_t = Σ_j w_j x_{t − k + 1 + j} + bias of x (L, c) after left (k − 1, c); and the last k − 1 samples."""
    long = np.concatenate([left, x])
    return sum(long[j : j + len(x)] * weight[:, j] for j in range(weight.shape[1])) + bias, long[len(x) :]


def weights_of(block):
    """The weights in double, a bias that is none as 0; A rounded as they are, e^A_log being one of them."""
    found = {field.name: getattr(block, field.name) for field in dataclasses.fields(block)}
    found["A"] = -np.exp(block.A_log)
    return {
        name: value.astype(float) if isinstance(value, np.ndarray) else value if value is not None else 0.0
        for name, value in found.items()
    }


def mamba_1(block, u, conv, h):
    """A signal (L, d_model) from a state."""
    w, (d, n), r = weights_of(block), block.A_log.shape, block.dt_proj.shape[1]
    xz = u @ w["in_proj"].T + w["in_bias"]
    x, conv = convolution_by_hand(xz[:, :d], w["conv1d"], w["conv_bias"], conv)
    x, z, y = silu(x), xz[:, d:], np.empty((len(u), d))
    step, B, C = np.split(x @ w["x_proj"].T, [r, r + n], axis=1)
    delta = np.logaddexp(0, step @ w["dt_proj"].T + w["dt_bias"])
    for t in range(len(u)):
        h = np.exp(delta[t, :, None] * w["A"]) * h + np.outer(delta[t] * x[t], B[t])
        y[t] = (h @ C[t] + w["D"] * x[t]) * silu(z[t])
    return y @ w["out_proj"].T + w["out_bias"], conv, h


def mamba_2(block, u, conv, S):
    """A signal (L, d_model) from a state."""
    w, h, g, d = weights_of(block), len(block.A_log), block.n_groups, block.out_proj.shape[1]
    gn, y = (len(block.conv1d) - d) // 2, np.empty((len(u), d))
    z, xbc, step = np.split(u @ w["in_proj"].T + w["in_bias"], [d, 2 * d + 2 * gn], axis=1)
    xbc, conv = convolution_by_hand(xbc, w["conv1d"], w["conv_bias"], conv)
    x, B, C = np.split(silu(xbc), [d, d + gn], axis=1)
    delta = np.minimum(np.maximum(np.logaddexp(0, step + w["dt_bias"]), block.dt_limit[0]), block.dt_limit[1])
    S = np.array(S, float)
    for t, k in itertools.product(range(len(u)), range(h)):
        own, group = slice(k * (d // h), (k + 1) * (d // h)), slice(k // (h // g) * (gn // g), None)
        value, key, query = x[t, own], B[t, group][: gn // g], C[t, group][: gn // g]
        S[k] = np.exp(delta[t, k] * w["A"][k]) * S[k] + delta[t, k] * np.outer(value, key)
        y[t, own] = S[k] @ query + w["D"][k] * value
    if block.norm is None:
        y = y * silu(z)
    elif block.norm_before_gate:
        y = norm_by_hand(y, w["norm"], block.epsilon, block.norm_groups) * silu(z)
    else:
        y = norm_by_hand(y * silu(z), w["norm"], block.epsilon, block.norm_groups)
    return y @ w["out_proj"].T + w["out_bias"], conv, S


def by_hand(block, u, state=None):
    """Every sequence of a batch by itself: (y, conv, ssm) in double."""
    u, loop = np.asarray(u, float), mamba_1 if isinstance(block, MambaBlock) else mamba_2
    batch = u.shape[:-2]
    state = block.initial_state(batch, float) if state is None else [np.asarray(part, float) for part in state]
    rows = [loop(block, u[i], state[0][i], state[1][i]) for i in np.ndindex(batch)]
    shapes = (u.shape, state[0].shape, state[1].shape)
    return [np.array([row[k] for row in rows]).reshape(shape) for k, shape in enumerate(shapes)]


def model_by_hand(m, ids):
    """Logits of tokens (L,), and the states."""
    h, states = m.embedding.astype(float)[ids], []
    for norm, mixer in m.layers:
        y, *state = by_hand(mixer, norm_by_hand(h, norm.astype(float), m.epsilon))
        h, states = h + y, [*states, state]
    head = m.embedding if m.head is None else m.head
    return norm_by_hand(h, m.norm.astype(float), m.epsilon) @ head.T.astype(float), states


# --------------------------------------------------------------- cases


def uniform(rng, *shape):
    """Weights of a projection, whose outputs are about as large as its inputs."""
    return rng.uniform(-1, 1, shape) * np.sqrt(3 / shape[-1])


def mamba_1_block(rng, m, d, n, r, k, biases=(True, True, True), dtype=float):
    """A block in which nothing is at its initial value."""
    weights = {
        "in_proj": uniform(rng, 2 * d, m), "conv1d": uniform(rng, d, k), "x_proj": uniform(rng, r + 2 * n, d),
        "dt_proj": uniform(rng, d, r), "dt_bias": rng.normal(-2, 1, d), "A_log": rng.normal(0, 1, (d, n)),
        "D": rng.normal(size=d), "out_proj": uniform(rng, m, d), "in_bias": rng.normal(size=2 * d),
        "conv_bias": rng.normal(size=d), "out_bias": rng.normal(size=m),
    }  # fmt: skip
    return MambaBlock(**chosen(weights, biases, dtype))


def mamba_2_block(rng, m, h, p, g, n, k, biases=(True, True, True), dtype=float, wide=False, has_norm=True, **more):
    d, width = h * p, h * p + 2 * g * n
    weights = {
        "in_proj": uniform(rng, d + width + h, m), "conv1d": uniform(rng, width, k), "dt_bias": rng.normal(-2, 1, h),
        "A_log": rng.normal(0, 1, h), "D": rng.normal(size=(h, p) if wide else h), "out_proj": uniform(rng, m, d),
        "norm": rng.normal(1, 0.3, d), "in_bias": rng.normal(size=d + width + h),
        "conv_bias": rng.normal(size=width), "out_bias": rng.normal(size=m),
    }  # fmt: skip
    if not has_norm:
        del weights["norm"]
    return Mamba2Block(**chosen(weights, biases, dtype), n_groups=g, **more)


def chosen(weights, biases, dtype):
    """Weights of a type, with those biases that are wanted."""
    left_out = {name for name, given in zip(("in_bias", "conv_bias", "out_bias"), biases, strict=True) if not given}
    return {name: value.astype(dtype) for name, value in weights.items() if name not in left_out}


BIASES = list(itertools.product((True, False), repeat=3))
SIZES_1 = [(5, 7, 3, 1, 1), (7, 13, 1, 2, 2), (3, 35, 17, 3, 3), (19, 33, 5, 2, 4), (1, 1, 1, 1, 5), (9, 18, 16, 1, 4)]
SIZES_2 = [(5, 6, 3, 1, 7, 1), (7, 6, 5, 2, 3, 2), (3, 6, 1, 3, 17, 3), (11, 4, 9, 2, 5, 4), (1, 1, 1, 1, 1, 5),
           (9, 9, 3, 3, 1, 4)]  # fmt: skip
WAYS_2 = [
    {}, {"norm_groups": 1}, {"has_norm": False}, {"norm_before_gate": True}, {"wide": True},
    {"dt_limit": (0.08, 0.3)}, {"norm_before_gate": True, "norm_groups": 1, "wide": True},
    {"has_norm": False, "dt_limit": (0.1, 0.1)}, {"epsilon": 0.3},
]  # fmt: skip
KINDS = {
    "1": lambda rng, dtype: mamba_1_block(rng, 5, 21, 3, 2, 4, dtype=dtype),
    "1, no memory of conv": lambda rng, dtype: mamba_1_block(rng, 3, 7, 5, 1, 1, (False,) * 3, dtype=dtype),
    "1, long conv": lambda rng, dtype: mamba_1_block(rng, 4, 9, 17, 3, 5, dtype=dtype),
    "2": lambda rng, dtype: mamba_2_block(rng, 5, 4, 3, 2, 7, 4, dtype=dtype, wide=True),
    "2, no norm": lambda rng, dtype: mamba_2_block(rng, 3, 3, 5, 3, 3, 1, (False,) * 3, dtype=dtype, has_norm=False),
    "2, limits": lambda rng, dtype: mamba_2_block(
        rng, 4, 3, 7, 1, 5, 5, dtype=dtype, dt_limit=(0.08, 0.3), norm_before_gate=True
    ),
}
DTYPES = [np.float32, np.float64]


def a_block(kind, dtype=np.float64, seed=0):
    return KINDS[kind](np.random.default_rng(seed), dtype)


def a_model(kind="1", layers=3, vocabulary=23, dtype=np.float64, seed=0, tied=False, scale=1.0):
    """A small model with every weight its own."""
    rng = np.random.default_rng(seed)
    mixers = [KINDS[kind](rng, dtype) for _ in range(layers)]
    m = mixers[0].d_model
    embedding, head = scale * rng.normal(size=(2, vocabulary, m)).astype(dtype)
    stack = tuple(Layer(rng.normal(1, 0.3, m).astype(dtype), mixer) for mixer in mixers)
    return LanguageModel(embedding, stack, rng.normal(1, 0.3, m).astype(dtype), None if tied else head, epsilon=1e-3)


def a_state(rng, block, batch=(), dtype=np.float64):
    return ss.mamba.BlockState(*(rng.normal(size=part.shape).astype(dtype) for part in block.initial_state(batch)))


def close(got, want, bar, scale=0.0):
    """Within a part of the largest entry."""
    assert got.shape == want.shape
    bound = bar * max(np.abs(want).max(initial=1e-3), scale)
    np.testing.assert_allclose(got.astype(float), np.asarray(want, float), rtol=0, atol=bound)


# Rounding of a block, in eps of the largest entry. Its products have up to 40 terms and round by some √40 eps each,
# one after another in four places; softplus, exp and silu by 2 eps; a state adds an eps for every sample it remembers,
# 1/(1 − α) of them, 30 here; a norm divides by what may be small. Of 100 in all 47 are seen, by Mamba-2 in float32.
EPS = 100


def assert_block(block, u, state=None):
    """The answer and both parts of the state are those of the loop."""
    dtype = u.dtype
    y, after = block(u, state, return_state=True)
    assert (y.dtype, after.conv.dtype, after.ssm.dtype) == (dtype,) * 3
    for got, want in zip((y, *after), by_hand(block, u, state), strict=True):
        close(got, want, EPS * np.finfo(dtype).eps)


# --------------------------------------------------------------- blocks and models are their equations


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("biases", BIASES, ids=str)
@pytest.mark.parametrize("size", SIZES_1, ids=str)
def test_mamba_1_is_its_equations(size, biases, dtype):
    rng = np.random.default_rng(sum(size))
    block = mamba_1_block(rng, *size, biases, dtype)
    assert (block.d_model, block.d_inner, block.d_state, block.dt_rank, block.d_conv) == size
    for shape in ((0,), (1,), (2, 37), (2, 1, 3), (70,)):
        u = rng.normal(size=(*shape, size[0])).astype(dtype)
        assert_block(block, u)
        assert_block(block, u, a_state(rng, block, shape[:-1], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS_2, ids=str)
@pytest.mark.parametrize("size", SIZES_2, ids=str)
def test_mamba_2_is_its_equations(size, way, dtype):
    rng = np.random.default_rng(sum(size))
    for biases in BIASES if not way else [(True, True, True), (False, True, False)]:
        block = mamba_2_block(rng, *size, biases, dtype, **way)
        assert (block.d_model, block.n_heads, block.d_inner // block.n_heads) == size[:3]
        assert (block.n_groups, block.d_state, block.d_conv) == size[3:]
        for shape in ((0,), (1,), (2, 7), (2, 1, 3), (70,)):
            u = rng.normal(size=(*shape, size[0])).astype(dtype)
            assert_block(block, u, None if len(shape) == 2 else a_state(rng, block, shape[:-1], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_its_equations(kind, tied, dtype):
    """Residuals, norms and head around the blocks; each of three layers adds what a block rounds, and a norm."""
    m = a_model(kind, dtype=dtype, tied=tied)
    ids = np.random.default_rng(1).integers(0, 23, 41)
    want, states = model_by_hand(m, ids)
    got, after = m(ids, return_state=True)
    assert got.dtype == dtype
    bar = 3 * EPS * np.finfo(dtype).eps
    close(got, want, bar)
    for one, two in zip(after, states, strict=True):
        for part, whole in zip(one, two, strict=True):
            close(part, whole, bar)


@pytest.mark.parametrize("kind", ["1, long conv", "2"])
def test_a_model_cuts_long_texts_into_pieces(kind):
    """One sample more than two pieces; and so many sequences that a piece of each is one token."""
    m, span = a_model(kind, layers=2), model._TOKENS
    ids = np.random.default_rng(2).integers(0, 23, max(2 * span, 1024) + 1)
    close(m(ids), model_by_hand(m, ids)[0], 2 * EPS * np.finfo(float).eps)
    many = ids[: 3 * (span + 1)].reshape(span + 1, 3) if span < 300 else np.resize(ids, (span + 1, 3))
    got = m(many)
    for i in (0, span):
        close(got[i], model_by_hand(m, many[i])[0], 2 * EPS * np.finfo(float).eps)


@pytest.mark.parametrize("kind", ["1", "2"])
def test_a_model_of_one_batch_axis_two_or_none_of_no_token_and_of_no_text(kind):
    m = a_model(kind)
    for shape in ((0,), (1,), (3, 0), (0, 4), (2, 3, 5), (1, 2, 1)):
        ids = np.random.default_rng(3).integers(0, 23, shape)
        got, state = m(ids, return_state=True)
        assert got.shape == (*shape, 23)
        assert [part.shape for part in state[0]] == [
            (*shape[:-1], *core) for core in m.layers[0].mixer.state_shapes
        ]  # fmt: skip
        for i in np.ndindex(shape[:-1]):
            close(got[i], model_by_hand(m, ids[i])[0], 3 * EPS * np.finfo(float).eps)


# --------------------------------------------------------------- splits, states, batches


BAR = {np.float32: 1e-5, np.float64: 1e-12}


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_any_split_and_steps_are_the_whole(dtype, seed, data):
    """Empty pieces and pieces of one sample among them, the state handed on."""
    rng = np.random.default_rng(seed)
    block = a_block(data.draw(st.sampled_from(list(KINDS))), dtype, seed)
    batch = data.draw(st.sampled_from([(), (2,), (1, 2)]))
    length = data.draw(st.integers(0, 40))
    u = rng.normal(size=(*batch, length, block.d_model)).astype(dtype)
    start = a_state(rng, block, batch, dtype) if data.draw(st.booleans()) else None
    whole, last = block(u, start, return_state=True)
    cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=6)))
    state, pieces = start, []
    for a, b in zip([0, *cuts], [*cuts, length], strict=True):
        y, state = block(u[..., a:b, :], state, return_state=True)
        pieces.append(y)
    close(np.concatenate(pieces, axis=-2), whole, BAR[dtype])
    after, steps = start, [whole[..., :0, :]]
    for t in range(length):
        y, after = block.step(u[..., t, :], after)
        assert y.dtype == after.conv.dtype == after.ssm.dtype == dtype
        steps.append(y[..., None, :])
    close(np.concatenate(steps, axis=-2), whole, BAR[dtype])
    for end in (state, after) if length else (state,):
        for got, want in zip(end, last, strict=True):
            close(got, want, BAR[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_any_split_of_a_text_is_the_whole(kind, dtype):
    """By the call, by prefill, by steps and by backbone, over the end of a piece; each of three layers rounds."""
    m, rng, bar = a_model(kind, dtype=dtype), np.random.default_rng(4), 3 * BAR[dtype]
    length = model._TOKENS // 2 + 9
    ids = rng.integers(0, 23, (2, length))
    whole, last = m(ids, return_state=True)
    state, pieces, cuts = None, [], [0, 0, 1, 2, 2, length // 2, length - 1, length]
    for a, b in itertools.pairwise(cuts):
        y, state = m(ids[:, a:b], state, return_state=True)
        pieces.append(y)
    close(np.concatenate(pieces, axis=1), whole, bar)
    features, one = m.backbone(m.embedding[ids[:, :9]], return_state=True)
    close(features @ m.head.T, whole[:, :9], bar)
    logits, two = m.prefill(ids[:, :9])
    close(logits, whole[:, 8], bar)
    three = m(ids[:, :9], return_state=True)[1]
    for t in range(9, length):
        logits, one = m.step(ids[:, t], one)
        close(logits, whole[:, t], bar)
    logits, two = m.prefill(ids[:, 9:], two)
    close(logits, whole[:, -1], bar)
    three = m(ids[:, 9:], three, hidden=True, return_state=True)[1]
    for got in (state, one, two, three):
        for part, want in zip(itertools.chain(*got), itertools.chain(*last), strict=True):
            assert part.dtype == dtype
            close(part, want, bar)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_after_fewer_samples_than_the_convolution_sees_holds_them_behind_zeros(kind):
    block, u = a_block(kind), np.random.default_rng(5).normal(size=(2, a_block(kind).d_model))
    k = block.d_conv
    _, state = block(u, return_state=True)
    _, (one, _) = block.step(u[0])
    inputs = block(np.zeros((0, block.d_model)), return_state=True)[1].conv
    assert not inputs.any()
    assert not state.conv[: max(k - 3, 0)].any()
    assert state.conv.shape == one.shape == (k - 1, len(block.conv1d))
    if k > 2:
        np.testing.assert_allclose(state.conv[-2], one[-1], rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_sequences(kind, dtype):
    block, rng = a_block(kind, dtype), np.random.default_rng(6)
    u = rng.normal(size=(2, 3, 33, block.d_model)).astype(dtype)
    start = a_state(rng, block, (2, 3), dtype)
    y, last = block(u, start, return_state=True)
    step, after = block.step(u[..., 0, :], start)
    for i in np.ndindex(2, 3):
        own = ss.mamba.BlockState(*(part[i] for part in start))
        for got, want in zip((y, *last), (lambda a: (a[0], *a[1]))(block(u[i], own, return_state=True)), strict=True):
            close(got[i], want, BAR[dtype])
        alone = block.step(u[i][0], own)
        for got, want in zip((step, *after), (alone[0], *alone[1]), strict=True):
            close(got[i], want, BAR[dtype])
    shared = ss.mamba.BlockState(*(part[0, 0] for part in start))  # one for all of a batch
    close(block(u, shared)[0, 0], y[0, 0], BAR[dtype])
    close(block(u, shared)[1, 2], block(u[1, 2], shared), BAR[dtype])


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_that_is_given_is_not_changed(kind):
    block, rng = a_block(kind), np.random.default_rng(7)
    state = a_state(rng, block, (2,))
    before = [part.copy() for part in state]
    u = rng.normal(size=(2, 9, block.d_model))
    copy = u.copy()
    _, first = block.step(u[:, 0], state)
    kept = [part.copy() for part in first]
    block(u, state, return_state=True)
    block.step(u[:, 1], first)
    block(u, first)
    for got, want in zip((*state, *first, u), (*before, *kept, copy), strict=True):
        np.testing.assert_array_equal(got, want)
    m = a_model(kind)
    _, states = m.prefill([1, 2, 3])
    kept = [part.copy() for part in itertools.chain(*states)]
    m([4, 5], states)
    m.step(4, states)
    m.prefill([4, 5], states)
    signal = rng.normal(size=(4, m.d_model))
    copy = signal.copy()
    m.backbone(signal, states)
    for got, want in zip((*itertools.chain(*states), signal), (*kept, copy), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_has_the_precision_of_the_signal(kind):
    single = a_block(kind, np.float32)
    double = dataclasses.replace(
        single, **{f.name: v.astype(float) for f in dataclasses.fields(single)
                   if isinstance(v := getattr(single, f.name), np.ndarray)}
    )  # fmt: skip
    u = np.random.default_rng(8).normal(size=(2, 30, single.d_model)).astype("f")
    want = by_hand(single, u)[0]
    y, state = single(u.astype(float), return_state=True)
    assert y.dtype == state.conv.dtype == state.ssm.dtype == np.float64
    close(y, want, EPS * np.finfo(float).eps)
    y, state = double(u, return_state=True)
    assert (y.dtype, state.ssm.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(y, double(u.astype(float)).astype("f"))
    assert single.step(u[0, 0].astype(float))[0].dtype == np.float64
    assert double.step(u[0, 0])[0].dtype == np.float32
    close(single.step(u[0, 0].astype(float))[0], want[0, 0], EPS * np.finfo(float).eps)
    close(single(np.rint(9 * u).astype(int)), by_hand(single, np.rint(9 * u))[0], EPS * np.finfo(float).eps)


@pytest.mark.parametrize("kind", KINDS)
def test_any_array_is_taken(kind):
    """Read-only, turned, with steps between its numbers, a list; states too."""
    block, rng = a_block(kind), np.random.default_rng(9)
    u, state = rng.normal(size=(2, 20, block.d_model)), a_state(rng, block, (2,))
    want, last = block(u, state, return_state=True)
    fixed = u.copy()
    fixed.setflags(write=False)
    turned = np.ascontiguousarray(u.swapaxes(0, 2)).swapaxes(0, 2)
    spread = np.repeat(np.repeat(u, 2, axis=1), 3, axis=2)[:, ::2, ::3]
    odd = ss.mamba.BlockState(*(np.repeat(part, 2, axis=-1)[..., ::2] for part in state))
    still = ss.mamba.BlockState(*(part.copy() for part in state))
    for part in still:
        part.setflags(write=False)
    nested = tuple(part.tolist() for part in state) if block.d_conv > 1 else state
    for signal, start in itertools.product((fixed, turned, spread, u[::1], u.tolist()), (state, odd, still, nested)):
        got, end = block(signal, start, return_state=True)
        for one, two in zip((got, *end), (want, *last), strict=True):
            close(one, two, 1e-13)
        first = np.asarray(signal)[:, 0] if not isinstance(signal, list) else [row[0] for row in signal]
        close(block.step(first, start)[0], want[:, 0], 1e-13)
    m = a_model(kind)
    ids = rng.integers(0, 23, (2, 6))
    for tokens in (ids.tolist(), ids.astype(np.uint8), np.repeat(ids, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(m(tokens), m(ids))


# --------------------------------------------------------------- time, NaN, threads


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_later_is_not_heard(kind):
    """Another sample t leaves those before it as they are, bit by bit, and changes it."""
    block, u = a_block(kind), np.random.default_rng(10).normal(size=(150, a_block(kind).d_model))
    m, ids = a_model(kind), np.random.default_rng(11).integers(0, 23, model._TOKENS + 20)
    y, logits = block(u), m(ids)
    for t in (0, 1, 63, 64, 100, 149):
        other = u.copy()
        other[t] += 1
        got = block(other)
        np.testing.assert_array_equal(got[:t], y[:t])
        assert np.abs(got[t] - y[t]).max() > 1e-3
    for t in (0, 5, model._TOKENS - 1, model._TOKENS):
        other = ids.copy()
        other[t] = (other[t] + 1) % 23
        got = m(other)
        np.testing.assert_array_equal(got[:t], logits[:t])
        assert np.abs(got[t] - logits[t]).max() > 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_is_refused_at_the_door(kind, value):
    """A step that is made of it would be none."""
    block, rng = a_block(kind), np.random.default_rng(12)
    u = rng.normal(size=(2, 90, block.d_model))
    u[0, 70, 1] = value
    for call, signal in ((block, u), (block.step, u[:, 70])):
        with pytest.raises(
            ValueError, match=r"^u must be finite, got 1 NaN or infinite of \d+ values, the first is u\[0, "
        ):
            call(signal)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_change_no_bit(monkeypatch, dtype):
    rng = np.random.default_rng(13)
    large = [
        mamba_1_block(rng, 30, 61, 5, 3, 4, dtype=dtype), mamba_2_block(rng, 30, 6, 11, 2, 9, 4, dtype=dtype),
    ]  # fmt: skip
    u = rng.normal(size=(3, 300, 30)).astype(dtype)
    x, w = rng.normal(size=(5, 200, 33)).astype(dtype), rng.normal(size=(33, 4)).astype(dtype)

    def everything():
        found = [rms_norm(x, w[:, 0]), causal_convolution(x, w, silu=True)]
        for block in large:
            y, state = block(u, return_state=True)
            step, after = block.step(u[:, 0], state)
            found += [y, *state, step, *after]
        return found

    answers = []
    for count in ("1", "2", "3"):
        monkeypatch.setenv("STATESPACE_THREADS", count)
        answers.append(everything())
    for one, *others in zip(*answers, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)


# --------------------------------------------------------------- norm and convolution by themselves


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 16, 33])
def test_rms_norm_is_its_equation(channels, dtype):
    """A mean of positive numbers rounds by less than its terms are many; a root and three products by an eps each."""
    rng = np.random.default_rng(channels)
    for shape, epsilon in (((), 1e-5), ((0,), 1e-5), ((2, 0, 3), 1e-5), ((70,), 0.5), ((3, 40), 1e-12)):
        x, w = rng.normal(size=(*shape, channels)).astype(dtype), rng.normal(size=channels).astype(dtype)
        y = rms_norm(x, w, epsilon)
        assert y.dtype == dtype
        want = norm_by_hand(x.astype(float), w.astype(float), epsilon)
        np.testing.assert_allclose(y, want, rtol=(channels + 4) * np.finfo(dtype).eps, atol=0)
    assert not rms_norm(np.zeros((2, channels), dtype), w).any()
    x[0, 0] = np.nan
    assert np.isnan(rms_norm(x, w)).all(axis=-1).sum() == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 40])
def test_causal_convolution_is_its_equation_in_any_pieces(taps, dtype):
    """k + 1 numbers are summed, each sum rounds by an eps of the sum of their sizes; silu, of slope 1.1, by 4 more."""
    rng = np.random.default_rng(taps)
    for batch, length, channels in (((), 0, 3), ((), 1, 1), ((2,), 9, 17), ((2, 1), 33, 5), ((0,), 4, 2)):
        x, w = rng.normal(size=(*batch, length, channels)).astype(dtype), rng.normal(size=(channels, taps))
        left, bias = rng.normal(size=(*batch, taps - 1, channels)).astype(dtype), rng.normal(size=channels)
        w, bias = w.astype(dtype), bias.astype(dtype)
        for start, b, silent in itertools.product((None, left), (None, bias), (False, True)):
            y, last = causal_convolution(x, w, b, state=start, silu=silent, return_state=True)
            assert y.dtype == last.dtype == dtype
            zero = np.zeros_like(left) if start is None else start
            for i in np.ndindex(batch):
                one, two = (a[i].astype(float) for a in (x, zero))
                want, end = convolution_by_hand(one, w.astype(float), 0 if b is None else b.astype(float), two)
                size = np.abs(w).sum(axis=1).max() * max(np.abs(one).max(initial=0), np.abs(two).max(initial=0)) + 3
                close(y[i], silu(want) if silent else want, (taps + 5) * np.finfo(dtype).eps, size)
                np.testing.assert_array_equal(last[i], end)
            pieces, state = [], start
            for a, stop in itertools.pairwise((0, 0, min(1, length), length // 2 + length % 2, length, length)):
                piece, state = causal_convolution(x[..., a:stop, :], w, b, state=state, silu=silent, return_state=True)
                pieces.append(piece)
            np.testing.assert_array_equal(np.concatenate(pieces, axis=-2), y)
            np.testing.assert_array_equal(state, last)


@pytest.mark.parametrize("silent", [False, True])
def test_nan_goes_forward_in_a_convolution_only(silent):
    """To the samples that see it, in its channel and its sequence."""
    x, w = np.random.default_rng(15).normal(size=(2, 20, 5)), np.random.default_rng(16).normal(size=(5, 3))
    clean = causal_convolution(x, w, silu=silent)
    x[1, 7, 2] = np.nan
    y = causal_convolution(x, w, silu=silent)
    assert np.isnan(y[1, 7:10, 2]).all()
    clean[1, 7:10, 2] = y[1, 7:10, 2] = 0
    np.testing.assert_array_equal(y, clean)


def test_silu_far_out():
    """0 and x to the last bit but one, and no overflow; NaN stays."""
    x = np.array([-np.inf, -1e4, -800, -100, 0, 100, 1e4, np.inf, np.nan])
    for dtype in DTYPES:
        y = causal_convolution(x.astype(dtype)[:, None], np.ones((1, 1), dtype), silu=True)[:, 0]
        np.testing.assert_allclose(
            y, [0, 0, 0, -100 * np.exp(-100), 0, 100, 1e4, np.inf, np.nan], rtol=1e-5, atol=1e-30
        )


# --------------------------------------------------------------- the model's doors


@pytest.mark.parametrize("kind", KINDS)
def test_the_doors_of_a_model_agree(kind):
    m = a_model(kind)
    ids = np.random.default_rng(14).integers(0, 23, (2, 30))
    logits = m(ids)
    features = m(ids, hidden=True)
    close(m.backbone(m.embedding[ids]), features, 1e-14)
    close(features @ m.head.T, logits, 1e-14)
    close(m.prefill(ids)[0], logits[:, -1], 1e-14)
    close(m.prefill(ids[0])[0], logits[0, -1], 1e-13)
    close(m.step(ids[:, 0])[0], logits[:, 0], 1e-13)
    close(m.step(int(ids[1, 0]))[0], logits[1, 0], 1e-13)
    assert m.backbone(m.embedding[ids].astype("f")).dtype == np.float32
    single = a_model(kind, dtype=np.float32)
    assert single.backbone(m.embedding[ids]).dtype == np.float64
    close(single.backbone(single.embedding[ids].astype(float)) @ single.head.T.astype(float),
          np.stack([model_by_hand(single, row)[0] for row in ids]), 3 * EPS * np.finfo(float).eps)  # fmt: skip


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
def test_memory_of_prefill_does_not_grow_with_the_text(monkeypatch, kind):
    """The logits of 4,096 tokens would be 160 MB, what is between the layers 1 MB for each array."""
    monkeypatch.setenv("STATESPACE_THREADS", "1")
    more = {} if kind == "mamba" else {"head_dim": 8, "d_state": 16}
    m = LanguageModel.initial(10_000, 64, 2, kind=kind, **more)
    peaks = []
    for length in (1024, 1024, 4096):  # at first something is compiled, or loaded
        ids = np.arange(length) % 10_000
        gc.collect()
        tracemalloc.start()
        m.prefill(ids)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1] < 10e6


# --------------------------------------------------------------- generate


def greedy(m, ids, count):
    tokens = list(ids)
    for _ in range(count):
        tokens.append(int(m(tokens)[-1].argmax()))
    return tokens[len(ids) :]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_is_a_loop_of_argmax(kind):
    m = a_model(kind, seed=3)
    prompts = [[1, 2, 3], [4], [5, 6, 7], [8, 9, 10, 11, 12]]
    want = [greedy(m, prompt, 25) for prompt in prompts]
    assert len({token for row in want for token in row}) > 4
    for prompt, row in zip(prompts, want, strict=True):
        found = list(m.generate(prompt, 25))
        assert found == row
        assert all(type(token) is int for token in found)
    rows = np.array(list(m.generate(prompts, 25)))
    np.testing.assert_array_equal(rows.T, want)
    np.testing.assert_array_equal(np.array(list(m.generate(np.array([[1, 2, 3], [5, 6, 7]]), 25))), rows[:, [0, 2]])
    np.testing.assert_array_equal(list(m.generate(prompts, 25, 1.0, top_k=1, seed=3)), rows)
    np.testing.assert_array_equal(list(m.generate(prompts, 25, 1.0, top_p=1e-9, seed=3)), rows)
    assert [int(row[0]) for row in m.generate([[1, 2, 3]], 25)] == want[0]


def drawn_by_hand(m, ids, count, choice, generator):
    logits, state = m.prefill(ids)
    for _ in range(count):
        token = next_token(logits, choice, generator)
        yield token
        logits, state = m.step(token, state)


def test_every_row_has_a_generator_of_its_own():
    """Row i draws with the i-th generator that the seed spawns, whatever the other rows are."""
    m = a_model("2", scale=0.5)
    prompts = [[1, 2, 3], [4], [5, 6, 7], [8, 9, 10, 11, 12]]
    how = {"temperature": 1.3, "top_k": 9, "top_p": 0.95}
    rows = np.array(list(m.generate(prompts, 40, **how, seed=5))).T
    np.testing.assert_array_equal(np.array(list(m.generate(prompts, 40, **how, seed=5))).T, rows)
    assert (rows != np.array(list(m.generate(prompts, 40, **how, seed=6))).T).any()
    generators = np.random.default_rng(5).spawn(4)
    for prompt, generator, row in zip(prompts, generators, rows, strict=True):
        assert list(drawn_by_hand(m, prompt, 40, Choice(1.3, 9, 0.95), generator)) == row.tolist()
    assert list(m.generate(prompts[0], 40, **how, seed=5)) == rows[0].tolist()
    again = np.array(list(m.generate([[5], [4]], 40, **how, seed=5))).T
    np.testing.assert_array_equal(again[1], rows[1])
    same = np.array(list(m.generate([[4], [4]], 40, **how, seed=5))).T
    assert (same[0] != same[1]).any()
    assert len(set(rows.ravel().tolist())) > 8


def test_a_text_ends_with_a_stop_token():
    m = a_model("1")
    prompts = [[1, 2, 3], [4], [5, 6, 7], [8, 9]]
    whole = np.array(list(m.generate(prompts, 30, 0.9, seed=2))).T
    ends = [int(whole[0, 6]), int(whole[1, 11])]

    def ended(stop):
        rows = np.full(whole.shape, -1)
        for i, row in enumerate(whole):
            hits = np.flatnonzero(np.isin(row, stop))
            rows[i, : hits[0] + 1 if hits.size else None] = row[: hits[0] + 1 if hits.size else None]
        return rows[:, : int((rows >= 0).sum(axis=1).max())]

    assert (ended(ends) == -1).any()
    for stop in (ends, tuple(ends), np.array(ends), ends[0]):
        np.testing.assert_array_equal(np.array(list(m.generate(prompts, 30, 0.9, stop=stop, seed=2))).T, ended(stop))
    alone = list(m.generate(prompts[0], 30, 0.9, stop=ends, seed=2))
    assert alone == [token for token in ended(ends)[0].tolist() if token >= 0]
    assert alone[-1] in ends
    own = dataclasses.replace(m, eos=tuple(ends))
    np.testing.assert_array_equal(np.array(list(own.generate(prompts, 30, 0.9, seed=2))).T, ended(ends))
    np.testing.assert_array_equal(np.array(list(own.generate(prompts, 30, 0.9, stop=(), seed=2))).T, whole)
    np.testing.assert_array_equal(
        np.array(list(own.generate(prompts, 30, 0.9, stop=ends[1], seed=2))).T, ended(ends[1])
    )
    every = list(m.generate(prompts, 30, 0.9, stop=range(23), seed=2))
    np.testing.assert_array_equal(every, whole[:, :1].T)


def draws(logits, count, temperature=1.0, top_k=None, top_p=None):
    generator, choice = np.random.default_rng(0), Choice(temperature, top_k, top_p)
    found = [next_token(np.asarray(logits), choice, generator) for _ in range(count)]
    return np.bincount(found, minlength=len(logits))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("how", [(1.0, None, None), (0.5, None, None), (3.0, 7, None), (1.0, None, 0.8), (2.0, 9, 0.9)])
def test_tokens_are_drawn_as_often_as_they_are_likely(how, dtype):
    """χ² of 4,000 draws is k − 1 ± √(2(k − 1)): six deviations are allowed; what is left out never comes."""
    temperature, top_k, top_p = how
    z = np.random.default_rng(1).normal(size=12).astype(dtype)
    order = np.argsort(-z)[: top_k or 12]
    p = np.exp(z[order].astype(float) / temperature)
    p /= p.sum()
    if top_p is not None:
        order = order[: next(i for i in range(1, 13) if p[:i].sum() >= top_p)]
        p = p[: len(order)] / p[: len(order)].sum()
    counts = draws(z, 4000, *how)
    assert counts.sum() == counts[order].sum() == 4000
    assert (counts[order] > 0).all()
    chi, free = ((counts[order] - 4000 * p) ** 2 / (4000 * p)).sum(), len(order) - 1
    assert chi < free + 6 * np.sqrt(2 * free)


def test_top_k_and_top_p_keep_what_they_say():
    z = np.log([0.4, 0.05, 0.3, 0.25])
    assert np.flatnonzero(draws(z, 400, top_k=2)).tolist() == [0, 2]
    assert np.flatnonzero(draws(z, 400, top_k=50)).tolist() == [0, 1, 2, 3]
    for top_p, kept in (
        (1e-9, [0]),
        (0.39, [0]),
        (0.41, [0, 2]),
        (0.69, [0, 2]),
        (0.71, [0, 2, 3]),
        (1.0, [0, 1, 2, 3]),
    ):
        assert np.flatnonzero(draws(z, 400, top_p=top_p)).tolist() == kept
    assert np.flatnonzero(draws(np.zeros(4), 400, top_p=0.5)).tolist() == [0, 1]  # met exactly
    # 0.4/0.7 of what top_k=2 leaves is more than 0.5
    assert np.flatnonzero(draws(z, 400, top_k=2, top_p=0.5)).tolist() == [0]
    assert np.flatnonzero(draws(z, 400, temperature=100.0, top_p=0.49)).tolist() == [0, 2]
    assert draws(z, 50, temperature=0.0).tolist() == [50, 0, 0, 0]
    assert draws(z.astype("f") * 1e30, 50, temperature=1e-3).tolist() == [50, 0, 0, 0]
    assert draws(z, 50, temperature=1e-305).tolist() == [50, 0, 0, 0]
    assert next_token(np.zeros(5), Choice(0.0, None, None), np.random.default_rng(0)) == 0
    with pytest.raises(ValueError, match="the logits are not finite"):
        next_token(np.array([0.0, np.nan]), Choice(1.0, None, None), np.random.default_rng(0))


def test_the_smallest_temperature_is_greedy():
    assert draws([0.0, 1.0], 50, temperature=5e-324).tolist() == [0, 50]


BAD = [
    ({"prompt_ids": "text"}, TypeError, "a text goes through a tokenizer"),
    ({"prompt_ids": []}, ValueError, "a prompt must be one row of token ids, one at least"),
    ({"prompt_ids": [[1], []]}, ValueError, "a prompt must be one row of token ids, one at least"),
    ({"prompt_ids": [[[1]]]}, ValueError, "a prompt must be one row of token ids"),
    ({"prompt_ids": [23]}, ValueError, "prompt_ids must be from 0 to 22"),
    ({"prompt_ids": [-1]}, ValueError, "prompt_ids must be from 0 to 22"),
    ({"prompt_ids": [1.5]}, TypeError, "prompt_ids must be integers"),
    ({"prompt_ids": 3}, TypeError, "prompt_ids must be token ids"),
    ({"max_new_tokens": -1}, ValueError, "max_new_tokens must be a whole number, 0 or more, got -1"),
    ({"max_new_tokens": 2.0}, ValueError, "max_new_tokens must be a whole number"),
    ({"max_new_tokens": True}, ValueError, "max_new_tokens must be a whole number"),
    ({"temperature": -0.1}, ValueError, "temperature must be 0"),
    ({"temperature": float("nan")}, ValueError, "temperature must be 0"),
    ({"temperature": float("inf")}, ValueError, "temperature must be 0"),
    ({"temperature": "1"}, ValueError, "temperature must be 0"),
    ({"temperature": 1, "top_k": 0}, ValueError, "top_k must be a whole number, 1 or more"),
    ({"temperature": 1, "top_p": 0}, ValueError, "top_p must be a probability above 0"),
    ({"temperature": 1, "top_p": 1.1}, ValueError, "top_p must be a probability above 0"),
    ({"top_k": 3}, ValueError, "temperature 0 draws nothing"),
    ({"top_p": 0.3}, ValueError, "temperature 0 draws nothing"),
    ({"stop": 23}, ValueError, "stop must be from 0 to 22"),
    ({"stop": [1.0]}, TypeError, "stop must be integers"),
    ({"seed": -1}, ValueError, "seed must be a whole number, 0 or more"),
    ({"seed": None}, ValueError, "seed must be a whole number, 0 or more"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "error", "text"), BAD, ids=[str(case[0]) for case in BAD])
def test_a_bad_call_is_refused_before_the_first_token(how, error, text):
    with pytest.raises(error, match=text):
        a_model("1", layers=1).generate(**{"prompt_ids": [1], **how})


def test_generate_works_when_it_is_asked(monkeypatch):
    """Nothing at the call, a prompt with the first token, and one step for each token that is taken after it."""
    m, calls = a_model("1", layers=1), []
    for name in ("prefill", "step"):
        original = getattr(LanguageModel, name)

        def spy(self, *given, _name=name, _original=original):
            calls.append(_name)
            return _original(self, *given)

        monkeypatch.setattr(LanguageModel, name, spy)
    tokens = m.generate([1, 2], 5)
    assert iter(tokens) is tokens
    assert calls == []
    next(tokens)
    assert calls == ["prefill"]
    next(tokens)
    assert calls == ["prefill", "step"]
    assert len(list(tokens)) == 3
    assert calls == ["prefill", *["step"] * 4]
    del calls[:]
    assert list(m.generate([1, 2], 0)) == list(m.generate([[1], [2]], 0)) == []
    assert calls == []


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
def test_memory_of_generate_does_not_grow(kind):
    """Python and NumPy keep some 40 bytes a token, less and less, for what is small; the logits of one are 2 kB."""
    more = {} if kind == "mamba" else {"head_dim": 8, "d_state": 16}
    m = LanguageModel.initial(500, 16, 2, kind=kind, **more)
    tokens, held = m.generate([1, 2, 3], 400, temperature=1.0), []
    next(tokens)
    tracemalloc.start()
    for count in (20, 20, 300):
        for _ in range(count):
            next(tokens)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[2] - held[1] < 100 * 300


# --------------------------------------------------------------- kernels

CHANNELS = [1, 3, 8, 17, 33]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_convolve_rows(channels, dtype):
    """Only the units that it is told are written; k + 1 terms, an eps of their sizes each."""
    rng = np.random.default_rng(channels)
    for k, length, span, gated in itertools.product((1, 2, 4, 5), (0, 1, 7, 20), (1, 6, 32), (False, True)):
        x, state = rng.normal(size=(3, length, channels + 5)), rng.normal(size=(3, k - 1, channels))
        taps, bias = rng.normal(size=(k, channels)), rng.normal(size=channels)
        x, state, taps, bias = (a.astype(dtype) for a in (x, state, taps, bias))
        y, pieces = np.full((3, length, channels), np.nan, dtype), -(-length // span)
        first, last = min(1, 3 * pieces), max(3 * pieces - 1, min(1, 3 * pieces))
        kernels.convolve_rows(first, last, span, x, 2, state, taps, bias, y, gated)
        for r, p in np.ndindex(3, pieces):
            part = slice(p * span, (p + 1) * span)
            if not first <= r * pieces + p < last:
                assert np.isnan(y[r, part]).all()
                continue
            signal = x[r, :, 2 : 2 + channels].astype(float)
            want = convolution_by_hand(signal, taps.T.astype(float), bias.astype(float), state[r].astype(float))[0]
            close(y[r, part], (silu(want) if gated else want)[part], (k + 5) * np.finfo(dtype).eps, 4 * k + 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_convolve_steps(channels, dtype):
    rng = np.random.default_rng(channels)
    for k in (1, 2, 3, 4, 5):
        x, state = rng.normal(size=(4, channels + 5)), rng.normal(size=(4, k - 1, channels))
        taps, bias = rng.normal(size=(k, channels)), rng.normal(size=channels)
        x, state, taps, bias = (a.astype(dtype) for a in (x, state, taps, bias))
        y, after = np.full((4, channels), np.nan, dtype), np.full(state.shape, np.nan, dtype)
        kernels.convolve_steps(1, 3, x, 3, state, taps, bias, y, after)
        assert np.isnan(y[[0, 3]]).all()
        assert np.isnan(after[[0, 3]]).all()
        for r in (1, 2):
            now = x[r, None, 3 : 3 + channels].astype(float)
            want, end = convolution_by_hand(now, taps.T.astype(float), bias.astype(float), state[r].astype(float))
            close(y[r], silu(want[0]), (k + 5) * np.finfo(dtype).eps, 4 * k + 4)
            np.testing.assert_array_equal(after[r], end)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_normalize_rows(channels, dtype):
    rng = np.random.default_rng(channels)
    for groups, epsilon in itertools.product((1, 2, 3), (1e-5, 1.0)):
        x, w = (rng.normal(size=size).astype(dtype) for size in ((5, groups * channels), groups * channels))
        y = np.full(x.shape, np.nan, dtype)
        kernels.normalize_rows(1, 4, x, w, epsilon, groups, y)
        assert np.isnan(y[[0, 4]]).all()
        want = norm_by_hand(x.astype(float), w.astype(float), epsilon, groups)[1:4]
        np.testing.assert_allclose(y[1:4], want, rtol=(channels + 4) * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_gate_rows(channels, dtype):
    """Silu rounds by four eps at most, the product by one."""
    rng = np.random.default_rng(channels)
    y, z = rng.normal(size=(5, channels)).astype(dtype), 3 * rng.normal(size=(5, channels + 7)).astype(dtype)
    want, before = y * silu(z[:, 4 : 4 + channels].astype(float)), y.copy()
    kernels.gate_rows(1, 4, y, z, 4)
    np.testing.assert_array_equal(y[[0, 4]], before[[0, 4]])
    np.testing.assert_allclose(y[1:4], want[1:4], rtol=5 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_selective_steps(channels, dtype):
    """Of a state of n numbers: y sums n + 1 terms. e^{ΔA} has |ΔA| ≤ 20 and so 20 eps, times a state of some 3."""
    rng = np.random.default_rng(channels)
    for n in (1, 2, 5, 17):
        u, delta, bias, direct = (rng.normal(size=s) for s in ((4, channels), (4, channels), channels, channels))
        xz, levels = rng.normal(size=(4, 2 * channels)), rng.normal(size=(4, 2 * n + 3))
        a, before = -np.exp(rng.normal(size=(n, channels))), rng.normal(size=(4, n, channels))
        given = [v.astype(dtype) for v in (u, delta, xz, levels, a, direct, bias, before)]
        x, y = np.full(before.shape, np.nan, dtype), np.full(u.shape, np.nan, dtype)
        kernels.selective_steps(1, 3, *given[:4], 3, *given[4:], x, y)
        u, delta, xz, levels, a, direct, bias, before = (v.astype(float) for v in given)
        step = np.logaddexp(0, delta + bias)
        want = np.exp(step[:, None] * a) * before + (step * u)[:, None] * levels[:, 3 : 3 + n, None]
        out = (np.einsum("rnd,rn->rd", want, levels[:, 3 + n :]) + direct * u) * silu(xz[:, channels:])
        assert np.isnan(x[[0, 3]]).all()
        assert np.isnan(y[[0, 3]]).all()
        close(x[1:3], want[1:3], 20 * np.finfo(dtype).eps, 1.0)
        close(y[1:3], out[1:3], (20 + n) * np.finfo(dtype).eps, 1.0)
