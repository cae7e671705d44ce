"""Do all ways of running a Mamba agree? From a folder, on a CPU, without PyTorch; and what it writes.

    python examples/run_mamba.py                        a small checkpoint of random weights, made here
    python examples/run_mamba.py FOLDER "How are you?"  one of yours, as from hf download NAME --local-dir FOLDER

A model reads a prompt at once, in pieces, or token by token; a piece leaves a state, a few numbers a channel, and the
next one goes on from there. The table says how far the logits of these ways lie apart, over the largest logit; where
transformers is installed it is asked too. Needs safetensors, and tokenizers for texts instead of token ids.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import statespace as ss

TOKENS = 40  # to write
PIECE = 7  # tokens of a piece
MADE: dict[str, Any] = {"n_vocabulary": 256, "d_model": 64, "n_layers": 4, "seed": 0}


# --------------------------------------------------------------- the ways to run it


def in_pieces(model: Any, ids: Any) -> Any:
    """Logits of pieces, each from the state that the one before left."""
    found, state = [], None
    for start in range(0, len(ids), PIECE):
        logits, state = model(ids[start : start + PIECE], state, return_state=True)
        found.append(logits)
    return np.concatenate(found)


def by_steps(model: Any, ids: Any) -> Any:
    """Logits token by token."""
    found, state = [], None
    for token in ids:
        logits, state = model.step(token, state)
        found.append(logits)
    return np.stack(found)


def by_transformers(folder: str, ids: Any) -> Any:
    """Logits of the same folder in PyTorch, or None where that is not installed."""
    try:
        import torch
        import transformers
    except ImportError:
        return None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        return model(torch.tensor(ids)[None]).logits[0].numpy()


def agreement(folder: str, ids: Any) -> dict[str, float]:
    """How far each way is from one call in float32, over the largest logit."""
    model = ss.mamba.load(folder)
    whole = model(ids)
    ways = {
        f"in pieces of {PIECE}": in_pieces(model, ids),
        "token by token": by_steps(model, ids),
        "in float64": ss.mamba.load(folder, dtype="float64")(ids),
        "transformers, PyTorch": by_transformers(folder, ids),
    }
    scale = np.abs(whole).max()
    return {name: float(np.abs(logits - whole).max() / scale) for name, logits in ways.items() if logits is not None}


# --------------------------------------------------------------- texts and tokens


def tokenizer_of(folder: str) -> Any:
    """What turns texts into tokens and back, where there is one and the package is installed."""
    path = Path(folder) / "tokenizer.json"
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    return Tokenizer.from_file(str(path)) if path.exists() else None


def written(tokens: Iterator[int], show: Callable[[list[int]], str]) -> tuple[int, float]:
    """Write a text as it comes; how many tokens there were, and how many seconds a token took."""
    ids: list[int] = []
    shown, start = "", time.perf_counter()
    for token in tokens:
        ids.append(token)
        text = show(ids)
        print(text[len(shown) :], end="", flush=True)
        shown = text
    print()
    return len(ids), (time.perf_counter() - start) / max(len(ids), 1)


def run(folder: str, prompt: str | None) -> None:
    """Print what is in a folder, the table, and a text."""
    print(ss.mamba.inspect(folder).splitlines()[0])
    tokenizer = tokenizer_of(folder)
    model = ss.mamba.load(folder)
    if prompt is not None and tokenizer is None:
        raise SystemExit(f"a text needs the package tokenizers and {folder}/tokenizer.json; leave it out for token ids")
    if tokenizer is None:
        ids, show = list(range(2, 32)), lambda new: " ".join(map(str, new)) + " "
    else:
        ids, show = tokenizer.encode(prompt or "Hey how are you doing?").ids, tokenizer.decode
    print(f"\n{len(ids)} tokens, logits beside those of one call, over the largest:")
    for name, error in agreement(folder, ids).items():
        print(f"  {name:<24}{error:8.0e}")
    print("\nwhat it writes, the likeliest token each time:")
    count, each = written(model.generate(ids, TOKENS), show)
    print(f"{count} tokens, {1e3 * each:.1f} ms each, the prompt included")


def main() -> None:
    if len(sys.argv) > 1:
        run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
        return
    for kind in ("mamba", "mamba2"):
        with tempfile.TemporaryDirectory() as folder:
            more: dict[str, Any] = {} if kind == "mamba" else {"d_state": 32, "head_dim": 16, "n_groups": 2}
            ss.mamba.save(ss.mamba.LanguageModel.initial(**MADE, kind=kind, **more), folder)
            run(folder, None)
        print()
    print("The weights are random: the numbers above say that the ways agree, the tokens say nothing.")


if __name__ == "__main__":
    main()
