"""generate: texts token by token, in a memory that does not grow; which token comes next, and when a text ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from statespace.arrays import Array, is_finite, shorten
from statespace.mamba.block import BlockState
from statespace.mamba.tokens import as_prompts, as_row
from statespace.mamba.weights import is_number
from statespace.selective.arguments import check_flag
from statespace.selective.system import as_size

if TYPE_CHECKING:
    from statespace.mamba.model import LanguageModel, States

ENDED = -1


class Choice(NamedTuple):
    """How the next token is chosen."""

    temperature: float
    top_k: int | None
    top_p: float | None


def generate(
    model: LanguageModel, prompt_ids: Any, max_new_tokens: Any, temperature: Any, top_k: Any, top_p: Any, stop: Any,
    seed: Any, progress: bool | None,
) -> Iterator[Any]:  # fmt: skip
    """Check what `LanguageModel.generate` is given, and begin."""
    prompts, alone = as_prompts(prompt_ids, model.n_vocabulary)
    count = as_size(max_new_tokens, "max_new_tokens", 0)
    choice = _as_choice(temperature, top_k, top_p)
    ends = model.eos if stop is None else as_row(stop, model.n_vocabulary, "stop")
    if progress is not None:
        check_flag(progress, "progress")
    generators = np.random.default_rng(as_size(seed, "seed", 0)).spawn(len(prompts))
    texts = _texts(model, prompts, count, choice, np.asarray(ends, np.intp), generators)
    return _with_bar((int(row[0]) for row in texts) if alone else texts, count, progress)


def _texts(
    model: LanguageModel, prompts: list[Array], count: int, choice: Choice, ends: Array,
    generators: list[np.random.Generator],
) -> Iterator[Array]:  # fmt: skip
    """The next token of every prompt, until all have ended; those that have are left out of the work."""
    if not count:
        return
    logits, state = _read(model, prompts)
    going = np.arange(len(prompts))
    for k in range(1, count + 1):
        tokens = np.array([next_token(row, choice, generators[i]) for row, i in zip(logits, going, strict=True)])
        every = np.full(len(prompts), ENDED)
        every[going] = tokens
        yield every
        on = ~np.isin(tokens, ends)
        if k == count or not on.any():
            return
        if not on.all():
            going, tokens = going[on], tokens[on]
            state = tuple(BlockState(*(part[on] for part in parts)) for parts in state)
        logits, state = model.step(tokens, state)


def _read(model: LanguageModel, prompts: list[Array]) -> tuple[Array, States]:
    """Logits after every prompt, and the states; those of one length are read together."""
    lengths = np.array([len(prompt) for prompt in prompts])
    groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    found = [model.prefill(np.stack([prompts[i] for i in rows])) for rows in groups]
    order = np.argsort(np.concatenate(groups))
    logits = np.concatenate([part for part, _ in found])[order]
    layers = zip(*(state for _, state in found), strict=True)
    state = tuple(BlockState(*(np.concatenate(parts)[order] for parts in zip(*layer, strict=True))) for layer in layers)
    return logits, state


def next_token(logits: Array, choice: Choice, generator: np.random.Generator) -> int:
    """The likeliest token, or one drawn of what top_k and top_p leave."""
    if not is_finite(logits):
        raise ValueError("the logits are not finite: the weights overflow on this prompt, or are damaged")
    if choice.temperature == 0:
        return int(logits.argmax())
    z = logits.astype(np.float64)
    k = min(choice.top_k or z.size, z.size)
    kept = np.argpartition(z, -k)[-k:] if k < z.size else np.arange(z.size)
    if choice.top_p is not None:
        kept = kept[np.argsort(-z[kept], kind="stable")]
    with np.errstate(over="ignore"):  # −∞ has no weight
        weights = np.exp((z[kept] - z[kept].max()) / choice.temperature)
    total = np.cumsum(weights)
    if choice.top_p is not None:  # the fewest that have top_p together, one at least
        total = total[: np.searchsorted(total, choice.top_p * total[-1]) + 1]
    return int(kept[np.searchsorted(total, generator.random() * total[-1], side="right")])


def _with_bar(tokens: Iterator[Any], count: int, progress: bool | None) -> Iterator[Any]:
    wanted = sys.stderr.isatty() if progress is None else progress
    try:
        from tqdm import tqdm
    except ImportError:
        if progress:
            raise ModuleNotFoundError(
                "a progress bar needs tqdm; write pip install 'statespace-toolkit[mamba]', or leave progress out"
            ) from None
        return tokens
    return iter(tqdm(tokens, total=count, unit=" tokens")) if wanted else tokens


def _as_choice(temperature: Any, top_k: Any, top_p: Any) -> Choice:
    if not is_number(temperature) or not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (the likeliest token) or more, got {shorten(temperature)}")
    if top_p is not None and (not is_number(top_p) or not 0 < top_p <= 1):
        raise ValueError(f"top_p must be a probability above 0, got {shorten(top_p)}")
    if temperature == 0 and not (top_k is None and top_p is None):
        raise ValueError("top_k and top_p are of what is drawn, and temperature 0 draws nothing; give a temperature")
    return Choice(float(temperature), None if top_k is None else as_size(top_k, "top_k"), top_p)
