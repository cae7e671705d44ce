"""From poles and zeros to sections: who goes with whom, in which order, and how large.

A pole pair takes the zeros nearest to it; the sections are ordered from the best to the least damped, and each is
scaled to unit peak gain on the frequency axis, so that nothing overflows between them. What is left of the gain goes to
the last section.
"""

from __future__ import annotations

import numpy as np

from statespace.arrays import Array
from statespace.structure.cascade import Cascade, in_sections


def cascade_of(zeros: Array, poles: Array, gain: Array, *, discrete: bool) -> Cascade:
    """Sections of k Π(s − z)/Π(s − p), for zeros (..., nz), poles (..., n ≥ 1), nz ≤ n, and gains (...)."""
    batch = poles.shape[:-1]
    paired = [_paired(zeros[i], poles[i], discrete=discrete) for i in np.ndindex(batch)]
    p, z = (np.array(x).reshape(poles.shape) for x in zip(*paired, strict=True))
    return scaled_sections(p, z, gain, discrete=discrete)


def scaled_sections(poles: Array, zeros: Array, gain: Array, *, discrete: bool) -> Cascade:
    """Poles and zeros that are in sections already, each section of unit peak gain but the last."""
    poles = _slow_pole_last(poles, discrete=discrete)
    gains, left = _unit_peaks(poles, zeros, gain, discrete=discrete)
    gains[..., -1] = gains[..., -1] * left
    return Cascade(poles, zeros, gains)


def _slow_pole_last(poles: Array, *, discrete: bool) -> Array:
    """Put the slower of two real poles second.

    A section knows the residue of its second pole as the product Π(p − zero), that of its first as a difference: with
    zeros near an integrator the latter loses 1e-8 of its gain, all of it in float32.
    """
    pairs = in_sections(poles, np.nan)
    rate = np.abs(1 - np.abs(pairs)) if discrete else np.abs(pairs)
    real = np.all(pairs.imag == 0, axis=-1, keepdims=True)
    turned = np.where(real & (rate[..., :1] < rate[..., 1:]), pairs[..., ::-1], pairs)
    return np.asarray(turned.reshape(*poles.shape[:-1], -1)[..., : poles.shape[-1]])


def _paired(zeros: Array, poles: Array, *, discrete: bool) -> tuple[Array, Array]:
    """Order poles into sections and give each the zeros nearest to it; (n,) poles and (n,) zeros."""
    n = len(poles)
    pairs, real = conjugates(poles)
    zero_pairs, zero_real = conjugates(zeros)
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


def conjugates(values: Array) -> tuple[list[complex] | None, list[complex]]:
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


def ordered_sections(sections: list[tuple[list[complex], list[complex]]]) -> tuple[Array, Array]:
    """Flatten (poles, zeros) of sections: those of order 2 first, then those of order 1."""
    poles: list[complex] = []
    zeros: list[complex] = []
    for order in (2, 1):
        for p, z in sections:
            if len(p) == order:
                poles += p
                zeros += z + [complex(np.inf)] * (order - len(z))
    return np.array(poles, complex), np.array(zeros, complex)


def _unit_peaks(poles: Array, zeros: Array, gain: Array, *, discrete: bool) -> tuple[Array, Array]:
    """Gains that give each section a peak of 1 on the frequency axis, and the factor that is left."""
    p, z = in_sections(poles, np.inf), in_sections(zeros, np.inf)
    points = axis_points(p, z, discrete=discrete)  # (..., sections, points)
    numerator = np.where(np.isinf(z[..., None, :]), 1.0, points[..., None] - z[..., None, :])
    denominator = np.where(np.isinf(p[..., None, :]), 1.0, points[..., None] - p[..., None, :])
    peaks = np.abs(numerator / denominator).prod(-1).max(-1)
    left = np.array(gain)
    for k in range(peaks.shape[-1]):  # one at a time: the product alone could overflow
        left = left * peaks[..., k]
    return (1.0 / peaks).astype(left.dtype), left


def axis_points(p: Array, z: Array, *, discrete: bool) -> Array:
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


def is_clear(points: Array, poles: Array, *, discrete: bool, margin: float) -> Array:
    """Whether points of the frequency axis are clear of the poles whose damping is below a margin, one system.

    Such a pole, an integrator or oscillator, is known to its rounding only; beside it a response is not known at all.
    """
    size = np.abs(poles)
    damping = np.abs(1 - size) if discrete else np.abs(poles.real) / np.where(size > 0, size, 1.0)
    clear = np.ones(points.shape, bool)
    for pole in poles[damping < margin]:
        apart = np.abs(poles - pole)
        scale = abs(pole) if pole != 0 else max(size.max(), 1.0)
        others = apart[apart > 1e-4 * scale]  # not the pole itself, nor what rounding made of a multiple one
        clear &= np.abs(points - pole) > 0.1 * min(others.min(initial=np.inf), scale)
    return clear


def amplification(cascade: Cascade, *, discrete: bool) -> Array:
    """How much rounding between two sections grows, over the peak of the whole, (...).

    What section k passes at one frequency is rounded, and what follows raises that at another:

        max over k of  max |H_1 … H_k| · max |H_{k+1} … H_n| / max |H|

    20 for a Butterworth filter of order 20, 1e12 for 60 taps as 30 sections.
    """
    p, z = in_sections(cascade.known_poles, np.inf), in_sections(cascade.zeros, np.inf)
    points = axis_points(p, z, discrete=discrete).reshape(*p.shape[:-2], 1, -1, 1)
    p, z = p[..., None, :], z[..., None, :]  # (..., sections, points, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.where(np.isinf(z), 1.0, points - z) / np.where(np.isinf(p), 1.0, points - p)
        h = np.abs(cascade.gains[..., None] * factors.prod(-1))
    h = np.where(np.isfinite(h).all(axis=-2, keepdims=True), h, 0.0)  # a point on a pole is left out
    before, after = np.cumprod(h, axis=-2), np.cumprod(h[..., ::-1, :], axis=-2)[..., ::-1, :]
    grown = before[..., :-1, :].max(-1) * after[..., 1:, :].max(-1)
    peak = before[..., -1, :].max(-1)
    return np.asarray(grown.max(axis=-1, initial=0.0) / np.where(peak > 0, peak, np.inf))
