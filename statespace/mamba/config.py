"""config.json: what kind of model a folder holds, and how large it is; in the words of transformers or state-spaces."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from statespace.arrays import shorten

SUPPORTED = {"MambaForCausalLM": "mamba", "Mamba2ForCausalLM": "mamba2"}
_HOW = "; supported are MambaForCausalLM, Mamba2ForCausalLM, and the models of state-spaces (layer Mamba1 or Mamba2)"
_LARGEST = 2**31 - 1


class Architecture(NamedTuple):
    """Sizes and options of a model; the last ones are those of Mamba-2."""

    kind: str  # "mamba" or "mamba2"
    n_vocabulary: int
    d_model: int
    n_layers: int
    d_inner: int
    d_state: int
    d_conv: int
    epsilon: float
    tied: bool | None  # None: not said
    eos: tuple[int, ...]
    dt_rank: int = 0
    n_heads: int = 0
    n_groups: int = 1
    dt_limit: tuple[float, float] = (0.0, math.inf)
    norm_before_gate: bool = False
    has_norm: bool = True
    wide_d: bool = False  # D of every channel, not of every head


def read_json(path: Path) -> dict[str, Any]:
    """An object in a file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must hold JSON, and it does not: {shorten(str(error))}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, got {shorten(found)}")
    return found


def architecture_of(config: dict[str, Any]) -> Architecture:
    """Read a config of either dialect."""
    named = config.get("architectures")
    names = named if isinstance(named, list) else [] if named is None else [named]
    model = config.get("model_type")
    if not names and model is None and "d_model" in config and "n_layer" in config:
        return _of_state_spaces(_Fields(config))
    if not names and model is None:
        raise ValueError(f"config.json names no architecture{_HOW}")
    kind = SUPPORTED.get(str(names[0])) if names else {"mamba": "mamba", "mamba2": "mamba2"}.get(str(model))
    if kind is None:
        raise ValueError(f"architecture {shorten(names[0] if names else model)} is not supported{_HOW}")
    return _of_transformers(_Fields(config), kind)


def _of_transformers(fields: _Fields, kind: str) -> Architecture:
    fields.only("hidden_act", ("silu", "swish"), "silu")
    d_model = fields.size("hidden_size")
    common: dict[str, Any] = {
        "kind": kind, "d_model": d_model, "n_vocabulary": fields.size("vocab_size"),
        "n_layers": fields.size("num_hidden_layers"), "d_conv": fields.size("conv_kernel", 4),
        "epsilon": fields.number("layer_norm_epsilon", 1e-5), "tied": fields.flag("tie_word_embeddings", None),
        "eos": fields.tokens("eos_token_id"),
    }  # fmt: skip
    if kind == "mamba":
        given = fields.get("intermediate_size") is not None
        d_inner = fields.size("intermediate_size") if given else fields.size("expand", 2) * d_model
        return Architecture(
            d_inner=d_inner,
            d_state=fields.size("state_size", 16),
            dt_rank=fields.rank("time_step_rank", d_model),
            **common,
        )
    heads = fields.size("num_heads", 128)
    return Architecture(
        d_inner=heads * fields.size("head_dim", 64), d_state=fields.size("state_size", 128), n_heads=heads,
        n_groups=fields.size("n_groups", 8), dt_limit=fields.limits("time_step_limit"), **common,
    )  # fmt: skip


def _of_state_spaces(fields: _Fields) -> Architecture:
    fields.only("rms_norm", (True,), True)
    fields.only("d_intermediate", (0,), 0)
    fields.only("attn_layer_idx", ([],), [])
    ssm = _Fields(fields.inside("ssm_cfg"), "ssm_cfg.")
    ssm.only("layer", ("Mamba1", "Mamba2"), "Mamba1")
    kind = {"Mamba1": "mamba", "Mamba2": "mamba2"}[ssm.get("layer", "Mamba1")]
    d_model, multiple = fields.size("d_model"), fields.size("pad_vocab_size_multiple", 8)
    d_inner = ssm.size("expand", 2) * d_model
    common: dict[str, Any] = {
        "kind": kind, "d_model": d_model, "n_vocabulary": -(-fields.size("vocab_size") // multiple) * multiple,
        "n_layers": fields.size("n_layer"), "d_conv": ssm.size("d_conv", 4), "epsilon": 1e-5,
        "tied": fields.flag("tie_embeddings", None), "eos": fields.tokens("eos_token_id"), "d_inner": d_inner,
    }  # fmt: skip
    if kind == "mamba":
        return Architecture(d_state=ssm.size("d_state", 16), dt_rank=ssm.rank("dt_rank", d_model), **common)
    ssm.only("d_ssm", (None, d_inner), None)
    heads, rest = divmod(d_inner, ssm.size("headdim", 64))
    if rest:
        raise ValueError(f"ssm_cfg.headdim must divide expand·d_model = {d_inner}, got {ssm.get('headdim', 64)}")
    return Architecture(
        d_state=ssm.size("d_state", 128), n_heads=heads, n_groups=ssm.size("ngroups", 1),
        dt_limit=ssm.limits("dt_limit"), norm_before_gate=bool(ssm.flag("norm_before_gate", False)),
        has_norm=bool(ssm.flag("rmsnorm", True)), wide_d=bool(ssm.flag("D_has_hdim", False)), **common,
    )  # fmt: skip


class _Fields:
    """Entries of a config, each checked where it is read."""

    def __init__(self, entries: dict[str, Any], prefix: str = "") -> None:
        self.entries, self.prefix = entries, prefix

    def get(self, name: str, default: Any = None) -> Any:
        """As it is; what is null is as good as left out."""
        value = self.entries.get(name)
        return default if value is None else value

    def refuse(self, name: str, wanted: str) -> ValueError:
        got = f"got {shorten(self.entries[name])}" if name in self.entries else "it is missing"
        return ValueError(f"config.json: {self.prefix}{name} must be {wanted}, {got}")

    def size(self, name: str, default: int | None = None) -> int:
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST:
            large = isinstance(value, int) and value > _LARGEST
            raise self.refuse(name, f"a whole number, {f'{_LARGEST} at most' if large else '1 or more'}")
        return value

    def rank(self, name: str, d_model: int) -> int:
        return -(-d_model // 16) if self.get(name, "auto") == "auto" else self.size(name)

    def number(self, name: str, default: float) -> float:
        value = _as_float(self.get(name, default))
        if value is None or not 0 < value < math.inf:
            raise self.refuse(name, "a number above 0")
        return value

    def flag(self, name: str, default: bool | None) -> bool | None:
        value = self.get(name, default)
        if value is not None and not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def limits(self, name: str) -> tuple[float, float]:
        value = self.get(name, [0.0, math.inf])
        pair = [_as_float(part) for part in value] if isinstance(value, list) else []
        if len(pair) != 2 or pair[0] is None or pair[1] is None or not 0 <= pair[0] <= pair[1] or pair[0] == math.inf:
            raise self.refuse(name, "[smallest, largest] step, 0 or more")
        return pair[0], pair[1]

    def tokens(self, name: str) -> tuple[int, ...]:
        value = self.get(name, [])
        found = value if isinstance(value, list) else [value]
        if any(isinstance(token, bool) or not isinstance(token, int) for token in found):
            raise self.refuse(name, "a token id, or a list of them")
        return tuple(found)

    def inside(self, name: str) -> dict[str, Any]:
        value = self.get(name, {})
        if not isinstance(value, dict):
            raise self.refuse(name, "an object")
        return value

    def only(self, name: str, known: tuple[Any, ...], default: Any) -> None:
        value = self.get(name, default)
        if not any(type(value) is type(one) and value == one for one in known):
            raise self.refuse(name, " or ".join(map(repr, known)) + ", nothing else is supported")


def _as_float(value: Any) -> float | None:
    """A number; what JSON has no word for may be spelled Infinity or {"__float__": "Infinity"}."""
    if isinstance(value, dict) and list(value) == ["__float__"]:
        value = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}.get(str(value["__float__"]))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
