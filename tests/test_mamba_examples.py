"""The example and the benchmark of Mamba as they run."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from test_examples import ROOT, loaded

import statespace as ss


@pytest.fixture(scope="module")
def example():
    yield loaded("run_mamba")
    del sys.modules["run_mamba"]


def said(example, monkeypatch, capsys, *arguments):
    monkeypatch.setattr(example, "by_transformers", lambda folder, ids: None)  # test_mamba_peers.py asks it
    monkeypatch.setattr(sys, "argv", ["run_mamba.py", *map(str, arguments)])
    example.main()
    return capsys.readouterr().out


def test_all_ways_agree_on_a_checkpoint_made_here(example, monkeypatch, capsys):
    out = said(example, monkeypatch, capsys)
    errors = [float(x) for x in re.findall(r"^  (?:in pieces of 7|token by token|in float64) +(\S+)$", out, re.M)]
    assert len(errors) == 6
    assert 0 < max(errors) < 1e-5
    assert "The weights are random" in out
    assert out.count("40 tokens, ") == 2


def test_on_a_folder_that_is_given(example, monkeypatch, capsys, tmp_path):
    model = ss.mamba.LanguageModel.initial(64, 8, 2, seed=1)
    ss.mamba.save(model, tmp_path)
    out = said(example, monkeypatch, capsys, tmp_path)
    written = " ".join(map(str, model.generate(range(2, 32), example.TOKENS)))
    assert written in out
    with pytest.raises(SystemExit, match=r"^a text needs the package tokenizers and .*leave it out for token ids$"):
        said(example, monkeypatch, capsys, tmp_path, "Hey")


@pytest.mark.skipif(importlib.util.find_spec("tokenizers") is None, reason="tokenizers is not installed")
def test_a_text_goes_through_the_tokenizer_of_the_folder(example, monkeypatch, capsys, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["a", "b", "c", *(f"w{i}" for i in range(29))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    model = ss.mamba.LanguageModel.initial(32, 8, 2, seed=1)
    ss.mamba.save(model, tmp_path)
    out = said(example, monkeypatch, capsys, tmp_path, "c b w3")
    assert "\n3 tokens, logits" in out
    assert " ".join(words[i] for i in model.generate([2, 1, 6], example.TOKENS)) in out


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
def test_the_benchmark_runs(kind):
    run = [sys.executable, str(ROOT / "examples/benchmarks/mamba.py"), "--quick", "--json", "--kind", kind]
    found = json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    assert found["error"] < 1e-5
    assert [row["name"] for row in found["rows"]][:3] == [
        "128 tokens, all logits",
        "128 tokens, last logits",
        "a token",
    ]
    assert all(row["ours"] > 0 for row in found["rows"])
