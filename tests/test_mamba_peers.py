"""Mamba models beside transformers: the same folders, the same logits, the same tokens."""

import itertools
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import statespace as ss

WITHIN = 1e-5  # of the largest logit
SMALL = {"vocab_size": 101, "num_hidden_layers": 3, "state_size": 7}
# For "Hey how are you doing?", position 0, state-spaces/mamba-130m-hf, as transformers publishes them.
PUBLISHED = """
-55.6909 -69.7903 -49.8981 -51.7581 -57.6544 -57.9368 -56.9591 -57.9033 -54.6787 -55.9261 -55.3011 -58.0765 -60.5642
-47.0176 -52.0344 -49.7836 -55.9463 -57.8957 -56.7627 -57.1080 -57.3434 -58.3015 -57.7875 -58.7760 -59.6037 -59.0665
-58.7087 -52.9293 -53.4654 -57.3466 -56.9294 -55.7314 -53.3141 -55.8171 -56.9879 -56.9121 -56.2139 -54.7198 -56.4134
-57.4825
"""
FOLDER = os.environ.get("STATESPACE_MAMBA_130M", "")


@pytest.fixture(scope="module")
def peer():
    """transformers, without its advice on what else to install and what will be called otherwise."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@pytest.fixture(autouse=True)
def theirs():
    """What PyTorch and transformers warn of is theirs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(torch|transformers)\b")
        yield


def made(peer, kind, seed=0, scale=0.1, **config):
    """A seeded model of theirs; what has one axis is moved from where it starts, so that each bias and norm counts."""
    import torch

    torch.manual_seed(seed)
    entries = {**SMALL, "initializer_range": scale, **config}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(peer, f"{kind}ForCausalLM")(getattr(peer, f"{kind}Config")(**entries)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    return model


def logits_of(model, ids):
    import torch

    with torch.inference_mode():
        return model(torch.from_numpy(ids)).logits.numpy()


def apart(got, want):
    return float(np.abs(got - want).max() / np.abs(want).max())


def tokens(count, vocabulary, rows=2, seed=0):
    return np.random.default_rng(seed).integers(0, vocabulary, (rows, count))


SWITCHES = list(itertools.product((True, False), repeat=3))


def config_of(kind, i, groups):
    """Odd sizes, every combination of biases and ties."""
    bias, conv, tied = SWITCHES[i]
    common = {"use_bias": bias, "use_conv_bias": conv, "tie_word_embeddings": tied, "conv_kernel": 2 + i % 3}
    if kind == "Mamba":
        return {**common, "hidden_size": 21 + i, "state_size": 5 + i, "time_step_rank": 1 + i}
    limit = (0.01, 0.5) if i % 2 else (0.0, float("inf"))
    return {
        **common, "hidden_size": 18, "num_heads": 6, "head_dim": 6, "n_groups": groups, "chunk_size": 16,
        "time_step_limit": limit,
    }  # fmt: skip


CONFIGS = [("Mamba", i, 1) for i in range(8)] + [("Mamba2", i, g) for i in range(8) for g in (1, 2)]


@pytest.mark.peer
@pytest.mark.parametrize(("kind", "i", "groups"), CONFIGS)
def test_logits_are_those_of_transformers(peer, tmp_path, kind, i, groups):
    """1.2e-6 at most when this was written; and a folder of ours is theirs again."""
    model = made(peer, kind, seed=i, **config_of(kind, i, groups))
    model.save_pretrained(tmp_path / "theirs")
    ours = ss.mamba.load(tmp_path / "theirs")
    ids = tokens(37, 101)
    want = logits_of(model, ids)
    assert apart(ours(ids), want) < WITHIN
    assert ours.is_tied == SWITCHES[i][2]
    assert ours.n_parameters == model.num_parameters()

    ss.mamba.save(ours, tmp_path / "ours")
    again, report = type(model).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report[keys] for keys in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert apart(logits_of(again.eval(), ids), want) < WITHIN


@pytest.mark.peer
def test_transformers_normalizes_each_group(peer, tmp_path):
    """It took the mean over all channels before version 5, which `norm_groups=1` still does."""
    model = made(peer, "Mamba2", **config_of("Mamba2", 0, 2))
    model.save_pretrained(tmp_path)
    ids = tokens(20, 101)
    want = logits_of(model, ids)
    assert apart(ss.mamba.load(tmp_path)(ids), want) < WITHIN
    assert apart(ss.mamba.load(tmp_path, norm_groups=1)(ids), want) > 1e-2


@pytest.mark.peer
def test_a_model_shaped_as_mamba_130m(peer, tmp_path):
    """2.2e-6 when this was written."""
    model = made(peer, "Mamba", scale=0.02, vocab_size=50280, hidden_size=768, num_hidden_layers=24, state_size=16)
    model.save_pretrained(tmp_path)
    ids = tokens(64, 50280, rows=1)
    assert apart(ss.mamba.load(tmp_path)(ids), logits_of(model, ids)) < WITHIN


@pytest.mark.peer
def test_where_the_weights_amplify_rounding_ours_is_no_worse(peer, tmp_path):
    """So do 24 layers of 768 channels at their default deviation of 0.1: float32 is 6e-4 off, theirs and ours."""
    model = made(peer, "Mamba", scale=0.2, vocab_size=500, hidden_size=256, num_hidden_layers=24, state_size=16)
    model.save_pretrained(tmp_path)
    ids = tokens(64, 500, rows=1)
    exact = ss.mamba.load(tmp_path, dtype="float64")(ids)
    theirs, ours = apart(logits_of(model, ids), exact), apart(ss.mamba.load(tmp_path)(ids), exact)
    assert theirs > WITHIN  # or this test has lost its case
    assert ours < 2 * theirs


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["Mamba", "Mamba2"])
def test_greedy_tokens_are_those_of_transformers(peer, tmp_path, kind):
    """The same 64 tokens, up to where the best two lie closer than ten times the tolerance; there are many kinds.

    Steps without limits: where they have some, transformers keeps to them in a prompt and forgets them token by token.
    """
    import torch

    config = config_of(kind, 3, 2) | {"eos_token_id": None, "pad_token_id": 0}
    if kind == "Mamba2":
        config["time_step_limit"] = (0.0, float("inf"))
    model = made(peer, kind, seed=3, scale=0.3, **config)
    model.save_pretrained(tmp_path)
    ours = ss.mamba.load(tmp_path)
    compared = 0
    for seed in range(4):
        prompt = tokens(12, 101, rows=1, seed=seed)
        with torch.inference_mode():
            want = model.generate(
                torch.from_numpy(prompt), attention_mask=torch.ones(1, 12, dtype=torch.long), max_new_tokens=64,
                do_sample=False,
            )[0, 12:].numpy()  # fmt: skip
        got = np.array(list(ours.generate(prompt[0], 64)))
        logits = logits_of(model, np.concatenate([prompt, want[None]], axis=1))[0, 11:-1]
        best = np.sort(logits, axis=1)[:, -2:]
        close = best[:, 1] - best[:, 0] < 10 * WITHIN * np.abs(logits).max()
        count = int(close.argmax()) if close.any() else 64
        np.testing.assert_array_equal(got[:count], want[:count])
        assert len(set(want.tolist())) >= 8
        compared += count
    assert compared >= 128


@pytest.mark.skipif(not FOLDER, reason="STATESPACE_MAMBA_130M names no folder of state-spaces/mamba-130m-hf")
def test_published_logits_of_mamba_130m():
    tokenizers = pytest.importorskip("tokenizers")
    encoded = tokenizers.Tokenizer.from_file(str(Path(FOLDER) / "tokenizer.json")).encode("Hey how are you doing?")
    got = ss.mamba.load(FOLDER)(encoded.ids)[0, :40]
    np.testing.assert_allclose(got, np.array(PUBLISHED.split(), float), rtol=1e-3, atol=1e-3)
