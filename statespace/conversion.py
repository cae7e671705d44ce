"""Floor 3: from poles and zeros, coefficients or biquads to a system.

Everything becomes a `Cascade`: sections of one or two poles, each scaled to unit peak gain, never a
companion form. The poles that come in are the poles that stay.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from statespace.arrays import Array, as_coefficients, as_step, shorten
from statespace.structure import Cascade, DelayLine
from statespace.structure.cascade import in_sections
from statespace.systems import ContinuousSystem, DiscreteSystem


class _Required:
    """Stands for an argument that must be written out."""

    def __repr__(self) -> str:
        return "<required>"


_REQUIRED: Any = _Required()


@overload
def from_zpk(z: Any, p: Any, k: Any, *, dt: None = None, fs: None = None, time_unit: str = "s") -> ContinuousSystem: ...
@overload
def from_zpk(z: Any, p: Any, k: Any, *, dt: Any, fs: None = None, time_unit: str = "s") -> DiscreteSystem: ...
@overload
def from_zpk(z: Any, p: Any, k: Any, *, dt: None = None, fs: Any, time_unit: str = "s") -> DiscreteSystem: ...
def from_zpk(
    z: Any, p: Any, k: Any, *, dt: Any = None, fs: Any = None, time_unit: str = "s"
) -> ContinuousSystem | DiscreteSystem:
    """Build a system from zeros, poles and gain: k Π(s − z)/Π(s − p).

    Parameters
    ----------
    z, p : array_like, (..., nz) and (..., np)
        Zeros and poles, in rad per unit of time (continuous) or in the z-plane (discrete). When every
        complex one has its conjugate, to 1e-10, the system is real and the pair made exact. Batch axes lead.
    k : float or array_like, (...)
        Gain.
    dt, fs : float, optional
        Step or sampling rate of a discrete system; continuous without either.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    ContinuousSystem or DiscreteSystem
        A Cascade, one input, one output; sections ordered from the best to the least damped.
        Without poles: a static gain, which has no states.

    Raises
    ------
    ValueError
        More zeros than poles (improper), or a value is not finite.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.

    Examples
    --------
    >>> import statespace as ss
    >>> lowpass = ss.from_zpk([], [-3 + 4j, -3 - 4j], 25.0)
    >>> lowpass.n_states, float(lowpass.dc_gain[0, 0])
    (2, 1.0)
    """
    zeros, poles, gain = as_coefficients(z, "z"), as_coefficients(p, "p"), as_coefficients(k, "k")
    if zeros.ndim < 1 or poles.ndim < 1:
        raise ValueError(f"z and p must have an axis, (..., nz) and (..., np), got {zeros.shape=}, {poles.shape=}")
    if gain.size == 0 or 0 in zeros.shape[:-1] + poles.shape[:-1]:
        raise ValueError(f"k must be a number, or one for each system of a batch, got {gain.shape=}, {zeros.shape=}")
    if zeros.shape[-1] > poles.shape[-1]:
        raise ValueError(_improper(zeros.shape[-1], poles.shape[-1]))
    step = None if dt is None and fs is None else as_step(dt, fs, what="from_zpk")
    try:
        batch = np.broadcast_shapes(zeros.shape[:-1], poles.shape[:-1], gain.shape)
    except ValueError:
        shapes = f"z {zeros.shape[:-1]}, p {poles.shape[:-1]}, k {gain.shape}"
        raise ValueError(f"the batch axes do not broadcast, got {shapes}") from None
    zeros, poles = (np.broadcast_to(x, (*batch, x.shape[-1])).astype(complex) for x in (zeros, poles))
    gain = np.broadcast_to(gain, batch)
    paired = [_paired(zeros[i], poles[i], discrete=step is not None) for i in np.ndindex(batch)]
    flat_poles, flat_zeros = (np.array(x).reshape(poles.shape) for x in zip(*paired, strict=True))
    return _system(flat_poles, flat_zeros, gain, step, time_unit)


@overload
def from_tf(num: Any, den: Any, *, dt: None = None, fs: None = None, time_unit: str = "s") -> ContinuousSystem: ...
@overload
def from_tf(num: Any, den: Any, *, dt: Any, fs: None = None, time_unit: str = "s") -> DiscreteSystem: ...
@overload
def from_tf(num: Any, den: Any, *, dt: None = None, fs: Any, time_unit: str = "s") -> DiscreteSystem: ...
def from_tf(
    num: Any, den: Any, *, dt: Any = None, fs: Any = None, time_unit: str = "s"
) -> ContinuousSystem | DiscreteSystem:
    """Build a system from a transfer function num/den in descending powers of s (or z).

    The polynomials are factored in scaled time and become a Cascade. Their roots are known only as well
    as the coefficients determine them; where poles and zeros are at hand, use `from_zpk`.

    Parameters
    ----------
    num, den : array_like, 1-D
        Coefficients, highest power first.
    dt, fs : float, optional
        Step or sampling rate of a discrete system; continuous without either.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    ContinuousSystem or DiscreteSystem

    Raises
    ------
    ValueError
        The transfer function is improper, den starts with 0 or is empty, or a value is not finite.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.from_tf([1.0], [1.0, 0.4, 4.0]).poles.round(3)
    array([-0.2+1.99j, -0.2-1.99j])
    """
    b, a = _coefficients(num, "num"), _coefficients(den, "den")
    if a[0] == 0:
        raise ValueError(f"den must start with its highest power, got a leading zero in {shorten(den)}; remove it")
    b = _without_leading_zeros(b)
    if len(b) > len(a):
        raise ValueError(_improper(len(b) - 1, len(a) - 1))
    if b.size == 0:
        return from_zpk([], _roots(a), 0.0, dt=dt, fs=fs, time_unit=time_unit)
    return from_zpk(_roots(b), _roots(a), b[0] / a[0], dt=dt, fs=fs, time_unit=time_unit)


def from_ba(b: Any, a: Any, *, dt: Any = None, fs: Any = None, time_unit: str = "s") -> DiscreteSystem:
    """Build a digital filter from coefficients in powers of z⁻¹, as ``scipy.signal.lfilter`` takes them.

    Parameters
    ----------
    b, a : array_like, 1-D
        Numerator and denominator: a[0] y[k] = b[0] u[k] + b[1] u[k−1] + … − a[1] y[k−1] − …
    dt, fs : float
        Step or sampling rate; exactly one.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    DiscreteSystem
        A Cascade; without poles (FIR) a DelayLine with the taps as they are.

    Raises
    ------
    ValueError
        a starts with 0, a value is not finite, or dt and fs are given together or neither.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.

    Examples
    --------
    >>> import statespace as ss
    >>> mean = ss.from_ba([0.25, 0.5, 0.25], [1.0], dt=1.0)
    >>> ss.impulse_response(mean, 4).y
    array([0.25, 0.5 , 0.25, 0.  ])
    """
    step = as_step(dt, fs, what="from_ba")
    num, den = _coefficients(b, "b"), _coefficients(a, "a")
    if den[0] == 0:
        raise ValueError(f"a[0] must not be 0, it multiplies y[k]; got a={shorten(a)}")
    num, den = (np.trim_zeros(x, "b") for x in (num, den))
    if len(den) == 1:
        return _fir(num / den[0], step, time_unit)
    excess = len(num) - len(den)  # z^excess makes both polynomials in z
    lead = _without_leading_zeros(num)
    zeros = np.concatenate([_roots(lead), np.zeros(max(-excess, 0))]) if lead.size else np.zeros(0)
    poles = np.concatenate([_roots(den), np.zeros(max(excess, 0))])
    gain = lead[0] / den[0] if lead.size else 0.0
    return from_zpk(zeros, poles, gain, dt=step, time_unit=time_unit)


@overload
def from_sos(sos: Any, *, dt: None, fs: None = None, time_unit: str = "s") -> ContinuousSystem: ...
@overload
def from_sos(sos: Any, *, dt: Any, fs: None = None, time_unit: str = "s") -> DiscreteSystem: ...
@overload
def from_sos(sos: Any, *, fs: Any, time_unit: str = "s") -> DiscreteSystem: ...
def from_sos(
    sos: Any, *, dt: Any = _REQUIRED, fs: Any = None, time_unit: str = "s"
) -> ContinuousSystem | DiscreteSystem:
    """Build a filter from second-order sections, rows [b0, b1, b2, a0, a1, a2].

    Parameters
    ----------
    sos : array_like, (sections, 6)
        As ``scipy.signal.butter(..., output="sos")`` returns them.
    dt, fs : float
        Step or sampling rate. ``dt=None``, written out, means continuous time: the rows are then in
        descending powers of s.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    ContinuousSystem or DiscreteSystem
        A Cascade of the same sections in the same order; first-order ones are joined in twos at the end.

    Raises
    ------
    ValueError
        Neither dt nor fs is given, the shape is not (sections, 6), or a0 is 0 in discrete time.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.2.

    Examples
    --------
    >>> import statespace as ss
    >>> smooth = ss.from_sos([[0.1, 0.0, 0.0, 1.0, -0.9, 0.0]], fs=10.0)
    >>> smooth.poles, smooth.dt
    (array([0.9+0.j]), 0.1)
    """
    if dt is _REQUIRED and fs is None:
        raise ValueError("from_sos needs dt= or fs=: sections are digital elsewhere; for analog ones write dt=None")
    analog = dt is None and fs is None
    step = None if analog else as_step(None if dt is _REQUIRED else dt, fs, what="from_sos")
    rows = as_coefficients(sos, "sos")
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(f"sos must have shape (sections, 6), got {rows.shape}")
    if not analog and np.any(rows[:, 3] == 0):
        raise ValueError("sos[:, 3] (a0) must not be 0 in discrete time, it multiplies y[k]")
    sections = [_section_roots(row[:3], row[3:]) for row in rows]
    poles, zeros = _ordered_sections([(p, z) for p, z, _ in sections])
    gain = np.prod([g for _, _, g in sections], initial=1.0)
    return _system(poles, zeros, np.asarray(gain), step, time_unit)


# --------------------------------------------------------------- from sections to a system


def _system(poles: Array, zeros: Array, gain: Array, step: Any, time_unit: str) -> Any:
    """A Cascade with sections of unit peak gain; what is left of the gain goes to the last one."""
    n = poles.shape[-1]
    if n == 0:
        empty = np.zeros((*gain.shape, 0, 1)), np.zeros((*gain.shape, 1, 0)), gain[..., None, None]
        matrices: tuple[Any, ...] = (np.zeros((*gain.shape, 0, 0)), *empty)
    else:
        gains, left = _unit_peaks(poles, zeros, gain, discrete=step is not None)
        gains[..., -1] = gains[..., -1] * left
        matrices = (Cascade(poles, zeros, gains),)
    if step is None:
        return ContinuousSystem(*matrices, time_unit=time_unit)
    return DiscreteSystem(*matrices, dt=step, time_unit=time_unit)


def _unit_peaks(poles: Array, zeros: Array, gain: Array, *, discrete: bool) -> tuple[Array, Array]:
    """Gains that give each section a peak of 1 on the frequency axis, and the factor that is left."""
    p, z = in_sections(poles, np.inf), in_sections(zeros, np.inf)
    points = _peak_candidates(p, z, discrete=discrete)  # (..., sections, points)
    numerator = np.where(np.isinf(z[..., None, :]), 1.0, points[..., None] - z[..., None, :])
    denominator = np.where(np.isinf(p[..., None, :]), 1.0, points[..., None] - p[..., None, :])
    peaks = np.abs(numerator / denominator).prod(-1).max(-1)
    left = np.array(gain)
    for k in range(peaks.shape[-1]):  # one at a time: the product alone could overflow
        left = left * peaks[..., k]
    return (1.0 / peaks).astype(left.dtype), left


def _peak_candidates(p: Array, z: Array, *, discrete: bool) -> Array:
    """Points of the frequency axis near each pole, spaced by its damping: one is within 0.1 % of the peak.

    A pole on or beyond the boundary has no peak: its section is measured at frequencies clear of it, from
    |Im p| + |p| to four times that.
    """
    at_infinity = np.isinf(p)
    s = np.where(at_infinity, -1.0, p)
    if discrete:  # the unit circle is the frequency axis of (s − 1)/(s + 1)
        s = np.where(np.abs(s + 1) < 1e-12, -1.0, s)
        s = (s - 1) / np.where(s == -1, 1.0, s + 1)
    size: Array = np.abs(s)
    known = np.where(size > 0, size, np.nan).reshape(*s.shape[:-2], -1)
    finite = np.concatenate([known, np.where(np.isfinite(z) & (z != 0), np.abs(z), np.nan).reshape(known.shape)], -1)
    logs = np.log(np.where(np.isnan(finite), 1.0, finite))
    scale = np.exp(logs.sum(-1) / np.maximum((~np.isnan(finite)).sum(-1), 1))[..., None, None]
    size = np.where(size > 0, size, 1.0 if discrete else scale)
    angles = np.linspace(-np.pi / 2, np.pi / 2, 67)[1:-1]
    omega = s.imag[..., None] + np.abs(s.real)[..., None] * np.tan(angles)
    omega = np.concatenate([omega, -omega], axis=-1).reshape(*omega.shape[:-2], -1)
    boundary = np.any(~at_infinity & (-s.real <= 1e-8 * size), axis=-1, keepdims=True)
    clear = (np.abs(s.imag) + size).max(-1)[..., None] * 1.25 ** np.arange(omega.shape[-1])
    omega = np.where(boundary, np.minimum(clear, 4 * clear[..., :1]), omega)
    points = 1j * omega
    return (1 + points) / (1 - points) if discrete else points


def _paired(zeros: Array, poles: Array, *, discrete: bool) -> tuple[Array, Array]:
    """Order poles into sections and give each the zeros nearest to it; (n,) poles and (n,) zeros."""
    n = len(poles)
    pairs, real = _conjugates(poles)
    zero_pairs, zero_real = _conjugates(zeros)
    if pairs is None or zero_pairs is None:  # a complex system: any two make a section
        return poles, np.concatenate([zeros, np.full(n - len(zeros), complex(np.inf))])
    real = sorted(real, key=lambda x: (_margin(x, discrete), abs(x)))
    sections = [[q, q.conjugate()] for q in pairs] + [real[i : i + 2] for i in range(0, len(real) - 1, 2)]
    sections.sort(key=lambda section: min(_margin(q, discrete) for q in section))
    single = real[-1:] if n % 2 else []
    infinite = n - len(zeros)
    rest = [_zero_of_single(q, poles, zero_real, infinite) for q in single]
    infinite -= sum(np.isinf(q) for q in rest)
    chosen = []
    for k, section in enumerate(sections):
        left = len(sections) - k
        chosen.append(_nearest(section[0], zero_pairs, zero_real, infinite, left))
        infinite -= sum(np.isinf(q) for q in chosen[-1])
    sections, chosen = sections[::-1], chosen[::-1]  # the least damped section last
    flat_poles = [q for section in sections for q in section] + single
    flat_zeros = [q for pair in chosen for q in pair] + rest
    return np.array(flat_poles, complex), np.array(flat_zeros, complex)


def _distance(a: complex, b: complex) -> float:
    """Relative distance of two roots, from 0 to 1 for those of one sign: decades apart is far."""
    return abs(a - b) / max(abs(a) + abs(b), 1e-300)


def _zero_of_single(pole: complex, poles: Array, real: list[complex], infinite: int) -> complex:
    """Take the real zero that is nearer to a single pole than to any other, or the one at infinity."""
    if not real:
        return complex(np.inf)
    zero = min(real, key=lambda q: _distance(q, pole))
    others = [_distance(zero, complex(q)) for q in poles if q != pole]
    if infinite > 0 and min(others, default=1.0) <= _distance(zero, pole):
        return complex(np.inf)
    real.remove(zero)
    return zero


def _margin(pole: complex, discrete: bool) -> float:
    """Distance of a pole to the boundary of stability, relative to its size in continuous time."""
    return abs(1 - abs(pole)) if discrete else abs(pole.real) / max(abs(pole), 1e-300)


def _nearest(pole: complex, pairs: list[complex], real: list[complex], infinite: int, left: int) -> list[complex]:
    """Take two zeros for a section of two poles, out of what is left for ``left`` such sections."""
    candidates = pairs + real
    nearest = min(candidates, key=lambda q: _distance(q, pole), default=None)
    if pairs and (nearest in pairs or len(pairs) >= left):
        q = min(pairs, key=lambda q: _distance(q, pole))
        pairs.remove(q)
        return [q, q.conjugate()]
    taken: list[complex] = []
    # Zeros at infinity are spread evenly, so that a band-pass is made of band-passes.
    spread = min(2, -(-max(infinite, 0) // left)) if infinite else 0
    while real and len(taken) < 2 - spread:
        q = min(real, key=lambda q: _distance(q, pole))
        real.remove(q)
        taken.append(q)
    return taken + [complex(np.inf)] * (2 - len(taken))


def _conjugates(values: Array) -> tuple[list[complex] | None, list[complex]]:
    """One of each conjugate pair (Im > 0) and the real ones; None where a partner is missing."""
    real = [complex(v) for v in values if v.imag == 0]
    upper = [complex(v) for v in values if v.imag > 0]
    lower = [complex(v).conjugate() for v in values if v.imag < 0]
    if len(upper) != len(lower):
        return None, []
    for v in upper:
        mate = min(lower, key=lambda q: abs(q - v))
        if abs(mate - v) > 1e-10 * abs(v):
            return None, []
        lower.remove(mate)
    return upper, real


def _ordered_sections(sections: list[tuple[list[complex], list[complex]]]) -> tuple[Array, Array]:
    """Flatten (poles, zeros) of sections: those of order 2 first, then those of order 1."""
    poles: list[complex] = []
    zeros: list[complex] = []
    for order in (2, 1):
        for p, z in sections:
            if len(p) == order:
                poles += p
                zeros += z + [complex(np.inf)] * (order - len(z))
    return np.array(poles, complex), np.array(zeros, complex)


# --------------------------------------------------------------- polynomials


def _section_roots(num: Array, den: Array) -> tuple[list[complex], list[complex], complex]:
    """Poles, zeros and gain of one biquad; a factor z that both polynomials share is cancelled."""
    while num[-1] == 0 and den[-1] == 0 and len(den) > 1:
        num, den = num[:-1], den[:-1]
    num, den = _without_leading_zeros(num), _without_leading_zeros(den)
    if den.size == 0:
        raise ValueError("sos has a row with a0 = a1 = a2 = 0, which is no section")
    if num.size > den.size:
        raise ValueError(_improper(num.size - 1, den.size - 1))
    if num.size == 0:
        return _quadratic_roots(den), [], 0.0
    return _quadratic_roots(den), _quadratic_roots(num), num[0] / den[0]


def _quadratic_roots(c: Array) -> list[complex]:
    """Roots of a polynomial of degree ≤ 2, the discriminant in extended precision where there is one.

    For a pole pair at angle θ the discriminant is about θ² of a1²/4: at fs/fc = 1000, in double
    precision, it would lose five digits.
    """
    if len(c) < 3:
        return [-c[1] / c[0]] if len(c) == 2 else []
    wide = c.astype(np.clongdouble if np.iscomplexobj(c) else np.longdouble)
    half = -wide[1] / wide[0] / 2
    root = np.sqrt(np.clongdouble(half * half - wide[2] / wide[0]))
    if np.iscomplexobj(c) or root.imag == 0:
        first = half + root if (half * np.conj(root)).real >= 0 else half - root
        second = wide[2] / wide[0] / first if first != 0 else first
        return [complex(first), complex(second)]
    return [complex(half + root), complex(half - root)]


def _roots(c: Array) -> Array:
    """Roots of a polynomial in descending powers, in a variable scaled to unit geometric mean."""
    ends = np.nonzero(c)[0]
    at_zero, c = len(c) - 1 - ends[-1], c[: ends[-1] + 1]
    n = len(c) - 1
    scale = np.exp2(np.round(np.log2(np.abs(c[-1] / c[0])) / n)) if n else 1.0
    scaled = c / c[0] / scale ** np.arange(n + 1.0)
    roots = np.array(_quadratic_roots(scaled)) if n <= 2 else np.roots(scaled)
    return np.concatenate([roots * scale, np.zeros(at_zero)]).astype(complex)


def _coefficients(value: Any, name: str) -> Array:
    array = np.atleast_1d(as_coefficients(value, name))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be one row of coefficients, got shape {array.shape}")
    return array


def _without_leading_zeros(c: Array) -> Array:
    return np.trim_zeros(c, "f")


def _fir(taps: Array, step: Array, time_unit: str) -> DiscreteSystem:
    """y[k] = Σ taps[j] u[k − j]: a delay line, the taps untouched."""
    n = len(taps) - 1
    if n < 1:
        gain = taps if n == 0 else np.zeros(1)
        return DiscreteSystem(
            np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), gain[None], dt=step, time_unit=time_unit
        )
    b = np.zeros((n, 1))
    b[0] = 1.0
    return DiscreteSystem(DelayLine(n), b, taps[None, 1:], taps[None, :1], dt=step, time_unit=time_unit)


def _improper(zeros: int, poles: int) -> str:
    return (
        f"the transfer function is improper, {zeros} zeros and {poles} poles; a state space needs at least as many "
        "poles. Numerator or zeros come first; for a digital filter in powers of z⁻¹, where b may be longer than a, "
        "use from_ba"
    )
