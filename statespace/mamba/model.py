"""LanguageModel: token ids to logits through a stack of Mamba blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, check_choice, refuse_nonfinite, shorten
from statespace.mamba.block import BlockState, as_block_state
from statespace.mamba.generation import generate
from statespace.mamba.layers import as_rows, linear, normalized
from statespace.mamba.mamba1 import MambaBlock
from statespace.mamba.mamba2 import Mamba2Block
from statespace.mamba.tokens import as_ids, as_row
from statespace.mamba.weights import Weights, as_epsilon, as_kind, as_real, as_weight
from statespace.selective.arguments import check_flag
from statespace.selective.system import as_size

_TOKENS = 512  # of all sequences at once: matrix products are at their full speed, and 20 MB are at work at 130M

States = tuple[BlockState, ...]


class Layer(NamedTuple):
    """One of the stack: h ← h + mixer(norm(h)).

    Attributes
    ----------
    norm : ndarray, (d_model,)
        Weights of the normalization.
    mixer : MambaBlock or Mamba2Block

    Examples
    --------
    >>> import statespace as ss
    >>> model = ss.mamba.LanguageModel.initial(100, 8, 2)
    >>> model.layers[0].mixer.d_inner
    16
    """

    norm: Array
    mixer: MambaBlock | Mamba2Block


@dataclass(frozen=True, eq=False, repr=False)
class LanguageModel(Weights):
    """A stack of Mamba blocks between an embedding and a head.

        h = embedding[ids]        h ← h + mixer(norm(h)) for each layer        logits = head norm_f(h)

    The stack is of use without language: `model.backbone` takes signals (..., L, d_model).

    Parameters
    ----------
    embedding : array_like, (vocabulary, d_model)
    layers : sequence of (norm, mixer)
        Weights of a normalization, (d_model,), and a `MambaBlock` or `Mamba2Block`; blocks of one kind.
    norm : array_like, (d_model,)
        Of the last normalization.
    head : array_like, (vocabulary, d_model), optional
        Weights of the logits; those of the embedding unless given.
    epsilon : float
        Of every normalization.
    eos : sequence of int
        Tokens that end a text.

    Attributes
    ----------
    n_vocabulary, d_model, n_layers : int
    is_tied : bool
        The head is the embedding.
    n_parameters : int
        How many numbers the weights are; tied ones count once.

    Raises
    ------
    TypeError
        Weights that are not real numbers, layers that are no pairs of weights and a block.
    ValueError
        Shapes that do not fit, weights that are not finite.

    References
    ----------
    A. Gu, T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3.4.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> model = ss.mamba.LanguageModel.initial(100, 8, 2, seed=0)
    >>> logits = model([[3, 14, 15, 92], [65, 35, 89, 79]])
    >>> logits.shape
    (2, 4, 100)
    >>> last, state = model.prefill([3, 14, 15])
    >>> logits, state = model.step(92, state)
    >>> logits.shape
    (100,)
    """

    embedding: Array
    layers: tuple[Layer, ...]
    norm: Array
    head: Array | None = None
    epsilon: float = 1e-5
    eos: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.keep("embedding", (None, None))
        self.keep("norm", (self.d_model,))
        self.keep("head", self.embedding.shape, optional=True)
        if not isinstance(self.layers, (tuple, list)):
            raise TypeError(f"layers must be a sequence of pairs (norm, mixer), got {shorten(self.layers)}")
        object.__setattr__(self, "eos", tuple(map(int, as_row(self.eos, len(self.embedding), "eos"))))
        object.__setattr__(self, "epsilon", as_epsilon(self.epsilon))
        object.__setattr__(self, "layers", tuple(_as_layer(layer, i, self) for i, layer in enumerate(self.layers)))

    @classmethod
    def initial(
        cls, n_vocabulary: int, d_model: int, n_layers: int, *, kind: str = "mamba", tied: bool = True, seed: int = 0,
        dtype: Any = "float32", **block: Any,
    ) -> LanguageModel:  # fmt: skip
        """Draw a model: the embedding normal with deviation 0.02, blocks of a kind as their `initial` draws them.

        ``kind`` is "mamba" or "mamba2"; other names are those of `MambaBlock.initial` and `Mamba2Block.initial`.
        """
        blocks: dict[str, type[MambaBlock] | type[Mamba2Block]] = {"mamba": MambaBlock, "mamba2": Mamba2Block}
        check_choice(kind, tuple(blocks), "kind")
        size, d = as_size(n_vocabulary, "n_vocabulary"), as_size(d_model, "d_model")
        rng, one = np.random.default_rng(seed), np.ones(d, as_kind(dtype))
        seeds = rng.integers(2**63, size=as_size(n_layers, "n_layers"))
        embedding, head = (rng.normal(0, 0.02, (size, d)).astype(one.dtype) for _ in range(2))
        layers = tuple(Layer(one, blocks[kind].initial(d, seed=int(s), dtype=dtype, **block)) for s in seeds)
        return cls(embedding, layers, one, None if tied else head)

    @property
    def n_vocabulary(self) -> int:
        """Tokens that the model knows, padding of the table included."""
        return len(self.embedding)

    @property
    def d_model(self) -> int:
        """Channels between the blocks."""
        return self.embedding.shape[1]

    @property
    def n_layers(self) -> int:
        """Blocks of the stack."""
        return len(self.layers)

    @property
    def is_tied(self) -> bool:
        """The head is the embedding."""
        return self.head is None

    @property
    def n_parameters(self) -> int:
        """How many numbers the weights are; tied ones count once."""
        own = sum(array.size for array in self.arrays())
        return own + sum(layer.norm.size + layer.mixer.n_parameters for layer in self.layers)

    def __repr__(self) -> str:
        kind = type(self.layers[0].mixer).__name__ if self.layers else "no block"
        size = f"{self.n_parameters:,} parameters in {self.dtype}"
        return (
            f"<LanguageModel of {self.n_layers} × {kind}, {self.d_model} channels, {self.n_vocabulary} tokens, {size}>"
        )

    def initial_state(self, batch: tuple[int, ...] = (), dtype: Any = None) -> States:
        """A state of zeros for every layer, with batch axes."""
        kind = self.dtype if dtype is None else dtype
        return tuple(layer.mixer.initial_state(batch, kind) for layer in self.layers)

    def __call__(self, ids: Any, state: Any = None, *, hidden: bool = False, return_state: bool = False) -> Any:
        """Logits of every position: what the model expects after it.

        Parameters
        ----------
        ids : array_like of int, (..., L)
            Token ids.
        state : tuple of BlockState, optional
            What earlier tokens left; zero unless given.
        hidden : bool
            Answer what the head would see, (..., L, d_model), the features of every position.
        return_state : bool
            Return (answer, state), with the state after the last token.

        Returns
        -------
        ndarray, (..., L, vocabulary)
        """
        check_flag(hidden, "hidden")
        check_flag(return_state, "return_state")
        tokens = self._as_series(ids)
        batch, width = tokens.shape[:-1], self.d_model if hidden else self.n_vocabulary
        rows = as_rows(tokens, 1)
        answer = np.empty((*rows.shape, width), self.dtype)

        def take(part: slice, h: Array) -> None:
            if hidden:
                answer[:, part] = h
            elif len(rows) == 1:  # there is room for them only once
                np.matmul(h[0], self._head.T, out=answer[0, part])
            else:
                answer[:, part] = linear(h, self._head, None)

        after = self._run(rows, self._as_rows(state, batch, self.dtype), take)
        answer = answer.reshape(*tokens.shape, width)
        return (answer, _shaped(after, batch)) if return_state else answer

    def prefill(self, ids: Any, state: Any = None) -> tuple[Array, States]:
        """Read tokens; the logits after the last one, and the state to go on from. Memory does not grow with L.

        Parameters
        ----------
        ids : array_like of int, (..., L)
            At least one token.
        state : tuple of BlockState, optional
            What earlier tokens left; zero unless given.

        Returns
        -------
        logits : ndarray, (..., vocabulary)
        state : tuple of BlockState
        """
        tokens = self._as_series(ids)
        if tokens.shape[-1] == 0:
            raise ValueError("ids must hold a token at least: nothing comes after no token; got none")
        batch = tokens.shape[:-1]
        last = np.empty((math.prod(batch), self.d_model), self.dtype)

        def take(part: slice, h: Array) -> None:
            last[:] = h[:, -1]

        after = self._run(as_rows(tokens, 1), self._as_rows(state, batch, self.dtype), take)
        return linear(last, self._head, None).reshape(*batch, self.n_vocabulary), _shaped(after, batch)

    def step(self, ids: Any, state: Any = None) -> tuple[Array, States]:
        """Advance by one token.

        Parameters
        ----------
        ids : int or array_like of int, (...)
            One token of every sequence.
        state : tuple of BlockState, optional
            Before the token; zero unless given. It is not changed.

        Returns
        -------
        logits : ndarray, (..., vocabulary)
        state : tuple of BlockState
            After the token.
        """
        tokens = as_ids(ids, self.n_vocabulary, "ids")
        rows = self._as_rows(state, tokens.shape, self.dtype)
        h, after = self._through(self.embedding[tokens.reshape(-1)], rows, "advance")
        return linear(h, self._head, None).reshape(*tokens.shape, self.n_vocabulary), _shaped(after, tokens.shape)

    def backbone(self, h: Any, state: Any = None, *, return_state: bool = False) -> Any:
        """Run signals in the place of embedded tokens through the layers and the last normalization.

        Parameters
        ----------
        h : array_like, (..., L, d_model)
        state : tuple of BlockState, optional
            What an earlier piece left; zero unless given.
        return_state : bool
            Return (answer, state).

        Returns
        -------
        ndarray, (..., L, d_model)
            In the precision of h.
        """
        check_flag(return_state, "return_state")
        signal = as_real(h, "h")
        if signal.ndim < 2 or signal.shape[-1] != self.d_model:
            raise ValueError(f"h must have shape (..., L, {self.d_model}), as the model has it, got {signal.shape}")
        refuse_nonfinite(signal, "h")
        kind = np.result_type(signal, self.dtype)
        batch, rows = signal.shape[:-2], as_rows(signal, 2)
        answer = np.empty(rows.shape, signal.dtype)

        def take(part: slice, y: Array) -> None:
            answer[:, part] = y

        after = self._run(rows, self._as_rows(state, batch, kind), take)
        return (answer.reshape(signal.shape), _shaped(after, batch)) if return_state else answer.reshape(signal.shape)

    def generate(
        self, prompt_ids: Any, max_new_tokens: int = 100, temperature: float = 0.0, top_k: int | None = None,
        top_p: float | None = None, stop: Any = None, seed: int = 0, *, progress: bool | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """Continue a text, or several, token by token, in memory that does not grow.

        Parameters
        ----------
        prompt_ids : array_like of int, (L,), or a list of such
            One prompt, or a batch of prompts of any lengths.
        max_new_tokens : int
            At most so many.
        temperature : float
            0 takes the likeliest token; otherwise one is drawn, of logits divided by it.
        top_k : int, optional
            Draw from so many likeliest tokens only.
        top_p : float, optional
            Draw from the fewest likeliest tokens that have this probability together.
        stop : int or sequence of int, optional
            Tokens after which a text ends, the last that is given; those of the model unless given, () for none.
        seed : int
            Of what is drawn. A text of a batch draws what it would draw as first of its number alone.
        progress : bool, optional
            Show a bar (tqdm); unless given, where standard error is a terminal and tqdm is installed.

        Yields
        ------
        int, or ndarray of int, (prompts,)
            The next token; of a batch the next of each, −1 where a text has ended.
        """
        return generate(self, prompt_ids, max_new_tokens, temperature, top_k, top_p, stop, seed, progress)

    # ----------------------------------------------------------- rows, in pieces of time

    def _run(self, rows: Array, state: States, take: Callable[[slice, Array], None]) -> States:
        """Ids (rows, L) or signals (rows, L, d) through the stack; take(samples, features) is told of every piece."""
        length = rows.shape[1]
        span = max(_TOKENS // max(len(rows), 1), 1)
        for start in range(0, max(length, 1), span):
            part = slice(start, min(start + span, length))
            piece = rows[:, part]
            h, state = self._through(self.embedding[piece] if piece.ndim == 2 else piece, state, "run")
            take(part, h)
        return state

    def _through(self, h: Array, state: States, verb: str) -> tuple[Array, States]:
        """Add mixer(norm(h)) of each layer to h, and normalize."""
        after = []
        h = h.astype(np.result_type(h.dtype, self.dtype))  # a copy: what is added to it is ours
        for layer, before in zip(self.layers, state, strict=True):
            y, last = getattr(layer.mixer, verb)(normalized(h, layer.norm, self.epsilon), before)
            h += y
            after.append(last)
        return normalized(h, self.norm, self.epsilon), tuple(after)

    @property
    def _head(self) -> Array:
        return self.embedding if self.head is None else self.head

    def _as_series(self, ids: Any) -> Array:
        tokens = as_ids(ids, self.n_vocabulary, "ids")
        if tokens.ndim < 1:
            raise ValueError(f"ids must have shape (..., L), got one token, {shorten(ids)}; step takes one")
        return tokens

    def _as_rows(self, state: Any, batch: tuple[int, ...], kind: np.dtype[Any]) -> States:
        """A state with the batch axes flattened."""
        given = (None,) * self.n_layers if state is None else state
        if not isinstance(given, (tuple, list)) or len(given) != self.n_layers:
            count = f" of {len(given)}" if isinstance(given, (tuple, list)) else ""
            raise TypeError(
                f"state must be a tuple with one BlockState for each of {self.n_layers} layers, as an earlier call "
                f"returned it, got {type(state).__name__}{count}"
            )
        found = (as_block_state(layer.mixer, part, batch, kind) for layer, part in zip(self.layers, given, strict=True))
        return tuple(BlockState(*(as_rows(part, part.ndim - len(batch)) for part in parts)) for parts in found)


def _as_layer(layer: Any, i: int, model: LanguageModel) -> Layer:
    if not (isinstance(layer, (tuple, list)) and len(layer) == 2 and isinstance(layer[1], (MambaBlock, Mamba2Block))):
        raise TypeError(f"layers[{i}] must be a pair (norm, mixer) of weights and a block, got {shorten(layer)}")
    norm, mixer = as_weight(layer[0], f"layers[{i}].norm", (model.d_model,)), layer[1]
    if (mixer.d_model, mixer.dtype) != (model.d_model, model.dtype):
        raise ValueError(
            f"layers[{i}] must have {model.d_model} channels in {model.dtype}, as the embedding, got a mixer of "
            f"{mixer.d_model} in {mixer.dtype}"
        )
    return Layer(norm, mixer)


def _shaped(state: States, batch: tuple[int, ...]) -> States:
    return tuple(BlockState(*(part.reshape(*batch, *part.shape[1:]) for part in parts)) for parts in state)
