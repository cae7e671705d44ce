"""Which tensors a model of some architecture has: names, shapes, and the weight that each becomes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from statespace.arrays import shorten
from statespace.mamba.config import Architecture
from statespace.mamba.tensors import KINDS, Tensor

EMBEDDINGS = ("backbone.embeddings.weight", "backbone.embedding.weight")  # of transformers, of state-spaces
NORM, HEAD = "backbone.norm_f.weight", "lm_head.weight"
_SHOWN = 2


class Part(NamedTuple):
    """A tensor of every layer."""

    field: str  # of the block
    name: str  # below backbone.layers.{i}.
    shape: tuple[int, ...]
    is_bias: bool = False  # in all layers or in none


PRE_NORM = Part("norm", "norm.weight", ())


def tensor_name(i: int, part: Part) -> str:
    """Name of a tensor of layer i."""
    return f"backbone.layers.{i}.{part.name}"


def layer_of(name: str) -> int | None:
    """The layer that a tensor belongs to."""
    parts = name.split(".")
    return int(parts[2]) if name.startswith("backbone.layers.") and parts[2].isdecimal() else None


def parts_of(a: Architecture) -> list[Part]:
    """The tensors of a mixer."""
    m, d = a.d_model, a.d_inner
    if a.kind == "mamba":
        rows, width = 2 * d, d
        own = [
            Part("x_proj", "mixer.x_proj.weight", (a.dt_rank + 2 * a.d_state, d)),
            Part("dt_proj", "mixer.dt_proj.weight", (d, a.dt_rank)),
            Part("dt_bias", "mixer.dt_proj.bias", (d,)),
            Part("A_log", "mixer.A_log", (d, a.d_state)),
            Part("D", "mixer.D", (d,)),
        ]
    else:
        width = d + 2 * a.n_groups * a.d_state
        rows = d + width + a.n_heads
        own = [
            Part("dt_bias", "mixer.dt_bias", (a.n_heads,)),
            Part("A_log", "mixer.A_log", (a.n_heads,)),
            Part("D", "mixer.D", (d if a.wide_d else a.n_heads,)),
            *([Part("norm", "mixer.norm.weight", (d,))] if a.has_norm else []),
        ]
    return [
        Part("in_proj", "mixer.in_proj.weight", (rows, m)),
        Part("in_bias", "mixer.in_proj.bias", (rows,), True),
        Part("conv1d", "mixer.conv1d.weight", (width, 1, a.d_conv)),
        Part("conv_bias", "mixer.conv1d.bias", (width,), True),
        *own,
        Part("out_proj", "mixer.out_proj.weight", (m, d)),
        Part("out_bias", "mixer.out_proj.bias", (m,), True),
    ]


def present_parts(a: Architecture, tensors: Iterable[str]) -> list[Part]:
    """The tensors of a mixer, without the biases that no layer has."""
    endings = {name.split(".", 3)[-1] for name in tensors if name.startswith("backbone.layers.")}
    return [part for part in parts_of(a) if not part.is_bias or part.name in endings]


def embedding_of(tensors: Iterable[str]) -> str:
    """The name of the embedding."""
    found = set(tensors)
    return next((name for name in EMBEDDINGS if name in found), EMBEDDINGS[0])


def check_tensors(a: Architecture, tensors: dict[str, Tensor]) -> None:
    """Raise unless there are the tensors of an architecture, of its shapes, and no others."""
    if a.n_layers > len(tensors):
        raise ValueError(f"config.json says {a.n_layers} layers, and there are {len(tensors)} tensors in all")
    parts = present_parts(a, tensors)
    wanted = {embedding_of(tensors): (a.n_vocabulary, a.d_model), NORM: (a.d_model,)}
    if HEAD in tensors or a.tied is False:
        wanted[HEAD] = (a.n_vocabulary, a.d_model)
    for i in range(a.n_layers):
        wanted[tensor_name(i, PRE_NORM)] = (a.d_model,)
        wanted |= {tensor_name(i, part): part.shape for part in parts}
    complaints = [
        _complaint("missing", sorted(set(wanted) - set(tensors))),
        _complaint("not of this architecture", sorted(set(tensors) - set(wanted))),
        _complaint(
            "of another shape",
            [
                f"{name} is {shorten(tensors[name].shape)}, wanted {shape}"
                for name, shape in wanted.items()
                if name in tensors and tensors[name].shape != shape
            ],
        ),
    ]
    if any(complaints):
        raise ValueError("the tensors do not fit config.json: " + "; ".join(filter(None, complaints)))
    strange = sorted({f"{name} ({tensor.kind})" for name, tensor in tensors.items() if tensor.kind not in KINDS})
    if strange:
        raise ValueError(
            f"tensors of a type that is not read: {shorten(strange)}; {', '.join(sorted(KINDS))} are, quantized are not"
        )


def _complaint(what: str, found: list[str]) -> str:
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    shown = ", ".join(name if name.isprintable() and len(name) < 150 else shorten(name) for name in found[:_SHOWN])
    return f"{len(found)} {what}: {shown}{more}" if found else ""
