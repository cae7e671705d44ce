"""A gradient beside the difference quotient: the adjoint dot-product test, and the entry that fails it.

For any directions v of the arguments and w of the answer, ⟨w, J v⟩ = ⟨Jᵀw, v⟩: the left side needs the function alone,
the right side is what a pullback gives. Dense directions hold every entry of J against it at once.

The error model. J v comes from central quotients (f(x + hv) − f(x − hv))/2h at h, h/2, h/4 and h/8, extrapolated three
times (Richardson), which leaves O(h⁸). Per entry of f it is known to

    |T₂(h/2) − T₂(h)| + Σ_j |c_j|/h_j · (3σ + eps |f|)

The first term is what the last extrapolation had to remove, an estimate of the error *before* it. In the second, c_j
are the weights of the extrapolation and σ is the rounding of f near x, measured by fourth differences of f on a grid so
fine that f without rounding is a cubic there (Hamming; Moré & Wild). It includes what cancels inside f, and that x + hv
is rounded; eps |f| stands for roundings that the grid did not hit. While the first term is the larger, h is halved.
The pullback itself rounds as f does, which is far below the second term: that has it over h.

Measured, beside ⟨|w|, |J v|⟩, on scans of 5 to 1000 samples: doubles are off by 1e-14 in the median and 1e-11 at most,
the bound is 2e-12 and 6e-9; singles by 1e-6 and 6e-4. Bound over error is 13 in the median and 2.5 at least (4500 scans
with scales 1e-8 to 1e8, zeros, and sums that cancel).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from statespace.arrays import Array, as_host_signal, refuse_nonfinite, shorten
from statespace.testing.callables import check_positive, check_slack
from statespace.testing.margin import Margin, worst
from statespace.testing.report import written

Direction: TypeAlias = dict[int, Array]  # from the number of an argument to a step of its shape

_DIRECTIONS = 2  # of the arguments, and as many of the answer
_STEP, _STEP_SINGLE = 2.0**-6, 2.0**-3  # largest relative step: balances O(h⁸) with eps/h
_LEVELS = 4
_HALVINGS = 14  # a function with a^10000 in it needs steps of 1e-5
_SAMPLES = 16  # of the grid that rounding is measured on
_ONE_BY_ONE = 256  # entries that are tried one at a time, after halving down to them


def assert_gradient(
    function: Callable[..., Any],
    vjp: Callable[..., Any],
    *args: Any,
    step: float | None = None,
    slack: float = 1.0,
    seed: int = 0,
) -> Margin:
    """Assert that a pullback gives the gradient of a function, by the adjoint dot-product test.

    Of real and complex arrays alike the inner product is ⟨a, b⟩ = Re Σ conj(a)·b. So the gradient g of a real loss L
    satisfies dL = Re Σ conj(g) dx: its real part is the derivative by the real part of x, its imaginary part that by
    the imaginary part, which is what PyTorch calls the gradient. ``pullback(grad_y)`` is Jᵀ grad_y in this product.

    Tested are that both give the same y; number, shapes and kinds of the gradients; pullback(2w) = 2 pullback(w) and
    pullback(0) = 0; and ⟨w, J v⟩ = ⟨Jᵀw, v⟩ for two dense directions v of each argument, and of all at once, with two
    dense directions w of y. J v is an extrapolated difference quotient.

    Parameters
    ----------
    function : callable (*args) -> y
        Returns an array of real or complex floats. Differentiable near ``args``: not at a kink of a maximum.
    vjp : callable (*args) -> (y, pullback)
        ``pullback(grad_y)`` returns a tuple (its names, if any, are used in messages) of one gradient per argument,
        and can be called again. None stands for an argument that is not differentiated.
    *args : array_like or None
        Where the gradient is tested. Integers, bools and None are handed on and not differentiated. The function is
        evaluated in the precision given: in single precision the bound follows its eps, and small errors go unseen.
    step : float, optional
        Largest step, relative to the entries of an argument; 1/64, and 1/8 where something is single precision. Smaller
        ones follow while they help. An entry x_i of an argument whose largest is m moves by at most
        step·√(|x_i| m) and never by more than half of itself; one that is 0 (or below √eps·m) by at most step·m, and
        step·1 where m is 0.
    slack : float
        Factor on the bound.
    seed : int
        Of ``numpy.random.default_rng``, which draws the directions: sizes between 1/2 and 1, signs or phases at random.

    Returns
    -------
    Margin
        The dot product that came closest to its bound.

    Raises
    ------
    AssertionError
        It does not hold: the argument, the entry, the pullback's value and the quotient, the bound, and the lines to
        paste.
    TypeError
        Something cannot be called, is no array of numbers, or ``vjp`` does not return a pair.
    ValueError
        There is nothing to differentiate, step or slack is not positive, or the function is not finite.

    Notes
    -----
    The bound is ⟨|w|, e⟩ + 8 eps(⟨|w|, |J v|⟩ + ⟨|Jᵀw|, |v|⟩), where e = |last change of the extrapolation| +
    Σ|c_j|/h_j·(3σ + eps|y|), with c_j the weights of the steps h_j and σ the rounding of the function as measured near
    ``args``. For smooth functions of doubles that is about 2e-12 of the dot product: one entry of fifty that is wrong
    by 1e-6 is found. An argument that hardly moves y is known less well, to eps|y|/step.

    References
    ----------
    A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2 (adjoints). J. F. Claerbout,
    *Earth Soundings Analysis: Processing versus Inversion*, 1992, chapter 5 (the dot-product test). J. J. Moré,
    S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> def square(x):
    ...     return x**2
    >>> def right(x):
    ...     return x**2, lambda grad_y: (2 * x * grad_y,)
    >>> ss.testing.assert_gradient(square, right, np.array([1.0, 2.0])).bound < 1e-10
    True
    >>> def wrong(x):
    ...     return x**2, lambda grad_y: (x * grad_y,)
    >>> ss.testing.assert_gradient(square, wrong, np.array([1.0, 2.0]))
    Traceback (most recent call last):
    ...
    AssertionError: the gradient of argument 0 is wrong at entry [1]:
    ...
    """
    _check_options(function, vjp, args, step, slack, seed)
    point = tuple(_argument(value, f"argument {i}") for i, value in enumerate(args))
    moved = [i for i, value in enumerate(point) if _is_differentiated(value)]
    if not moved:
        kinds = ", ".join("None" if value is None else str(np.asarray(value).dtype) for value in point)
        raise ValueError(f"no argument can be differentiated, got {kinds}; give at least one as floats")
    y = _answer(function(*_copies(point)), "function")
    refuse_nonfinite(y, "y of function")
    value, pullback = _pair(vjp(*_copies(point)))
    rng = np.random.default_rng(seed)
    case = _Case(function, point, y, step, slack)
    steps = [{i: _direction(rng, point[i]) for i in moved} for _ in range(_DIRECTIONS)]
    _check_value(case, value, _noise(case, steps[0]))
    weights = [_dense(rng, y.shape, y.dtype) for _ in range(_DIRECTIONS)]
    pulled = [_pull(case, pullback, w) for w in weights]
    _check_linear(case, pullback, pulled[0])
    groups = [[i] for i in moved] + [moved] * (len(moved) > 1)
    return worst([margin for group in groups for margin in _dot_products(case, pulled, steps, group)])


# --------------------------------------------------------------- the case


@dataclass(frozen=True)
class _Case:
    """The function, where it is differentiated, and how."""

    function: Callable[..., Any]
    point: tuple[Any, ...]
    y: Array
    step: float | None
    slack: float

    def eps(self, group: Iterable[int]) -> float:
        """The coarsest precision among y and what moves."""
        return max(_eps(a) for a in (self.y, *(self.point[i] for i in group)))

    def first(self, group: Iterable[int]) -> float:
        """The largest step."""
        return _first_step(self.eps(group)) if self.step is None else float(self.step)

    def at(self, v: Direction, h: float) -> Array:
        """f(x + hv), in double precision; not finite is an answer here."""
        moved = tuple(_moved(value, v.get(i), h) for i, value in enumerate(_copies(self.point)))
        with np.errstate(all="ignore"):
            y = _answer(self.function(*moved), "function")
        if y.shape != self.y.shape:
            raise ValueError(f"function must return one shape at all arguments, got {self.y.shape} and {y.shape}")
        return y.astype(np.result_type(y.dtype, np.float64))


class _Pulled(NamedTuple):  # a direction of y, and what the pullback made of it
    w: Array
    gradients: tuple[Any, ...]  # None where nothing is differentiated
    names: tuple[str, ...]


class _Slope(NamedTuple):  # J v, and how well each of its entries is known
    value: Array
    error: Array


def _is_differentiated(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def _eps(array: Array) -> float:
    return float(np.finfo(array.dtype).eps)


def _copies(point: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.copy() if isinstance(value, np.ndarray) else value for value in point)


def _moved(value: Any, v: Array | None, h: float) -> Any:
    return value if v is None else (value + h * v).astype(value.dtype)


def _dense(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Entries of modulus 1/2 to 1, none of which hides what it multiplies."""
    size = rng.uniform(0.5, 1.0, shape)
    sign = np.exp(2j * np.pi * rng.random(shape)) if np.dtype(dtype).kind == "c" else rng.choice([-1.0, 1.0], shape)
    return np.asarray(size * sign).astype(dtype)


def _direction(rng: np.random.Generator, x: Array) -> Array:
    return np.asarray(_dense(rng, x.shape, np.result_type(x.dtype, np.float64)) * _sizes(x))


def _sizes(x: Array) -> Array:
    """How far an entry moves for a relative step of 1.

    By √(|x_i| m): small entries move by enough to be seen beside large ones. Times the default step that is never more
    than half the entry, so that it keeps its sign: time steps and variances stay positive.
    """
    size = np.abs(x).astype(np.float64)
    largest = float(size.max(initial=0.0)) or 1.0
    eps = _eps(x)
    mixed = np.minimum(np.sqrt(size) * np.sqrt(largest), 0.5 / _first_step(eps) * size)
    return np.where(size <= np.sqrt(eps) * largest, largest, mixed)


def _first_step(eps: float) -> float:
    return _STEP if eps < 1e-12 else _STEP_SINGLE


def _extrapolated(quotients: Any) -> tuple[Array, Array]:
    """The end of Richardson's table for steps halved, whose errors go with even powers, and its last change."""
    column = np.asarray(quotients)
    for k in range(1, _LEVELS):
        change = column[1:] - column[:-1]
        column = column[1:] + change / (4.0**k - 1.0)
    return column[0], np.abs(change[0])


# Σ_j |c_j|/h_j, times the finest step: what an error of f does to the end of the table.
_AMPLIFICATION = float(np.abs(_extrapolated(np.eye(_LEVELS))[0]) @ 0.5 ** np.arange(_LEVELS)[::-1])


def _noise(case: _Case, v: Direction, centre: float = 0.0) -> Array:
    """Standard deviation of the rounding of f near x + centre·v: fourth differences have the mean size √(2·70/π) σ."""
    tiny = case.eps(v) ** (2 / 3)
    samples = np.stack([case.at(v, centre + k * tiny) for k in range(_SAMPLES)])
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(np.diff(samples, 4, axis=0)).mean(axis=0) / np.sqrt(140.0 / np.pi))


def _slope(case: _Case, v: Direction, noise: Array) -> _Slope:
    """J v with its error, at the step where the error is least; noise is that of f at x."""
    best, least, first = None, np.inf, case.first(v)
    ends: list[tuple[Array, Array]] = []
    for level in range(_LEVELS + _HALVINGS):
        h = first / 2.0**level
        ends = [*ends, (case.at(v, h), case.at(v, -h))][-_LEVELS:]
        if len(ends) < _LEVELS or not np.isfinite(ends).all():
            continue
        steps = h * 2.0 ** np.arange(_LEVELS)[::-1]
        with np.errstate(all="ignore"):
            value, change = _extrapolated(
                [(after - before) / (2.0 * k) for (after, before), k in zip(ends, steps, strict=True)]
            )
        if not change.sum() < least:
            continue
        here = np.fmax(noise, _noise(case, v, steps[0]))  # at 0 there may be nothing to round
        rounding = _AMPLIFICATION / h * (3.0 * here + case.eps(v) * np.abs(ends).max(axis=(0, 1)))
        error = change + rounding
        if error.sum() < least:
            best, least = _Slope(value, error), float(error.sum())
        if change.sum() <= rounding.sum():
            break
    if best is None:
        raise ValueError(
            f"function must be finite near its arguments, got NaN or infinity at relative steps from {first:.3g} to "
            f"{h:.3g}; give a smaller step, or arguments away from the edge"
        )
    return best


# --------------------------------------------------------------- the dot products


def _dot_products(case: _Case, pulled: list[_Pulled], steps: list[Direction], group: list[int]) -> list[Margin]:
    margins = []
    # The group alone may be too small beside the others to change how they are rounded.
    noise = _noise(case, {i: d for i, d in steps[0].items() if _eps(case.point[i]) <= case.eps(group)})
    for step in steps:
        v = {i: step[i] for i in group}
        slope = _slope(case, v, noise)
        for p in pulled:
            left, right, bound = _sides(case, p, v, slope)
            if not abs(left - right) <= bound:
                raise AssertionError(_located(case, p, v, noise, (left, right, bound)))
            margins.append(Margin(abs(left - right), bound))
    return margins


def _sides(case: _Case, p: _Pulled, v: Direction, slope: _Slope) -> tuple[float, float, float]:
    """⟨w, J v⟩, ⟨Jᵀw, v⟩ and how far they may lie apart."""
    weight = np.abs(p.w)
    pairs = [(np.where(d == 0, 0, p.gradients[i]), d) for i, d in v.items()]  # one NaN is not everywhere
    left = _inner(p.w, slope.value)
    right = float(sum(_inner(g, d) for g, d in pairs))
    sums = float((weight * np.abs(slope.value)).sum() + sum((np.abs(g) * np.abs(d)).sum() for g, d in pairs))
    bound = case.slack * (float((weight * slope.error).sum()) + 8.0 * case.eps(v) * sums)
    return left, right, bound


def _inner(a: Any, b: Any) -> float:
    """Re Σ conj(a)·b, in double precision."""
    wide = np.result_type(a, b, np.float64)
    return float(np.vdot(a.astype(wide), b.astype(wide)).real)


class _Entry(NamedTuple):
    """One entry: the pullback's value, the quotient, and how far they may lie apart."""

    argument: int
    place: tuple[int, ...]
    got: Any
    wanted: Any
    bound: float


def _ratio(error: float, bound: float) -> float:
    """Error over bound; what is no number is worst."""
    return float((error / bound if bound else error > 0) if np.isfinite(error) else np.inf)


def _located(case: _Case, p: _Pulled, v: Direction, noise: Array, sides: tuple[float, float, float]) -> str:
    """The report of a failure, with the entry that is most wrong."""
    places = [(i, k) for i in v for k in range(v[i].size)]
    while len(places) > _ONE_BY_ONE:
        halves = places[: len(places) // 2], places[len(places) // 2 :]
        places = max(halves, key=lambda half: _excess(case, p, _only(v, half), noise))
    entries = [_entry(case, p, noise, i, k) for i, k in places]
    found = max(entries, key=lambda e: _ratio(abs(e.got - e.wanted), e.bound))
    left, right, bound = sides
    lines = [
        f"the gradient of {p.names[found.argument]} is wrong at entry [{', '.join(map(str, found.place))}]:",
        f"  pullback             {found.got!r}",
        f"  difference quotient  {found.wanted!r}",
        f"  they differ by {abs(found.got - found.wanted):.3g}, allowed is {found.bound:.3g}",
        f"  (found by ⟨Jᵀw, v⟩ = {right!r} beside ⟨w, J v⟩ = {left!r}, allowed is {bound:.3g})",
    ]
    return "\n".join([*lines, _pasted(case, p.w)])


def _excess(case: _Case, p: _Pulled, v: Direction, noise: Array) -> float:
    left, right, bound = _sides(case, p, v, _slope(case, v, noise))
    return _ratio(abs(left - right), bound)


def _only(v: Direction, places: Sequence[tuple[int, int]]) -> Direction:
    """A direction with all other entries 0."""
    kept = {i: np.zeros_like(v[i]) for i, _ in places}
    for i, k in places:
        kept[i].flat[k] = v[i].flat[k]
    return kept


def _entry(case: _Case, p: _Pulled, noise: Array, i: int, k: int) -> _Entry:
    """The gradient in one entry; a complex one by its real and its imaginary part."""
    size = float(_sizes(case.point[i]).flat[k])
    wide = np.zeros(case.point[i].shape, np.result_type(case.point[i].dtype, np.float64))
    wanted, bound = [], 0.0
    for unit in (1.0, 1j) if wide.dtype.kind == "c" else (1.0,):
        wide.flat[k] = size * unit
        left, _, allowed = _sides(case, p, {i: wide}, _slope(case, {i: wide}, noise))
        wanted.append(left / size)
        bound += allowed / size
    gradient: Any = p.gradients[i]
    index = tuple(int(n) for n in np.unravel_index(k, wide.shape))
    value = complex(*wanted) if len(wanted) == 2 else wanted[0]
    return _Entry(i, index, gradient[index].item(), value, bound)


def _pasted(case: _Case, w: Array | None = None) -> str:
    """Lines of Python that build the arguments, and the grad_y for which it fails."""
    names = {f"x{i}": value for i, value in enumerate(case.point)}
    lines = [f"{name} = {written(value)}" for name, value in names.items()]
    tail = [] if w is None else [f"grad_y = {written(w)}"]
    return "\n".join(["", "import numpy as np", *lines, f"args = ({', '.join(names)},)", *tail])


# --------------------------------------------------------------- the code under test


def _check_value(case: _Case, value: Any, noise: Array) -> None:
    """Both give the same y, to rounding."""
    y = _answer(value, "vjp")
    if y.shape != case.y.shape:
        raise AssertionError(f"vjp must return the y of function, got shape {y.shape} beside {case.y.shape}")
    eps = max(_eps(y), _eps(case.y))
    allowed = np.asarray(8.0 * case.slack * (3.0 * np.nan_to_num(noise) + eps * np.abs(case.y).max(initial=0.0)))
    wrong = ~(np.abs(y - case.y) <= allowed)
    if wrong.any():
        k = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"vjp must return the y of function, got {y[k].item()!r} beside {case.y[k].item()!r} at entry "
            f"[{', '.join(map(str, k))}], allowed is {float(allowed[k]):.3g}\n{_pasted(case)}"
        )


def _pull(case: _Case, pullback: Callable[..., Any], w: Array) -> _Pulled:
    """Call the pullback; number, shapes and kinds of the gradients must fit the arguments."""
    answer, count = pullback(w.copy()), len(case.point)
    if not isinstance(answer, (tuple, list)) or len(answer) != count:
        got = f"{len(answer)}" if isinstance(answer, (tuple, list)) else f"a {type(answer).__name__}"
        raise AssertionError(f"pullback must return a tuple of {count} gradients, one per argument, got {got}")
    fields = getattr(answer, "_fields", None)
    names = tuple(f"argument {i}" + (f" ({fields[i]})" if fields else "") for i in range(count))
    parts = zip(answer, case.point, names, strict=True)
    return _Pulled(w, tuple(_gradient(g, x, name) if _is_differentiated(x) else None for g, x, name in parts), names)


def _gradient(gradient: Any, x: Array, name: str) -> Array:
    if gradient is None:
        raise AssertionError(f"the gradient of {name} is None, wanted an array of shape {x.shape}")
    g = np.asarray(gradient)
    if g.shape != x.shape:
        raise AssertionError(f"the gradient of {name} has shape {g.shape}, wanted that of the argument, {x.shape}")
    if g.dtype.kind != x.dtype.kind:
        kind = "complex" if x.dtype.kind == "c" else "real"
        raise AssertionError(f"the gradient of {name} has dtype {g.dtype}, wanted {kind} floats, as of the argument")
    return g.copy()  # a pullback may write its next answer into the same memory


def _check_linear(case: _Case, pullback: Callable[..., Any], pulled: _Pulled) -> None:
    """Twice the grad_y gives twice the gradients, and nothing gives nothing.

    A factor of 2 commutes with rounding; 8·eps of the largest for each term allows sums in another order.
    """
    twice, nothing = _pull(case, pullback, 2 * pulled.w), _pull(case, pullback, 0 * pulled.w)
    for once, two, zero, name in zip(pulled.gradients, twice.gradients, nothing.gradients, pulled.names, strict=True):
        if once is None or not np.isfinite(once).all():
            continue  # the dot products say where
        allowed = 8.0 * case.slack * _eps(once) * case.y.size * float(np.abs(once).max(initial=0.0))
        error = float(np.abs(two - 2 * once).max(initial=0.0))
        if not error <= allowed:
            raise AssertionError(
                f"pullback must be linear: pullback(2·grad_y) and 2·pullback(grad_y) differ by {error:.3g} for {name}, "
                f"allowed is {allowed:.3g}\n{_pasted(case, pulled.w)}"
            )
        if np.any(zero != 0):
            raise AssertionError(f"pullback must be linear: pullback(0) is not 0 for {name}\n{_pasted(case)}")


# --------------------------------------------------------------- the door


def _check_options(function: Any, vjp: Any, args: tuple[Any, ...], step: Any, slack: Any, seed: Any) -> None:
    for name, value, returns in (("function", function, "y"), ("vjp", vjp, "(y, pullback)")):
        if not callable(value):
            raise TypeError(f"{name} must be a function (*args) -> {returns}, got {shorten(value)}")
    if not args:
        raise ValueError("assert_gradient needs the arguments to differentiate at, got none; write them after vjp")
    check_positive(1.0 if step is None else step, "step", "it is relative to the entries of an argument")
    check_slack(slack)
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be an integer, 0 or more, got {shorten(seed)}")


def _argument(value: Any, name: str) -> Any:
    """An array of its own; what is not differentiated stays as it is."""
    if value is None:
        return None
    array = np.array(as_host_signal(value, name))
    refuse_nonfinite(array, name)
    return value if np.asarray(value).dtype.kind in "biu" else array


def _answer(value: Any, name: str) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fc":
        raise TypeError(f"{name} must return y as an array of floats, got dtype {array.dtype} from {shorten(value)}")
    return array


def _pair(answer: Any) -> Any:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2 or not callable(answer[1]):
        raise TypeError(f"vjp must return a pair (y, pullback), the second a function, got {shorten(answer)}")
    return answer
