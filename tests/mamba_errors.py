"""What the Mamba doors say to bad input and to bad checkpoints; part of the table of tests/test_errors.py."""

import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from safetensors.numpy import load_file, save_file

import statespace as ss
from statespace.mamba import checkpoint
from statespace.mamba.layers import as_state
from statespace.mamba.tensors import _tensor, read_tensors

ONES = np.ones
V, T, N, M = ValueError, TypeError, FileNotFoundError, ModuleNotFoundError
Block, Block2, Model = ss.mamba.MambaBlock, ss.mamba.Mamba2Block, ss.mamba.LanguageModel
SMALL = {"d_state": 4, "head_dim": 4}
ONE, TWO = Block.initial(4, d_state=3, seed=0), Block2.initial(4, **SMALL, n_groups=2, seed=0)
MODEL = Model.initial(20, 4, 2, d_state=3, seed=0)
MODEL2 = Model.initial(20, 4, 2, kind="mamba2", **SMALL, n_groups=2, seed=0)
WEIGHTS = "model.safetensors"
A_LOG = "backbone.layers.1.mixer.A_log"


def block(**more):
    names = ("in_proj", "conv1d", "x_proj", "dt_proj", "dt_bias", "A_log", "D", "out_proj")
    return Block(**{name: getattr(ONE, name) for name in names} | more)


def block2(**more):
    names = ("in_proj", "conv1d", "dt_bias", "A_log", "D", "out_proj", "n_groups")
    return Block2(**{name: getattr(TWO, name) for name in names} | more)


def model(**more):
    return Model(**{"embedding": ONES((20, 4), "f4"), "layers": MODEL.layers, "norm": ONES(4, "f4")} | more)


def layers(*mixers):
    """A model of blocks."""
    return model(layers=[(ONES(4, "f4"), mixer) for mixer in mixers])


# --------------------------------------------------------------- folders that are damaged on purpose

LEFT_OUT = object()


def harmed(harm, whole=MODEL, door=ss.mamba.load, **options):
    """A door at a saved model, after some harm to its folder."""
    with tempfile.TemporaryDirectory() as folder:
        ss.mamba.save(whole, folder)
        harm(Path(folder))
        return door(folder, **options)


def config(**entries):
    def harm(folder):
        path = folder / "config.json"
        found = json.loads(path.read_text()) | entries
        path.write_text(json.dumps({name: value for name, value in found.items() if value is not LEFT_OUT}))

    return harm


def original(**entries):
    """A config in the words of state-spaces."""
    ssm = {"layer": "Mamba2", "headdim": 4, "ngroups": 2, "d_state": 4} | entries.pop("ssm_cfg", {})
    found = {"d_model": 4, "n_layer": 2, "vocab_size": 20, "ssm_cfg": ssm} | entries
    return lambda folder: (folder / "config.json").write_text(json.dumps(found))


def text(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def tensors(**changes):
    """Other tensors; dots are written as two underscores."""

    def harm(folder):
        found = load_file(folder / WEIGHTS) | {name.replace("__", "."): value for name, value in changes.items()}
        save_file({name: value for name, value in found.items() if value is not LEFT_OUT}, folder / WEIGHTS)

    return harm


def renamed(name, *other):
    """The weights under another name, and files beside them."""

    def harm(folder):
        (folder / WEIGHTS).rename(folder / name)
        for path, content in other:
            (folder / path).write_text(json.dumps(content))

    return harm


def indexed(weight_map):
    return renamed("part.safetensors", ("model.safetensors.index.json", {"weight_map": weight_map}))


def cut(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1])


def without(package, call):
    """A call where a package is not installed."""
    parts = [name for name in sys.modules if name.startswith(f"{package}.")]
    with mock.patch.dict("sys.modules", dict.fromkeys([package, *parts])):
        return call()


def joined(array):
    """What `load` makes of tensors, before it says which folder they are of."""
    with tempfile.TemporaryDirectory() as folder:
        ss.mamba.save(MODEL, folder)
        _, architecture, found = checkpoint.open_folder(folder)
        return checkpoint._model(architecture, read_tensors(found, np.dtype("f4")) | {A_LOG: array}, None)


def overflowing():
    """The next token of a model whose logits are infinite."""
    huge = model(head=np.full((20, 4), 3e38, "f4"))
    with np.errstate(over="ignore", invalid="ignore"):
        return next(huge.generate([1, 2]))


def saved(whole):
    with tempfile.TemporaryDirectory() as folder:
        ss.mamba.save(whole, folder)


CHECKPOINTS = [
    (
        lambda: ss.mamba.load("no/such-folder"),
        N,
        r"^there is no folder 'no/such-folder'; nothing is downloaded: .*hf d",
    ),
    (lambda: ss.mamba.load(".", dtype="float16"), V, r"^dtype must be float32 or float64, got 'float16'"),
    (lambda: harmed(config(), norm_groups=1), V, r"^norm_groups is of Mamba-2, .* of Mamba-1: leave it out, got 1"),
    (lambda: harmed(config(), MODEL2, norm_groups=3), V, r": layer 0: heads must divide .* and norm_groups=3$"),
    (
        lambda: harmed(tensors(backbone__norm_f__weight=np.float32([1, np.nan, 1, 1]))),
        V,
        r": norm must be finite, got 1 NaN or infinite of 4 values, the first is norm\[1\] = nan",
    ),
    (lambda: joined(np.full((8, 3), np.inf, "f4")), V, r"^layer 1: A_log must be finite, got 24 NaN or infinite of 24"),
    (lambda: joined(np.full((8, 3), 99, "f4")), V, r"^layer 1: A = -exp\(A_log\) must be finite, got 24 NaN"),
    (
        lambda: harmed(lambda folder: (folder / "config.json").unlink()),
        N,
        r" has no config\.json, which says what kind",
    ),
    (lambda: harmed(text("config.json", b'{"a')), V, r"config\.json must hold JSON, and it does not: 'Unterminated"),
    (lambda: harmed(text("config.json", b'{"\xff"')), V, r"config\.json must hold JSON, and it does not: .*'utf-8'"),
    (lambda: harmed(text("config.json", 9999 * b"[")), V, r"config\.json must hold JSON, .*not: .*recursion"),
    (lambda: harmed(text("config.json", b"[1]")), V, r"config\.json must hold a JSON object, got \[1\]"),
    (lambda: harmed(text("config.json", b"{}")), V, r"^config\.json names no architecture; supported are MambaForCaus"),
    (lambda: harmed(config(architectures=["GPT2"])), V, r"^architecture 'GPT2' is not supported; supported are Mamba"),
    (
        lambda: harmed(config(architectures=[], model_type="bert")),
        V,
        r"^architecture 'bert' is not supported; supported are MambaForCausalLM",
    ),
    (lambda: harmed(config(hidden_size=LEFT_OUT)), V, r"^config\.json: hidden_size must be a whole .*it is missing$"),
    (lambda: harmed(config(hidden_size="4")), V, r"^config\.json: hidden_size must be a whole number, 1 or .*got '4'$"),
    (lambda: harmed(config(vocab_size=2**31)), V, r"^config\.json: vocab_size must be a whole number, 2147483647 at m"),
    (
        lambda: harmed(config(expand=2**30, intermediate_size=LEFT_OUT)),
        V,
        r"^the tensors do not fit config\.json: 18 of another shape: .* wanted \(8589934592, 4\), .*, and 16 more$",
    ),
    (lambda: harmed(config(num_hidden_layers=True)), V, r"^config\.json: num_hidden_layers must be a .*got True$"),
    (lambda: harmed(config(layer_norm_epsilon=0)), V, r"^config\.json: layer_norm_epsilon must be a number above 0, g"),
    (
        lambda: harmed(config(layer_norm_epsilon=10**999)),
        V,
        r"^config\.json: layer_norm_epsilon must be a number above",
    ),
    (lambda: harmed(config(tie_word_embeddings=1)), V, r"^config\.json: tie_word_embeddings must be true or .*got 1$"),
    (
        lambda: harmed(config(time_step_limit=[0.5, {"__float__": "NaN"}]), MODEL2),
        V,
        r"^config\.json: time_step_limit must be \[smallest, largest\] step, 0 or more, got \[0\.5, \{'__float__'",
    ),
    (lambda: harmed(config(eos_token_id=[2, "3"])), V, r"^config\.json: eos_token_id must be a token id, or a list of"),
    (
        lambda: harmed(config(hidden_act="relu")),
        V,
        r"^config\.json: hidden_act must be 'silu' or 'swish', .*got 'relu'",
    ),
    (
        lambda: harmed(original(ssm_cfg={"layer": "Mamba3"}), MODEL2),
        V,
        r"^config\.json: ssm_cfg\.layer must be 'Mamba1'",
    ),
    (lambda: harmed(original(ssm_cfg={"headdim": 3}), MODEL2), V, r"^ssm_cfg\.headdim must divide .* = 8, got 3$"),
    (
        lambda: harmed(
            lambda folder: (folder / "config.json").write_text('{"d_model": 4, "n_layer": 2, "ssm_cfg": 3}')
        ),
        V,
        r"^config\.json: ssm_cfg must be an object, got 3$",
    ),
    (lambda: harmed(config(num_hidden_layers=99)), V, r"^config\.json says 99 layers, and there are 22 tensors in all"),
    (
        lambda: harmed(tensors(backbone__norm_f__weight=LEFT_OUT, other=ONES(3))),
        V,
        r"^the tensors do not fit .*: 1 missing: backbone\.norm_f\.weight; 1 not of this architecture: other$",
    ),
    (
        lambda: harmed(config(vocab_size=21), door=ss.mamba.inspect),
        V,
        r"^the tensors do not fit config\.json: 1 of another shape: .* is \(20, 4\), wanted \(21, 4\)$",
    ),
    (lambda: harmed(config(tie_word_embeddings=False)), V, r"^the tensors do not fit .*: 1 missing: lm_head\.weight$"),
    (
        lambda: harmed(tensors(backbone__norm_f__weight=ONES(4, "i8"))),
        V,
        r"^tensors of a type that is not read: \['backbone\.norm_f\.weight \(I64\)'\]; BF16, F16, F32, F64 are, q",
    ),
    (
        lambda: harmed(renamed("pytorch_model.bin")),
        N,
        r" has pytorch_model\.bin, a pickle, .*is never opened; .*save_pretrained\(folder\)$",
    ),
    (lambda: harmed(renamed("model.gguf")), N, r" has neither model\.safetensors nor model\.safetensors\.index\.json$"),
    (
        lambda: harmed(renamed("other.safetensors")),
        N,
        r" has neither .*; \['other\.safetensors'\] must be called model\.safetensors, or be named by an index$",
    ),
    (lambda: harmed(indexed(["part.safetensors"])), V, r"index\.json must have a weight_map from .*got \['part\.saf"),
    (lambda: harmed(indexed({})), V, r"index\.json must have a weight_map from names to files, got \{\}"),
    (lambda: harmed(indexed({"a": 3})), V, r"index\.json must have a weight_map from names to files, got \{'a': 3\}"),
    (lambda: harmed(indexed({"a": "x" * 300})), N, r"index\.json names the file 'x+…, which is not in the folder$"),
    (lambda: harmed(indexed({"a": "gone"})), N, r"index\.json names the file 'gone', which is not in the folder"),
    (
        lambda: harmed(indexed({"a": "../config.json"})),
        N,
        r"index\.json names the file '\.\./config\.json', which is not",
    ),
    (
        lambda: harmed(indexed({"a": "part.safetensors"})),
        V,
        r"index\.json names 1 tensors that their files do not have: \['a'\]",
    ),
    (lambda: harmed(cut), V, r"model\.safetensors is no whole safetensors file .*incomplete.*; it may be cut off or d"),
    (lambda: harmed(text(WEIGHTS, b"")), V, r"model\.safetensors is no whole safetensors file"),
    # safetensors has looked at this before: behind it for the day that it does not
    (
        lambda: _tensor(Path(__file__), 8, {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}),
        V,
        r"^4 bytes at 0 of \d+ for a tensor \(2,\) of F32$",
    ),
    (
        lambda: harmed(config(), door=lambda folder: without("safetensors", lambda: ss.mamba.load(folder))),
        M,
        r"^checkpoints need the package safetensors; write pip install 'statespace-toolkit\[mamba\]'$",
    ),
    (lambda: without("safetensors", lambda: saved(MODEL)), M, r"^checkpoints need the package safetensors; write pip"),
    (lambda: saved(ONE), T, r"^save writes a LanguageModel, got MambaBlock; statespace\.save writes a system$"),
    (lambda: ss.mamba.save(MODEL, ""), T, r"^folder must be a path, got ''$"),
    (lambda: ss.mamba.load(3), T, r"^folder must be a path, got 3$"),
    (lambda: saved(model(layers=())), V, r"^a model without layers cannot be saved: transformers has no words for it"),
    (
        lambda: saved(layers(ONE, block(D=ONES(8, "f4"), conv1d=ONES((8, 2), "f4")))),
        V,
        r"^all layers must have one architecture to be saved, layer 1 .*d_conv",
    ),
    (
        lambda: saved(layers(block2(norm=ONES(8, "f4"), norm_groups=1))),
        V,
        r"^transformers has one epsilon, .*got norm_groups=1 for 2, and epsilon=1e-05 in a model of 1e-05$",
    ),
    (
        lambda: saved(layers(block2(norm=ONES(8, "f4"), epsilon=0.1))),
        V,
        r"^transformers has one epsilon, .*got norm_groups=2 for 2, and epsilon=0\.1 in a model of 1e-05$",
    ),
    (lambda: saved(layers(block2())), V, r"^transformers has no words for this model: .*norm after the gate and one D"),
    (
        lambda: saved(layers(ONE, block(in_bias=ONES(16, "f4"), conv_bias=ONES(8, "f4")))),
        V,
        r"^transformers has biases of in_proj and out_proj in every layer or in none, .*\[\(False, False, True\), \(T",
    ),
    (
        lambda: saved(layers(block(in_bias=ONES(16, "f4")))),
        V,
        r"^transformers has biases .*\[\(True, False, False\)\]$",
    ),
]
BLOCKS = [
    (lambda: ONE(ONES((5, 3))), V, r"^u must have shape \(\.\.\., L, 4\), as the block has 4 channels, got \(5, 3\)$"),
    (
        lambda: ONE(ONES((4, 5))),
        V,
        r"^u must have .*got \(4, 5\); here time is axis −2: write numpy\.swapaxes\(u, -1, ",
    ),
    (lambda: TWO.step(ONES(3)), V, r"^u must have shape \(\.\.\., 4\), as the block has 4 channels, got \(3,\)$"),
    (lambda: ONE(1j * ONES((5, 4))), T, r"^u must be real, got dtype complex128"),
    (lambda: ONE(ONES((5, 4)), ONES(3)), T, r"^state must be a BlockState, the pair \(conv, ssm\) .*got ndarray$"),
    (
        lambda: ONE(ONES((5, 4)), (ONES((3, 8)), ONES((3, 8)))),
        V,
        r"^state\.ssm must have shape \(8, 3\), or \(8, 3\) for all of a batch, got \(3, 8\)",
    ),
    (
        lambda: ONE(ONES((2, 5, 4)), (ONES((3, 3, 8)), None)),
        V,
        r"^state\.conv must have shape \(2, 3, 8\), the batch axes of u before its own, got \(3, 3, 8\)$",
    ),
    (
        lambda: as_state(ONES((2, 3)), "x", (), (3,), np.dtype(float)),
        V,
        r"^x must have shape \(3,\), or .*got \(2, 3\)",
    ),
    (lambda: block(A_log=1j * ONES((8, 3))), T, r"^A_log must be real, got dtype complex128"),
    (lambda: block(D=ONES(7)), V, r"^D must have shape \(8,\), got D\.shape=\(7,\)$"),
    (lambda: block(out_proj=ONES((0, 8))), V, r"^out_proj must have shape \(any, any\), got out_proj\.shape=\(0, 8\)$"),
    (
        lambda: block2(in_proj=ONES((33, 4))),
        V,
        r"^in_proj must have 2d \+ 2gn \+ h rows, .*got 33, which is that for no",
    ),
    (
        lambda: block2(in_proj=ONES((18, 4))),
        V,
        r"^in_proj must have .*d=8, g=2 and h=2, got 18, which is that for no n",
    ),
    (lambda: block2(n_groups=3), V, r"^heads must divide the channels, groups the heads, .*h=2 heads, n_groups=3"),
    (lambda: block2(norm_groups=3), V, r"^heads must divide .* d=8 channels, h=2 heads, n_groups=2 and norm_groups=3$"),
    (lambda: block2(A_log=ONES(3)), V, r"^heads must divide the channels, .*h=3 heads"),
    (lambda: block2(n_groups=0), V, r"^n_groups must be a whole number, 1 or more, got 0$"),
    (lambda: block2(epsilon=-1.0), V, r"^epsilon must be a number, 0 or more, got -1\.0$"),
    (
        lambda: block2(dt_limit=(1.0, 0.5)),
        V,
        r"^dt_limit must be \(smallest, largest\) step, 0 or more, got \(1\.0, 0\.5",
    ),
    (lambda: Block2.initial(4, head_dim=3), V, r"^head_dim must divide expand·d_model = 8, got head_dim=3$"),
    (lambda: Block2.initial(4), V, r"^head_dim must divide expand·d_model = 8, got head_dim=64$"),
    (lambda: Block.initial(4.0), V, r"^d_model must be a whole number, 1 or more, got 4\.0$"),
    (lambda: Block.initial(4, dt_rank=True), V, r"^dt_rank must be a whole number, 1 or more, got True$"),
    (
        lambda: ss.mamba.rms_norm(ONES((5, 3)), ONES(5)),
        V,
        r"^weight must have one number per channel .*got \(5,\) besi",
    ),
    (
        lambda: ss.mamba.causal_convolution(ONES((5, 3)), ONES((3, 1, 4))),
        V,
        r"^u must have shape .* weight\.shape=\(3, 1, 4\), a checkpoint's: write weight\[:, 0\]$",
    ),
    (
        lambda: ss.mamba.causal_convolution(ONES((5, 3)), ONES((4, 3))),
        V,
        r"^u must have shape .*weight\.shape=\(4, 3\)$",
    ),
    (
        lambda: ss.mamba.causal_convolution(ONES((5, 3)), ONES((3, 4)), ONES(4)),
        V,
        r"^bias must have shape \(3,\), one number per channel, got \(4,\)$",
    ),
]
MODELS = [
    (lambda: Model.initial(20, 4, 2, kind="mamba3"), V, r"^kind must be one of 'mamba', 'mamba2', got 'mamba3'"),
    (lambda: Model.initial(20, 4, 0), V, r"^n_layers must be a whole number, 1 or more, got 0$"),
    (lambda: model(layers=[ONE]), T, r"^layers\[0\] must be a pair \(norm, mixer\) of weights and a block, got <Mamba"),
    (
        lambda: layers(ONE, Block.initial(5)),
        V,
        r"^layers\[1\] must have 4 channels in float32, .*mixer of 5 in float32$",
    ),
    (lambda: layers(Block.initial(4, dtype=float)), V, r"^layers\[0\] must have 4 channels .* mixer of 4 in float64$"),
    (lambda: model(layers=3), T, r"^layers must be a sequence of pairs \(norm, mixer\), got 3$"),
    (lambda: model(eos=[[1]]), V, r"^eos must be one row of token ids, got shape \(1, 1\)$"),
    (lambda: model(norm=ONES(3)), V, r"^norm must have shape \(4,\), got norm\.shape=\(3,\)$"),
    (lambda: model(head=ONES((19, 4))), V, r"^head must have shape \(20, 4\), got head\.shape=\(19, 4\)$"),
    (lambda: model(eos=(20,)), V, r"^eos must be from 0 to 19, the tokens that the model has, got 1 of 1 out of range"),
    (lambda: MODEL(3), V, r"^ids must have shape \(\.\.\., L\), got one token, 3; step takes one$"),
    (
        lambda: MODEL([[1], [2, 3]]),
        V,
        r"^ids must be of one length, or go to generate as a list: got \[\[1\], \[2, 3\]\]$",
    ),
    (lambda: MODEL("abc"), T, r"^ids must be integers, token ids, got 'abc'; a text goes through a tokenizer first$"),
    (lambda: MODEL([1, -1, 20]), V, r"^ids must be from 0 to 19, .*got 2 of 3 out of range, the first is -1$"),
    (lambda: MODEL.prefill([]), V, r"^ids must hold a token at least: nothing comes after no token; got none$"),
    (
        lambda: MODEL.step(1, [None]),
        T,
        r"^state must be a tuple with one BlockState for each of 2 layers, .*got list of 1",
    ),
    (lambda: MODEL.step(1, ONES(2)), T, r"^state must be a tuple with one BlockState for each of 2 .*got ndarray$"),
    (
        lambda: MODEL.backbone(ONES((4, 5))),
        V,
        r"^h must have shape \(\.\.\., L, 4\), as the model has it, got \(4, 5\)$",
    ),
    (lambda: MODEL.generate("abc"), T, r"^prompt_ids must be token ids, .*got 'abc'; a text goes through a tokenizer$"),
    (lambda: MODEL.generate([]), V, r"^a prompt must be one row of token ids, one at least .*got shapes \[\(0,\)\]$"),
    (lambda: MODEL.generate([[1], [[2]]]), V, r"^a prompt must be one row .*got shapes \[\(1,\), \(1, 1\)\]$"),
    (lambda: MODEL.generate([[1, [2]], [3]]), V, r"^prompt_ids must be of one length, .*got \[1, \[2\]\]$"),
    (lambda: MODEL.generate([1], -1), V, r"^max_new_tokens must be a whole number, 0 or more, got -1$"),
    (
        lambda: MODEL.generate([1], temperature=-1),
        V,
        r"^temperature must be 0 \(the likeliest token\) or more, got -1$",
    ),
    (
        lambda: MODEL.generate([1], temperature=np.nan),
        V,
        r"^temperature must be 0 \(the likeliest token\) or more, got n",
    ),
    (lambda: MODEL.generate([1], temperature=1, top_k=0), V, r"^top_k must be a whole number, 1 or more, got 0$"),
    (lambda: MODEL.generate([1], temperature=1, top_p=0.0), V, r"^top_p must be a probability above 0, got 0\.0$"),
    (lambda: MODEL.generate([1], top_p=0.5), V, r"^top_k and top_p are of what is drawn, and temperature 0 draws noth"),
    (lambda: MODEL.generate([1], stop=20), V, r"^stop must be from 0 to 19, the tokens that the model has, got 1 of 1"),
    (lambda: MODEL.generate([1], seed=0.5), V, r"^seed must be a whole number, 0 or more, got 0\.5$"),
    (
        lambda: without("tqdm", lambda: MODEL.generate([1], progress=True)),
        M,
        r"^a progress bar needs tqdm; write pip ins",
    ),
    (overflowing, V, r"^the logits are not finite: the weights overflow on this prompt, or are damaged$"),
]
CASES = [*CHECKPOINTS, *BLOCKS, *MODELS]

# --------------------------------------------------------------- for test_wrong_things_meet_an_error_of_ours


def arguments(weights, *names):
    return {name: getattr(weights, name) for name in names}


STATE, U = ONE.initial_state(), ONES((5, 4))
CALLS = {
    (lambda folder, dtype: ss.mamba.load(folder, dtype=dtype)): {"folder": "no/such-folder", "dtype": "float32"},
    (lambda dtype, norm_groups: harmed(config(), MODEL2, dtype=dtype, norm_groups=norm_groups)): {
        "dtype": "float32", "norm_groups": 2,
    },
    saved: {"whole": MODEL},
    (lambda folder: ss.mamba.save(layers(block2()), folder)): {"folder": "no/such-folder"},  # never written
    ss.mamba.inspect: {"folder": "no/such-folder"},
    ss.mamba.rms_norm: {"x": ONES((5, 3)), "weight": ONES(3), "epsilon": 1e-5},
    ss.mamba.causal_convolution: {
        "u": ONES((5, 3)), "weight": ONES((3, 4)), "bias": ONES(3), "state": ONES((3, 3)), "silu": True,
        "return_state": True,
    },
    Block: arguments(
        ONE, "in_proj", "conv1d", "x_proj", "dt_proj", "dt_bias", "A_log", "D", "out_proj", "in_bias", "conv_bias",
        "out_bias",
    ),
    Block2: arguments(
        TWO, "in_proj", "conv1d", "dt_bias", "A_log", "D", "out_proj", "norm", "in_bias", "conv_bias", "out_bias",
        "n_groups", "dt_limit", "epsilon", "norm_groups", "norm_before_gate",
    ),
    (lambda epsilon, norm_before_gate: block2(norm=ONES(8), epsilon=epsilon, norm_before_gate=norm_before_gate)(U)): {
        "epsilon": 1e-5, "norm_before_gate": False,
    },
    (lambda d, d_state, d_conv, expand, rank: Block.initial(
        d, d_state=d_state, d_conv=d_conv, expand=expand, dt_rank=rank)
    ): {"d": 4, "d_state": 3, "d_conv": 2, "expand": 2, "rank": 1},
    (lambda d, d_state, d_conv, expand, head_dim, n_groups: Block2.initial(
        d, d_state=d_state, d_conv=d_conv, expand=expand, head_dim=head_dim, n_groups=n_groups)
    ): {"d": 4, "d_state": 3, "d_conv": 2, "expand": 2, "head_dim": 4, "n_groups": 1},
    (lambda u, state, flag: ONE(u, state, return_state=flag)): {"u": U, "state": STATE, "flag": True},
    (lambda conv, ssm: ONE(U, (conv, ssm))): dict(zip(("conv", "ssm"), STATE, strict=True)),
    (lambda u, state: TWO(u, state)): {"u": U, "state": TWO.initial_state()},
    (lambda u, state: ONE.step(u, state)): {"u": U[0], "state": STATE},
    (lambda u, state: TWO.step(u, state)): {"u": U[0], "state": TWO.initial_state()},
    Model: arguments(MODEL, "embedding", "layers", "norm", "head", "epsilon", "eos"),
    (lambda epsilon: model(epsilon=epsilon)([1])): {"epsilon": 1e-5},
    (lambda norm, mixer: model(layers=[(norm, mixer)])): {"norm": ONES(4), "mixer": ONE},
    (lambda w, d, n, kind: Model.initial(w, d, n, kind=kind)): {"w": 20, "d": 4, "n": 2, "kind": "mamba"},
    (lambda ids, state, hidden, flag: MODEL(ids, state, hidden=hidden, return_state=flag)): {
        "ids": [1, 2], "state": MODEL.initial_state(), "hidden": False, "flag": True,
    },
    (lambda ids, state: MODEL.prefill(ids, state)): {"ids": [1, 2], "state": MODEL.initial_state()},
    (lambda ids, state: MODEL.step(ids, state)): {"ids": 1, "state": MODEL.initial_state()},
    (lambda h, state, flag: MODEL.backbone(h, state, return_state=flag)): {
        "h": U, "state": MODEL.initial_state(), "flag": True,
    },
    (lambda **options: list(MODEL.generate(**options))): {
        "prompt_ids": [1, 2], "max_new_tokens": 2, "temperature": 1.0, "top_k": 3, "top_p": 0.5, "stop": 3, "seed": 0,
        "progress": False,
    },
}  # fmt: skip
