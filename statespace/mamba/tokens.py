"""Token ids and prompts, as they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, refuse_foreign, shorten


def as_ids(ids: Any, vocabulary: int, name: str) -> Array:
    """Token ids in range."""
    refuse_foreign(ids, name)
    try:
        tokens = np.asarray(ids)
    except ValueError:
        raise ValueError(f"{name} must be of one length, or go to generate as a list: got {shorten(ids)}") from None
    if tokens.size == 0 and isinstance(ids, (list, tuple)):
        tokens = tokens.astype(np.intp)
    if tokens.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be integers, token ids, got {shorten(ids)}; a text goes through a tokenizer first"
        )
    wrong = (tokens < 0) | (tokens >= vocabulary)
    if wrong.any():
        raise ValueError(
            f"{name} must be from 0 to {vocabulary - 1}, the tokens that the model has, got {int(wrong.sum())} of "
            f"{tokens.size} out of range, the first is {tokens[wrong][0]}"
        )
    return tokens.astype(np.intp, copy=False)


def as_row(ids: Any, vocabulary: int, name: str) -> Array:
    """Some token ids, or one."""
    tokens = np.atleast_1d(as_ids(ids, vocabulary, name))
    if tokens.ndim != 1:
        raise ValueError(f"{name} must be one row of token ids, got shape {tokens.shape}")
    return tokens


def as_prompts(value: Any, vocabulary: int) -> tuple[list[Array], bool]:
    """Prompts, and whether it is one by itself; each a row of token ids, one at least."""
    refuse_foreign(value, "prompt_ids")
    if isinstance(value, (str, bytes)) or not np.iterable(value):
        raise TypeError(
            f"prompt_ids must be token ids, or a list of prompts, got {shorten(value)}; a text goes through a tokenizer"
        )
    given = list(value)
    alone = not any(np.iterable(item) for item in given)
    prompts = [as_ids(item, vocabulary, "prompt_ids") for item in ([given] if alone else given)]
    if any(prompt.ndim != 1 or not prompt.size for prompt in prompts):
        shapes = [prompt.shape for prompt in prompts]
        raise ValueError(
            f"a prompt must be one row of token ids, one at least (a model's token for the beginning of a text, "
            f"where there is nothing else), got shapes {shorten(shapes)}"
        )
    return prompts, alone
