"""How fast is a Mamba of 130M parameters on this CPU? Against transformers; logits are compared before times.

    python examples/benchmarks/mamba.py            a table, three minutes (transformers where it is installed)
    python examples/benchmarks/mamba.py --json     the same as JSON
    python examples/benchmarks/mamba.py --quick    small models, to see that it runs
    python examples/benchmarks/mamba.py --kind mamba2

The weights are random, of a seed, in the shape of mamba-130m (or mamba2-130m), and written to a temporary folder that
both load. Times are medians, the ratio that of neighbours: both run in turn, on as many threads. The limits are what
the matrix products of the model take alone: those of 512 tokens, and those of one, which read every weight once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import statespace as ss

SHAPES: dict[str, dict[str, Any]] = {
    "mamba": {"n_vocabulary": 50280, "d_model": 768, "n_layers": 24},
    "mamba2": {"n_vocabulary": 50288, "d_model": 768, "n_layers": 24},
}
SMALL: dict[str, dict[str, Any]] = {
    "mamba": {"n_vocabulary": 500, "d_model": 64, "n_layers": 2},
    "mamba2": {"n_vocabulary": 500, "d_model": 64, "n_layers": 2, "d_state": 16, "head_dim": 16},
}
ROUNDS, STEPS = 7, 8
MEMORY = """
import sys
import numpy as np, statespace as ss
model = ss.mamba.load(sys.argv[1])
prompt = np.random.default_rng(0).integers(0, model.n_vocabulary, int(sys.argv[2]))
assert len(list(model.generate(prompt, 8, stop=(), progress=False))) == 8
print(*[int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""


class Row(NamedTuple):
    """One comparison, in seconds or as it says; the limit is what cannot be beaten in NumPy."""

    name: str
    theirs: float | None
    ours: float
    limit: float | None
    ratio: float | None
    wanted: str


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


class Peer:
    """Transformers, as one would use it on a CPU."""

    def __init__(self, folder: str, kind: str) -> None:
        import torch
        import transformers

        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        name = {"mamba": "MambaForCausalLM", "mamba2": "Mamba2ForCausalLM"}[kind]
        self.model = getattr(transformers, name).from_pretrained(folder).eval()
        self.torch, self.cache = torch, None

    def logits(self, ids: Any) -> Any:
        """Of all positions; the cache is kept."""
        with self.torch.inference_mode():
            answer = self.model(self.torch.from_numpy(ids), use_cache=True)
        self.cache = answer.get("past_key_values", answer.get("cache_params"))
        return answer.logits.numpy()

    def step(self, ids: Any) -> Any:
        """One token more."""
        with self.torch.inference_mode():
            answer = self.model(self.torch.from_numpy(ids), cache_params=self.cache, use_cache=True)
        return answer.logits.numpy()


def peer_of(folder: str, kind: str) -> Peer | None:
    try:
        return Peer(folder, kind)
    except ImportError:
        return None


# --------------------------------------------------------------- rows


def products(model: Any, tokens: int) -> Callable[[], Any]:
    """The large matrix products of some tokens, and nothing else."""
    rng = np.random.default_rng(0)
    weights = [w for layer in model.layers for w in (layer.mixer.in_proj, layer.mixer.out_proj)] + [model.embedding]
    inputs = {size: rng.standard_normal((tokens, size), dtype=np.float32) for size in {w.shape[1] for w in weights}}

    def run() -> None:
        for weight in weights:
            inputs[weight.shape[1]] @ weight.T

    return run


def compare(model: Any, peer: Peer | None, ids: Any) -> float:
    """The largest difference of logits, over the largest logit."""
    if peer is None:
        _, state = model(ids[:, :100], return_state=True)
        got, want = model(ids[:, 100:], state), model(ids)[:, 100:]
    else:
        got, want = model(ids), peer.logits(ids)
    error = float(np.abs(got - want).max() / np.abs(want).max())
    assert error < 1e-5, error
    return error


def row(name: str, theirs: Any, ours: Any, limit: Any, wanted: str) -> Row:
    """Run all in turn."""
    found = []
    for _ in range(ROUNDS):
        found.append((seconds(theirs) if theirs else np.nan, seconds(ours), seconds(limit)))
    they, we, least = (median(column) for column in zip(*found, strict=True))
    ratio = median(a / b for a, b, _ in found) if theirs else None
    return Row(name, they if theirs else None, we, least, ratio, wanted)


def decoding(model: Any, peer: Peer | None, ids: Any) -> Row:
    """A token after the prompt, each time some in a row."""
    _, state = model.prefill(ids[0])
    if peer is not None:
        peer.logits(ids)

    def many(step: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: [step() for _ in range(STEPS)]

    def ours() -> None:
        nonlocal state
        _, state = model.step(7, state)

    theirs = None if peer is None else many(lambda: peer.step(ids[:, :1]))
    found = row("a token", theirs, many(ours), many(products(model, 1)), "2.2")
    return found._replace(
        theirs=found.theirs and found.theirs / STEPS, ours=found.ours / STEPS, limit=(found.limit or 0) / STEPS
    )


def memory(folder: str, weights: int, length: int) -> Row | None:
    """Peak of a process that loads the model, reads a prompt and writes eight tokens, over the bytes of the weights."""
    if not Path("/proc/self/status").exists():
        return None
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, folder, str(length)], capture_output=True, text=True, check=True
    )
    return Row("peak memory / weights", None, int(found.stdout) / weights, None, None, "≤ 1.4")


def rows(kind: str, quick: bool) -> tuple[list[Row], float, bool]:
    length = 128 if quick else 512
    with tempfile.TemporaryDirectory() as folder:
        shape = dict((SMALL if quick else SHAPES)[kind])
        made = ss.mamba.LanguageModel.initial(**shape, kind=kind, seed=0)
        ss.mamba.save(made, folder)
        size = made.n_parameters * 4
        del made
        load = min(seconds(lambda: ss.mamba.load(folder)) for _ in range(3))
        model, peer = ss.mamba.load(folder), peer_of(folder, kind)
        ids = np.random.default_rng(0).integers(0, model.n_vocabulary, (1, length))
        error = compare(model, peer, ids)
        theirs = None if peer is None else lambda: peer.logits(ids)
        table = [
            row(f"{length} tokens, all logits", theirs, lambda: model(ids), products(model, length), "3.5"),
            row(f"{length} tokens, last logits", theirs, lambda: model.prefill(ids), products(model, length), ""),
            decoding(model, peer, ids),
            Row("load, in the cache of the disk", None, load, None, None, "< 1 s"),
        ]
        return [*table, *filter(None, [memory(folder, size, length)])], error, peer is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="small models")
    parser.add_argument("--kind", choices=("mamba", "mamba2"), default="mamba")
    options = parser.parse_args()
    table, error, compared = rows(options.kind, options.quick)
    if options.json:
        print(json.dumps({"error": error, "rows": [row._asdict() for row in table]}, indent=1))
        return
    against = "transformers" if compared else "itself in two pieces (transformers is not installed)"
    print(f"{options.kind}, float32: logits agree to {error:.0e} of the largest with {against}")
    print(f"{'':<32}{'transformers':>13}{'ours':>10}{'products':>10}{'ratio':>7}{'wanted':>8}")
    for name, theirs, ours, limit, ratio, wanted in table:
        cells = (f"{value:.4f}" if value else "" for value in (theirs, ours, limit))
        they, we, least = cells
        print(f"{name:<32}{they:>13}{we:>10}{least:>10}{f'{ratio:.2f}' if ratio else '':>7}{wanted:>8}")


if __name__ == "__main__":
    main()
