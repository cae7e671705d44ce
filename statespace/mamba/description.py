"""What a model is in the words of transformers: the config.json that is written beside its weights."""

from __future__ import annotations

import math
from typing import Any

from statespace.mamba.config import Architecture
from statespace.mamba.mamba1 import MambaBlock
from statespace.mamba.mamba2 import Mamba2Block
from statespace.mamba.model import LanguageModel


def describe(model: LanguageModel) -> Architecture:
    """Sizes and options of a model whose layers have one architecture."""
    if not model.layers:
        raise ValueError("a model without layers cannot be saved: transformers has no words for it")
    every = [_of_layer(model, layer.mixer) for layer in model.layers]
    if any(one != every[0] for one in every):
        i = next(i for i, one in enumerate(every) if one != every[0])
        pairs = zip(Architecture._fields, every[i], every[0], strict=True)
        other = ", ".join(f"{name}={here!r} and not {there!r}" for name, here, there in pairs if here != there)
        raise ValueError(f"all layers must have one architecture to be saved, layer {i} is of {other}")
    return every[0]


def _of_layer(model: LanguageModel, mixer: MambaBlock | Mamba2Block) -> Architecture:
    common: dict[str, Any] = {
        "n_vocabulary": model.n_vocabulary, "d_model": model.d_model, "n_layers": model.n_layers,
        "d_inner": mixer.d_inner, "d_state": mixer.d_state, "d_conv": mixer.d_conv, "epsilon": model.epsilon,
        "tied": model.is_tied, "eos": model.eos,
    }  # fmt: skip
    if isinstance(mixer, MambaBlock):
        return Architecture(kind="mamba", dt_rank=mixer.dt_rank, **common)
    if mixer.epsilon != model.epsilon or mixer.norm_groups != mixer.n_groups:
        raise ValueError(
            "transformers has one epsilon, and normalizes the groups of B and C: got norm_groups="
            f"{mixer.norm_groups} for {mixer.n_groups}, and epsilon={mixer.epsilon} in a model of {model.epsilon}"
        )
    return Architecture(
        kind="mamba2", n_heads=mixer.n_heads, n_groups=mixer.n_groups, dt_limit=mixer.dt_limit,
        norm_before_gate=mixer.norm_before_gate, has_norm=mixer.norm is not None, wide_d=mixer.D.ndim == 2, **common,
    )  # fmt: skip


def config_of(model: LanguageModel) -> dict[str, Any]:
    """The entries of config.json."""
    a, bias = describe(model), _biases(model)
    expand, rest = divmod(a.d_inner, a.d_model)
    if rest or a.norm_before_gate or not a.has_norm or a.wide_d:
        raise ValueError(
            "transformers has no words for this model: it wants d_inner to be a multiple of d_model, and of Mamba-2 a "
            f"norm after the gate and one D for each head; got d_inner={a.d_inner}, d_model={a.d_model}, "
            f"norm_before_gate={a.norm_before_gate}, norm={a.has_norm}, D of each channel={a.wide_d}"
        )
    name = {"mamba": "MambaForCausalLM", "mamba2": "Mamba2ForCausalLM"}[a.kind]
    config: dict[str, Any] = {
        "architectures": [name], "model_type": a.kind, "dtype": str(model.dtype), "vocab_size": a.n_vocabulary,
        "hidden_size": a.d_model, "num_hidden_layers": a.n_layers, "state_size": a.d_state, "conv_kernel": a.d_conv,
        "expand": expand, "layer_norm_epsilon": a.epsilon, "hidden_act": "silu", "residual_in_fp32": True,
        "tie_word_embeddings": a.tied, "bos_token_id": None, "pad_token_id": None,
        "eos_token_id": list(a.eos) if len(a.eos) > 1 else next(iter(a.eos), None), **bias,
    }  # fmt: skip
    if a.kind == "mamba":
        return {**config, "intermediate_size": a.d_inner, "time_step_rank": a.dt_rank}
    limit = [low if math.isfinite(low) else {"__float__": "Infinity"} for low in a.dt_limit]
    size = {"num_heads": a.n_heads, "head_dim": a.d_inner // a.n_heads, "n_groups": a.n_groups}
    return {**config, **size, "time_step_limit": limit}


def _biases(model: LanguageModel) -> dict[str, bool]:
    """use_bias and use_conv_bias, one for all layers."""
    found = {
        tuple(part is not None for part in (mixer.in_bias, mixer.out_bias, mixer.conv_bias))
        for mixer in (layer.mixer for layer in model.layers)
    }
    if len(found) > 1 or len({pair[:2] for pair in found if pair[0] != pair[1]}):
        raise ValueError(
            "transformers has biases of in_proj and out_proj in every layer or in none, and so of conv1d; got layers "
            f"that have (in_bias, out_bias, conv_bias) as {sorted(found)}"
        )
    (inside, _, conv), *_ = found
    return {"use_bias": inside, "use_conv_bias": conv}
