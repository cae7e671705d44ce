"""Checkpoints of Mamba models: out and back, folders of others, and what a damaged one is answered with."""

import itertools
import json
import mmap
import re
import subprocess
import sys
import time
import traceback
import tracemalloc
import warnings
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import statespace as ss
from statespace.__main__ import main
from statespace.mamba import LanguageModel, Layer, load, save
from statespace.mamba.tensors import find_tensors, read_tensors

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
IDS = [1, 2, 3, 5, 8, 3]
TWO = {"d_state": 3, "head_dim": 2, "n_groups": 2}  # d = 8 channels inside, four heads

# --------------------------------------------------------------- files by hand


def stored(array, kind):
    """The numbers as a file of some type holds them."""
    if kind == "BF16":  # the upper half of a float32
        return (np.ascontiguousarray(array, "<f4").view("<u4") >> 16).astype("<u2")
    return np.ascontiguousarray(array, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind])


def packed(header, data):
    """Eight bytes of length, a JSON header, the numbers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def unpacked(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def file_of(tensors, kind="F32", align=8):
    """A safetensors file whose numbers begin at a multiple of ``align`` bytes, plus 1 where it is odd."""
    header, data = {}, b""
    for name, array in tensors.items():
        raw = stored(array, kind).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header)
    text += " " * (-len(text) % align if align > 1 else 1 - len(text) % 2)
    return packed(text.encode(), data)


def config_of(folder):
    return json.loads((folder / CONFIG).read_text())


def configure(folder, **entries):
    """Change entries of a config; those that are ... are left out."""
    found = config_of(folder) | entries
    (folder / CONFIG).write_text(json.dumps({name: value for name, value in found.items() if value is not ...}))


def restored(folder, kind="F32", align=8, **changes):
    """Write the weights of a folder again in another type, and others beside them; dots are two underscores."""
    tensors = load_file(folder / WEIGHTS) | {name.replace("__", "."): value for name, value in changes.items()}
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).write_bytes(file_of(tensors, kind, align))
    return tensors


# --------------------------------------------------------------- models


def drawn(
    kind="mamba",
    tied=True,
    biases="conv",
    dtype="float32",
    limit=None,
    eos=(),
    seed=0,
    vocabulary=16,
    epsilon=1e-5,
    **sizes,
):
    """A model whose every weight is drawn, ones too."""
    rng = np.random.default_rng(seed)

    def moved(array):
        return (array + 0.1 * rng.standard_normal(array.shape)).astype(dtype)

    def block(mixer):
        rows, width, m = len(mixer.in_proj), len(mixer.conv1d), mixer.d_model
        more = {"D": moved(mixer.D), "conv_bias": moved(np.zeros(width)) if biases != "none" else None}
        if biases == "all":
            more |= {"in_bias": moved(np.zeros(rows)), "out_bias": moved(np.zeros(m))}
        if kind == "mamba2":
            more |= {"norm": moved(mixer.norm), "dt_limit": limit or (0.0, np.inf), "epsilon": epsilon}
        return replace(mixer, **more)

    own = {"d_state": 3, "d_conv": 3} if kind == "mamba" else TWO
    start = LanguageModel.initial(vocabulary, 4, 2, kind=kind, seed=seed, dtype=dtype, **own | sizes)
    layers = tuple(Layer(moved(layer.norm), block(layer.mixer)) for layer in start.layers)
    head = None if tied else moved(start.embedding)
    return LanguageModel(moved(start.embedding), layers, moved(start.norm), head, epsilon, eos)


def parts(model):
    """Every array of a model, by name."""
    found = {"embedding": model.embedding, "norm": model.norm, "head": model.head}
    for i, layer in enumerate(model.layers):
        found |= {f"{i}.norm": layer.norm} | {
            f"{i}.mixer.{name}": value
            for name, value in vars(layer.mixer).items()
            if isinstance(value, np.ndarray) and name not in ("A", "_taps")
        }
    return {name: array for name, array in found.items() if array is not None}


def settings(model):
    """What a model has beside its arrays."""
    names = ("n_groups", "norm_groups", "dt_limit", "epsilon", "norm_before_gate")
    mixers = [[getattr(layer.mixer, name, None) for name in names] for layer in model.layers]
    return type(model.layers[0].mixer), model.eos, model.epsilon, model.is_tied, mixers


def assert_same(got, want):
    """The same bits, and the same logits."""
    assert settings(got) == settings(want)
    mine, theirs = parts(got), parts(want)
    assert mine.keys() == theirs.keys()
    for name, array in theirs.items():
        assert (name, mine[name].dtype, mine[name].shape) == (name, array.dtype, array.shape)
        assert (name, mine[name].tobytes()) == (name, array.tobytes())
    assert got(IDS).tobytes() == want(IDS).tobytes()


def memory_of(array):
    """What an array is a view of in the end."""
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array


BOTH = pytest.mark.parametrize("kind", ["mamba", "mamba2"])

# --------------------------------------------------------------- out and back


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@BOTH
def test_a_saved_model_comes_back_bit_by_bit(kind, dtype, tmp_path):
    options = itertools.product((True, False), ("none", "conv", "all"), ((), (3,), (3, 15)))
    sizes = [{}]
    if kind == "mamba2":
        limits = ((0.0, np.inf), (0.01, 0.5), (0.25, np.inf))
        sizes = [{"n_groups": g, "limit": limit} for g, limit in itertools.product((1, 2), limits)]
    for i, ((tied, biases, eos), size) in enumerate(itertools.product(options, sizes)):
        model = drawn(kind, tied, biases, dtype, eos=eos, seed=i, epsilon=1e-5 / (1 + i), **size)
        save(model, tmp_path)
        assert_same(load(tmp_path, dtype=dtype), model)
        config = config_of(tmp_path)
        assert config["eos_token_id"] == {0: None, 1: 3, 2: [3, 15]}[len(eos)]
        assert (config["use_bias"], config["use_conv_bias"]) == (biases == "all", biases != "none")
        assert (config["tie_word_embeddings"], config["dtype"]) == (tied, dtype)


@BOTH
def test_any_layout_and_byte_order_is_saved(kind, tmp_path):
    model = drawn(kind, tied=False)
    turned = replace(
        model,
        embedding=np.asfortranarray(model.embedding),
        head=np.repeat(model.head, 2, axis=1)[:, ::2],
        norm=model.norm.astype(">f4"),
    )
    save(turned, tmp_path)
    assert_same(load(tmp_path), model)


def test_whoever_may_read_the_config_may_map_the_weights(tmp_path):
    save(drawn("mamba"), tmp_path)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64])
def test_numbers_of_numpy_are_saved(number, tmp_path):
    model = drawn("mamba2")
    mixer = replace(model.layers[0].mixer, dt_limit=(number(0), number(2)), n_groups=np.int64(2), epsilon=number(1))
    model = replace(model, layers=(Layer(model.layers[0].norm, mixer),), eos=np.array([3]), epsilon=number(1))
    save(model, tmp_path)
    assert_same(load(tmp_path), model)


def test_a_config_is_json_that_any_parser_reads(tmp_path):
    save(drawn("mamba2"), tmp_path)

    def refuse(word):
        raise AssertionError(word)  # Infinity and NaN are words of Python and JavaScript

    config = json.loads((tmp_path / CONFIG).read_text(), parse_constant=refuse)
    assert config["time_step_limit"] == [0.0, {"__float__": "Infinity"}]


@BOTH
def test_a_folder_that_is_mapped_is_saved_over(kind, tmp_path):
    first, second = drawn(kind, seed=1), drawn(kind, seed=2)
    save(first, tmp_path)
    mapped = load(tmp_path)
    save(mapped, tmp_path)
    assert_same(mapped, first)
    assert_same(load(tmp_path), first)
    save(second, tmp_path)
    assert_same(mapped, first)
    assert_same(load(tmp_path), second)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, WEIGHTS]


def test_a_folder_is_made_and_nothing_is_written_of_what_cannot_be(tmp_path):
    save(drawn(), tmp_path / "a" / "b")
    assert_same(load(str(tmp_path / "a" / "b")), drawn())
    with pytest.raises(ValueError, match=r"^a model without layers"):
        save(replace(drawn(), layers=()), tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_save_that_breaks_off_leaves_the_old_model(tmp_path, monkeypatch):
    save(drawn(seed=1), tmp_path)

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        save(drawn(seed=2), tmp_path)
    assert_same(load(tmp_path), drawn(seed=1))


# --------------------------------------------------------------- types of numbers


@BOTH
def test_float64_of_a_float32_file_is_the_widened_weights(kind, tmp_path):
    save(drawn(kind, False, "all"), tmp_path)
    narrow, wide = parts(load(tmp_path)), parts(load(tmp_path, dtype="float64"))
    assert narrow.keys() == wide.keys()
    for name, array in narrow.items():
        assert wide[name].dtype == np.float64
        assert wide[name].tobytes() == array.astype(np.float64).tobytes()


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("file", "align"), [("BF16", 8), ("F16", 8), ("F64", 8), ("F32", 8), ("F32", 1), ("BF16", 1)])
def test_every_type_of_file_is_read_to_its_exact_values(kind, dtype, file, align, tmp_path):
    save(drawn(kind, False, "all"), tmp_path)
    small = np.float32([0, -0.0, 2**-24, -(2**-20), 1, 65504, 0.1, 3]).repeat(8).reshape(16, 4)
    tensors = restored(tmp_path, file, align, backbone__embeddings__weight=small)
    start = 8 + int.from_bytes((tmp_path / WEIGHTS).read_bytes()[:8], "little")
    assert start % 2 == (align == 1)
    want = {}
    for name, array in tensors.items():
        raw = stored(array, file)
        exact = (raw.astype("<u4") << 16).view("<f4") if file == "BF16" else raw
        want[name] = exact.astype(dtype)
    model = load(tmp_path, dtype=dtype)
    first = model.layers[0].mixer
    got = {
        "backbone.embeddings.weight": model.embedding,
        "backbone.norm_f.weight": model.norm,
        "lm_head.weight": model.head,
        "backbone.layers.0.norm.weight": model.layers[0].norm,
        "backbone.layers.0.mixer.in_proj.weight": first.in_proj,
        "backbone.layers.0.mixer.in_proj.bias": first.in_bias,
        "backbone.layers.0.mixer.conv1d.weight": first.conv1d[:, None],
        "backbone.layers.0.mixer.conv1d.bias": first.conv_bias,
        "backbone.layers.0.mixer.A_log": first.A_log,
        "backbone.layers.0.mixer.D": first.D,
        "backbone.layers.0.mixer.out_proj.weight": first.out_proj,
        "backbone.layers.0.mixer.out_proj.bias": first.out_bias,
    }
    if kind == "mamba":
        got |= {
            "backbone.layers.0.mixer.x_proj.weight": first.x_proj,
            "backbone.layers.0.mixer.dt_proj.weight": first.dt_proj,
            "backbone.layers.0.mixer.dt_proj.bias": first.dt_bias,
        }
    else:
        got |= {"backbone.layers.0.mixer.norm.weight": first.norm, "backbone.layers.0.mixer.dt_bias": first.dt_bias}
    assert {name for name in want if ".1." not in name} == got.keys()
    for name, array in got.items():
        assert (name, array.dtype, array.tobytes()) == (name, np.dtype(dtype), want[name].tobytes())
    for array in read_tensors(find_tensors(tmp_path), np.dtype(dtype)).values():
        assert not array.flags.writeable  # a block would copy it
    for array in parts(model).values():
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize(("file", "dtype"), [("F32", "float32"), ("F64", "float64")])
@BOTH
def test_weights_are_views_of_the_file(kind, file, dtype, tmp_path):
    save(drawn(kind, False, "all"), tmp_path)
    restored(tmp_path, file)
    model = load(tmp_path, dtype=dtype)
    assert all(isinstance(memory_of(array), mmap.mmap) for array in parts(model).values())
    assert len({id(memory_of(array)) for array in parts(model).values()}) == 1
    other = {"float32": "float64", "float64": "float32"}[dtype]
    converted = load(tmp_path, dtype=other)
    assert not any(isinstance(memory_of(array), mmap.mmap) for array in parts(converted).values())


@pytest.mark.parametrize("dtype", ["float16", "int32", "words", None, object(), ">f4"])
def test_another_dtype_is_refused(dtype, tmp_path):
    save(drawn(), tmp_path)
    with pytest.raises(ValueError, match=r"^dtype must be float32 or float64, got "):
        load(tmp_path, dtype=dtype)


def test_numbers_too_large_for_float32_are_named(tmp_path):
    save(drawn(dtype="float64"), tmp_path)
    restored(tmp_path, "F64", backbone__norm_f__weight=np.array([1, 1e300, 1, 1]))
    with pytest.raises(ValueError, match=r": norm must be finite, got 1 NaN or infinite of 4 values"):
        load(tmp_path)
    assert load(tmp_path, dtype="float64").norm[1] == 1e300


# --------------------------------------------------------------- folders of others


def sharded(folder, names=("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"), kind="F32"):
    """Two files and an index in the place of one file."""
    tensors = load_file(folder / WEIGHTS)
    shares = [dict(list(tensors.items())[i::2]) for i in (0, 1)]
    for name, share in zip(names, shares, strict=True):
        (folder / name).write_bytes(file_of(share, kind))
    weights = {tensor: name for name, share in zip(names, shares, strict=True) for tensor in share}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weights}))
    (folder / WEIGHTS).unlink()


@BOTH
def test_a_model_in_two_files_is_the_model(kind, tmp_path):
    model = drawn(kind, False, "all")
    save(model, tmp_path)
    sharded(tmp_path)
    again = load(tmp_path)
    assert_same(again, model)
    assert len({id(memory_of(array)) for array in parts(again).values()}) == 2  # both are mapped
    assert ss.mamba.inspect(tmp_path).splitlines()[-1].startswith(f"{model.n_parameters:,} parameters, 0.0 MB in 2 fil")
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"names the file 'model-00002-of-00002\.safetensors', which is not in"):
        load(tmp_path)


def test_a_tensor_of_two_files_is_that_of_the_index(tmp_path):
    model = drawn()
    save(model, tmp_path)
    sharded(tmp_path, ("b", "a"))
    other, index = load_file(tmp_path / "b"), json.loads((tmp_path / INDEX).read_text())
    assert index["weight_map"]["backbone.norm_f.weight"] == "a"
    (tmp_path / "b").write_bytes(file_of(other | {"backbone.norm_f.weight": 9 * model.norm}))
    assert_same(load(tmp_path), model)
    index["weight_map"]["backbone.norm_f.weight"] = "b"
    (tmp_path / INDEX).write_text(json.dumps(index))
    assert_same(load(tmp_path), replace(model, norm=9 * model.norm))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_an_entry_as_deep_as_the_parser_goes_is_refused(opening, closing, tmp_path):
    save(drawn(), tmp_path)
    text = json.dumps(config_of(tmp_path) | {"time_step_rank": "here"})
    for depth in range(800, 1000):
        (tmp_path / CONFIG).write_text(text.replace('"here"', opening * depth + "1" + closing * depth))
        with pytest.raises(ValueError, match=r"config\.json(: time_step_rank must be a whole| must hold JSON)"):
            load(tmp_path)


def original(folder, model, ssm=None, left_out=(), **changes):
    """A model as the folders of state-spaces have it: names, config, the head beside the embedding."""
    save(model, folder)
    mixer, names = model.layers[0].mixer, {"backbone.embeddings.weight": "backbone.embedding.weight"}
    own = {"layer": "Mamba1", "d_state": mixer.d_state, "d_conv": mixer.d_conv}
    if hasattr(mixer, "n_heads"):
        size = {"headdim": mixer.d_inner // mixer.n_heads, "ngroups": mixer.n_groups}
        own |= {"layer": "Mamba2", **size, "dt_limit": list(mixer.dt_limit)}
    config = {
        "d_model": 4, "d_intermediate": 0, "n_layer": 2, "vocab_size": 13, "ssm_cfg": own | (ssm or {}),
        "attn_layer_idx": [], "attn_cfg": {}, "rms_norm": True, "residual_in_fp32": True, "fused_add_norm": True,
        "pad_vocab_size_multiple": 8, "tie_embeddings": True,
    }  # fmt: skip
    tensors = {names.get(name, name): array for name, array in load_file(folder / WEIGHTS).items()}
    tensors = {"lm_head.weight": tensors["backbone.embedding.weight"]} | tensors
    tensors |= {name.replace("__", "."): array for name, array in changes.items()}
    (folder / CONFIG).write_text(json.dumps(config))
    (folder / WEIGHTS).unlink()
    kept = {name: array for name, array in tensors.items() if not name.endswith(left_out)}
    (folder / WEIGHTS).write_bytes(file_of(kept))


@pytest.mark.parametrize("limit", [None, (0.05, 0.5)])
@BOTH
def test_the_names_of_state_spaces_are_the_same_model(kind, limit, tmp_path):
    model = drawn(kind, limit=limit)  # 13 tokens, padded to 16
    original(tmp_path, model)
    assert_same(load(tmp_path), model)


def test_what_a_config_of_state_spaces_leaves_out_is_their_default(tmp_path):
    for kind, ssm, sizes in (
        ("mamba", {}, {"d_state": 16}),
        ("mamba2", {"layer": "Mamba2"}, {"d_state": 128, "head_dim": 64}),
    ):
        model = LanguageModel.initial(16, 32, 1, kind=kind, seed=0, **sizes)
        original(tmp_path, model)
        (tmp_path / CONFIG).write_text(json.dumps({"d_model": 32, "n_layer": 1, "vocab_size": 9, "ssm_cfg": ssm}))
        assert_same(load(tmp_path), model)


def others(model, **options):
    """The model with other options of its blocks."""
    return replace(model, layers=tuple(Layer(norm, replace(mixer, **options)) for norm, mixer in model.layers))


def test_options_of_state_spaces_reach_the_block(tmp_path):
    model = drawn("mamba2")
    original(tmp_path, model, {"norm_before_gate": True})
    assert_same(load(tmp_path), others(model, norm_before_gate=True))
    original(tmp_path, model, {"rmsnorm": False}, left_out=("mixer.norm.weight",))
    assert_same(load(tmp_path), others(model, norm=None))
    wide = np.random.default_rng(0).standard_normal((2, 8)).astype("f4")
    names = [f"backbone__layers__{i}__mixer__D" for i in (0, 1)]
    original(tmp_path, model, {"D_has_hdim": True}, **dict(zip(names, wide, strict=True)))
    want = [
        Layer(norm, replace(mixer, D=row.reshape(4, 2))) for row, (norm, mixer) in zip(wide, model.layers, strict=True)
    ]
    assert_same(load(tmp_path), replace(model, layers=tuple(want)))
    logits = [m(IDS) for m in (model, others(model, norm_before_gate=True), others(model, norm=None), load(tmp_path))]
    assert min(np.abs(a - b).max() for a, b in itertools.combinations(logits, 2)) > 1e-3  # each option counts


def test_norm_groups_reach_the_block(tmp_path):
    model = drawn("mamba2")
    save(model, tmp_path)
    assert_same(load(tmp_path, norm_groups=1), others(model, norm_groups=1))
    assert np.abs(load(tmp_path, norm_groups=1)(IDS) - model(IDS)).max() > 1e-3


@pytest.mark.parametrize("said", [True, False, None, ...])
def test_a_head_is_that_of_the_tensors(said, tmp_path):
    model, own = drawn(), drawn(seed=9).embedding
    save(model, tmp_path)
    configure(tmp_path, tie_word_embeddings=said)
    if said is False:
        with pytest.raises(ValueError, match=r"^the tensors do not fit config\.json: 1 missing: lm_head\.weight$"):
            load(tmp_path)
    else:
        assert_same(load(tmp_path), model)
    restored(tmp_path, lm_head__weight=model.embedding)
    again = load(tmp_path)
    assert again.is_tied == (said is not False)
    assert again.n_parameters == model.n_parameters + (said is False) * model.embedding.size
    assert again(IDS).tobytes() == model(IDS).tobytes()
    restored(tmp_path, lm_head__weight=own)
    assert_same(load(tmp_path), replace(model, head=own))


@pytest.mark.parametrize("spelled", ["Infinity", '{"__float__": "Infinity"}', "1e999"])
@pytest.mark.parametrize("words", ["transformers", "state-spaces"])
def test_infinity_is_read_in_every_spelling(spelled, words, tmp_path):
    model = drawn("mamba2", limit=(0.125, np.inf))
    if words == "transformers":
        save(model, tmp_path)
        configure(tmp_path, time_step_limit=[0.125, "here"])
    else:
        original(tmp_path, model, {"dt_limit": [0.125, "here"]})
    text = (tmp_path / CONFIG).read_text()
    assert text.count('"here"') == 1
    (tmp_path / CONFIG).write_text(text.replace('"here"', spelled))
    assert_same(load(tmp_path), model)
    (tmp_path / CONFIG).write_text(text.replace('"here"', spelled.replace("Infinity", "NaN").replace("1e999", "-1")))
    with pytest.raises(ValueError, match=r"_limit must be \[smallest, largest\] step, 0 or more, got"):
        load(tmp_path)


def test_a_stranger_among_the_tensors_is_told_in_one_line(tmp_path):
    save(drawn(), tmp_path)
    restored(tmp_path, **{"a\nb": np.ones(3)})
    with pytest.raises(ValueError, match=r"^[^\n]*: 1 not of this architecture: [^\n]*$"):
        load(tmp_path)


def test_a_step_that_is_infinite_at_least_is_refused_at_the_door(tmp_path):
    save(drawn("mamba2"), tmp_path)
    configure(tmp_path, time_step_limit=[np.inf, np.inf])
    with pytest.raises(ValueError, match=r"^config\.json: time_step_limit must be "):
        load(tmp_path)


# --------------------------------------------------------------- inspect, from a terminal


def test_a_terminal_is_told_layers_shapes_and_parameters(tmp_path):
    model = drawn("mamba2", False, "all", vocabulary=1000)
    save(model, tmp_path)
    asked = [sys.executable, "-m", "statespace", "inspect", str(tmp_path)]
    done = subprocess.run(asked, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "Mamba-2: 2 layers, 4 channels, 8 inside, 4 heads in 2 groups, 3 states, 1000 tokens, a head of its own"
    )
    rows = {line.split("  ")[0]: re.split(r"\s{2,}", line)[1:] for line in lines[3:-2]}
    assert rows["backbone.embeddings.weight"] == ["1000 × 4", "F32", "4,000"]
    assert rows["backbone.layers.*.mixer.in_proj.weight"] == ["32 × 4", "F32", "2 × 128"]
    assert rows["backbone.layers.*.mixer.conv1d.weight"] == ["20 × 1 × 4", "F32", "2 × 80"]
    assert rows["backbone.layers.*.mixer.A_log"] == ["4", "F32", "2 × 4"]
    assert len(rows) == 3 + 1 + 10
    assert lines[-1].startswith(f"{model.n_parameters:,} parameters, 0.0 MB in 1 file of ")
    assert ss.mamba.inspect(tmp_path) == done.stdout[:-1]


@BOTH
def test_inspect_counts_what_the_model_has(kind, tmp_path):
    for tied, biases in itertools.product((True, False), ("none", "all")):
        save(drawn(kind, tied, biases), tmp_path)
        text = ss.mamba.inspect(tmp_path)
        assert f"\n{load(tmp_path).n_parameters:,} parameters, " in text
        assert text.splitlines()[0].endswith("head tied to the embedding" if tied else "a head of its own")


@pytest.mark.parametrize("case", ["missing", "empty", "no config", "damaged", "cut", "", "\0", "a file"])
def test_a_terminal_is_told_in_one_line_what_is_wrong(case, tmp_path, capsys):
    folder = tmp_path
    if case in ("no config", "damaged", "cut"):
        save(drawn(), folder)
    if case == "no config":
        (folder / CONFIG).unlink()
    elif case == "damaged":
        (folder / CONFIG).write_text("{")
    elif case == "cut":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])
    elif case == "missing":
        folder = tmp_path / "gone"
    elif case == "a file":
        folder = tmp_path / "file"
        folder.touch()
    elif case != "empty":
        folder = case
    assert main(["inspect", str(folder)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(r"[^\n]+\n", told.err)


# --------------------------------------------------------------- damaged on purpose

ROOT = Path(ss.__file__).parent
SMALL = {"vocabulary": 5}


@cache
def whole(name, place):
    """The files of a folder that is as it should be."""
    folder = Path(place) / name
    if name == "original":
        original(folder, drawn("mamba2"))
    else:
        save(drawn("mamba" if name in ("mamba", "F64") else "mamba2", name != "sharded", "all", **SMALL), folder)
    if name in ("BF16", "F16", "F64"):
        restored(folder, name)
    elif name == "sharded":
        sharded(folder, ("a", "b"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def nested(depth, opening="[", closing="]"):
    return Raw(opening * depth + closing * depth)


class Raw(str):
    """JSON as it is written."""

    __slots__ = ()


JUNK = [
    *(None, True, False, 0, 1, -1, 2, 3, 4, 16, 2.5, 1e-320, 1e300, float("nan"), float("inf"), -float("inf")),
    *(2**31, 2**63, 2**64, 10**30, -(10**400), "", "abc", "4", "\0", "a\nb", "\ud800", "../x", "model.safetensors"),
    *([], [[]], [1, 2], [0.5, 0.1], [None], {}, {"a": []}, {"__float__": "NaN"}, {"__float__": []}, Raw("9" * 5000)),
    *(nested(9), nested(100), nested(9000), nested(400, '{"a":', "}"), Raw("-"), Raw("NaN"), Raw("1E+400")),
]


def junk(rng):
    if rng.random() < 0.2:  # about as deep as the parser goes
        return nested(int(rng.integers(850, 1000)))
    return JUNK[rng.integers(len(JUNK))]


def written(value):
    """JSON with what is raw in it."""
    raw = {}

    def mark(part):
        if isinstance(part, Raw):
            raw[f"raw {len(raw)}"] = part
            return f"raw {len(raw) - 1}"
        if isinstance(part, dict):
            return {name: mark(inner) for name, inner in part.items()}
        return [mark(inner) for inner in part] if isinstance(part, list) else part

    text = json.dumps(mark(value))
    for name, part in raw.items():
        text = text.replace(f'"{name}"', part)
    return text.encode()


def places(value, path=()):
    """Every path into lists and objects."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from places(part, (*path, key))


NAMES = ["", "a\nb", "backbone.layers..D", "backbone.layers.99.mixer.D", "backbone.layers.0", "é", "__metadata__"]
NAMES += ["backbone.layers.٣.mixer.D", "backbone.layers.00.mixer.D", "lm_head.weight", "backbone.embedding.weight"]


def edited(value, rng):
    """A JSON value after one change somewhere inside."""
    value = json.loads(json.dumps(value))
    where = list(places(value))
    if not where:
        return junk(rng)
    *path, key = where[rng.integers(len(where))]
    inside = value
    for step in path:
        inside = inside[step]
    old, act = inside[key], rng.integers(7)
    if act == 0:
        del inside[key]
    elif act == 1 and isinstance(old, (int, float)):
        inside[key] = [old + 1, old - 1, 2 * old, -old, old / 2, float(old), str(old)][rng.integers(7)]
    elif act == 2 and isinstance(inside, dict):
        inside[NAMES[rng.integers(len(NAMES))]] = inside.pop(key)
    elif act == 3 and isinstance(inside, dict):
        inside[NAMES[rng.integers(len(NAMES))]] = old
    elif act == 4:
        *path, other = where[rng.integers(len(where))]
        there = value
        for step in path:
            there = there[step]
        inside[key], there[other] = there[other], old
    elif act == 5 and isinstance(old, list):
        inside[key] = [old[::-1], [*old, 1], old[1:], [*old, *old]][rng.integers(4)]
    else:
        inside[key] = junk(rng)
    return value


def flipped(content, rng):
    data = bytearray(content)
    for i in rng.integers(0, max(len(data), 1), rng.integers(1, 4)) if data else ():
        data[i] ^= 1 << int(rng.integers(8))
    return bytes(data)


def cut_off(content, rng):
    return content[: rng.integers(len(content) + 1)]


def inserted(content, rng):
    i = int(rng.integers(len(content) + 1))
    return content[:i] + rng.bytes(rng.integers(1, 20)) + content[i:]


def in_header(content, rng):
    _, data = unpacked(content)
    start = len(content) - len(data)
    return flipped(content[:start], rng) + data


def in_numbers(content, rng):
    """The upper bytes of a number: huge, infinite, NaN."""
    _, data = unpacked(content)
    i = len(content) - len(data) + 2 * int(rng.integers(len(data) // 2))
    wrong = (b"\xff\x7f", b"\x80\x7f", b"\x7f\x7f", b"\xff\xff", b"\xf0\x7f", b"\xef\x7f", b"\x20\x43")
    return content[:i] + wrong[rng.integers(len(wrong))] + content[i + 2 :]


def another_length(content, rng):
    n, size = int.from_bytes(content[:8], "little"), len(content)
    wrong = (0, 1, 2, n - 1, n + 1, n + int(rng.integers(100)), size, size - 8, 2**31, 2**40, 2**63, 2**64 - 1, 10**8)
    return wrong[rng.integers(len(wrong))].to_bytes(8, "little") + content[8:]


def edited_header(content, rng):
    header, data = unpacked(content)
    for _ in range(rng.integers(1, 3)):
        header = edited(header, rng)
    return packed(written(header), data)


def edited_json(content, rng):
    return written(edited(json.loads(content), rng))


def other_json(content, rng):
    return written(junk(rng))


def no_bytes(content, rng):
    return b""


BYTES = [flipped, cut_off, inserted, no_bytes]


def harmed_weights(files, rng):
    names = [name for name in files if not name.endswith(".json")]
    name = names[rng.integers(len(names))]
    harm = [*BYTES[:3], in_header, in_header, in_numbers, in_numbers, another_length][rng.integers(8)]
    return files | {name: harm(files[name], rng)}


def harmed_header(files, rng):
    names = [name for name in files if not name.endswith(".json")]
    name = names[rng.integers(len(names))]
    return files | {name: edited_header(files[name], rng)}


def harmed_config(files, rng):
    harm = [*[edited_json] * 8, flipped, cut_off, inserted, other_json][rng.integers(12)]
    return files | {CONFIG: harm(files[CONFIG], rng)}


def harmed_index(files, rng):
    harm = [*[edited_json] * 8, flipped, cut_off, inserted, other_json][rng.integers(12)]
    return files | {INDEX: harm(files[INDEX], rng)}


def harmed_folder(files, rng):
    names = sorted(files)
    a, b = (names[i] for i in rng.integers(len(names), size=2))
    return [
        {name: content for name, content in files.items() if name != a},
        files | {a: b""},
        files | {a: files[b], b: files[a]},
        {name: content for name, content in files.items() if name != a} | {"pytorch_model.bin": files[a]},
        {name: content for name, content in files.items() if name != a} | {"x.safetensors": files[a]},
        files | {a: None},
        {},
    ][rng.integers(7)]


def refusal(error):
    """The kind of a clear error."""
    frame, text = traceback.extract_tb(error.__traceback__)[-1], str(error)
    assert type(error) in (ValueError, FileNotFoundError, TypeError), f"{type(error)}: {text}"
    assert ROOT in Path(frame.filename).parents, f"{type(error)} of {frame}: {text}"
    assert text.strip()
    assert "\n" not in text
    return type(error).__name__


def answer(folder, dtype):
    """What a folder is answered with: "loaded" and what NumPy warned of, or the kind of a clear error."""
    try:
        model = load(folder, dtype=dtype)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            logits = model([1, 2, 3])
    except Exception as error:
        return refusal(error)
    assert logits.shape == (3, model.n_vocabulary)
    assert logits.dtype == dtype
    assert {warning.category for warning in caught} <= {RuntimeWarning}
    assert all(re.match("(overflow|invalid value|divide by zero) enc", str(warning.message)) for warning in caught)
    return "loaded"


FUZZ = [  # what is harmed, in which folders, how often at least it goes unseen and is seen
    (harmed_weights, ("mamba", "mamba2", "BF16", "F16", "F64", "sharded"), 20, 150),
    (harmed_header, ("mamba", "mamba2", "BF16", "sharded", "original"), 1, 150),
    (harmed_config, ("mamba", "mamba2", "original"), 20, 100),
    (harmed_index, ("sharded",), 5, 50),
    (harmed_folder, ("mamba", "mamba2", "sharded", "original"), 0, 100),
]
TIMES = 240


@pytest.mark.parametrize(("harm", "names", "unseen", "seen"), FUZZ, ids=[harm.__name__ for harm, *_ in FUZZ])
def test_a_damaged_folder_gets_a_model_or_a_clear_error(harm, names, unseen, seen, tmp_path, tmp_path_factory):
    place = str(tmp_path_factory.getbasetemp() / "whole")
    for name in names:  # what is whole is loaded; and everything is compiled
        for dtype in ("float32", "float64"):
            folder = tmp_path / f"{name} {dtype}"
            put(folder, whole(name, place))
            assert answer(folder, dtype) == "loaded"
    found = Counter()
    tracemalloc.start()
    try:
        for i in range(TIMES):
            rng = np.random.default_rng([i, len(harm.__name__)])
            folder = tmp_path / str(i)
            put(folder, harm(whole(names[i % len(names)], place), rng))
            begin = time.perf_counter()
            try:
                found[answer(folder, ("float32", "float64")[i % 7 % 2])] += 1
            except (AssertionError, Warning) as error:
                raise AssertionError(f"folder {i}, {folder}: {error}") from error
            assert time.perf_counter() - begin < 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6
    assert found["loaded"] >= unseen
    assert found.total() - found["loaded"] >= seen


def put(folder, files):
    folder.mkdir()
    for name, content in files.items():
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
