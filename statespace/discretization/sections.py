"""Cascades mapped section by section, so that poles and zeros stay known: substitutions s → f(ζ), matched poles."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, phi1
from statespace.discretization.names import Method
from statespace.discretization.rules import Bilinear
from statespace.structure import Cascade
from statespace.structure.cascade import in_sections
from statespace.systems import ContinuousSystem

_NOTHING = 2.0**-54  # beside 1


def is_substitution(rule: Method) -> bool:
    """Whether a rule replaces s by a function of ζ, so that it maps one section at a time."""
    return bool(getattr(rule, "substitutes", False))


def substituted(cascade: Cascade, step: Array, rule: Any) -> Cascade:
    """Put s = (ζ − 1)/(Δ (w ζ + 1 − w)) into every section.

        s − p = (1 − wΔp) (ζ − p_d) / (Δ (w ζ + 1 − w)),   p_d = α(Δp) = (1 + (1 − w) Δp)/(1 − wΔp)

    A zero is mapped as a pole is, and may lie where no pole may, at 1/(wΔ): then it goes to infinity. A zero at
    infinity goes to −(1 − w)/w, and stays there for w = 0. What goes further than 2⁵⁴ is at infinity, to rounding.
    """
    p, z, w = cascade.known_poles, cascade.zeros, rule.w
    poles = rule.factors(p, step[..., None]).alpha
    dt = _warped(step, rule)[..., None]
    absent = np.isinf(z)
    zero = np.where(absent, 0.0, z)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lead = np.where(absent, w * dt, 1 - w * dt * zero)
        mapped = np.where(absent, -(1 - w) / w if w else np.inf, (1 + (1 - w) * dt * zero) / lead)
    whole = np.where(absent, dt, -(1 + (1 - w) * dt * zero))
    lost = np.abs(lead) <= _NOTHING * np.abs(whole)  # what goes to infinity leaves a factor of its own
    lead = np.where(lost, whole, lead)
    return _remade(cascade, poles, np.where(lost, np.inf, mapped), lead / (1 - w * dt * p))


def restored(cascade: Cascade, step: Array, rule: Any) -> Cascade:
    """Put ζ = (1 + (1 − w) Δs)/(1 − wΔs) into every section: the way back.

        ζ − q = Δ M (s − p)/(1 − wΔs),   M = 1 − w + wq,   p = (q − 1)/(Δ M)

    A zero at −(1 − w)/w, to rounding, comes from infinity; one at infinity comes from 1/(wΔ), or for w = 0 stays.
    """
    q, z, w = cascade.known_poles, cascade.zeros, rule.w
    poles, _ = rule.undo(q, step[..., None])
    dt = _warped(step, rule)[..., None]
    absent = np.isinf(z)
    zero = np.where(absent, 0.0, z)
    w = 0.0 if w <= _NOTHING else w
    m = 1 - w + w * zero
    lost = ~absent & (np.abs(m) <= 8 * np.finfo(float).eps)
    with np.errstate(divide="ignore", invalid="ignore"):
        mapped = np.where(absent, 1 / (w * dt) if w else np.inf, (zero - 1) / (dt * m))
    lead = np.where(absent, -w * dt if w else 1.0, np.where(lost, 1 - zero, dt * m))
    return _remade(cascade, poles, np.where(lost, np.inf, mapped), lead / (dt * (1 - w + w * q)))


def _warped(step: Array, rule: Any) -> Array:
    return rule.warped(step) if isinstance(rule, Bilinear) else step


def matched(cascade: Cascade, step: Array) -> Cascade:
    """Send every root r to e^{rΔ} and a zero at infinity to −1, the gain matched at s → 0.

    There (s − r)/(ζ − e^{rΔ}) → 1/(Δ φ1(rΔ)), which is 1/Δ for r = 0, and 1/(ζ + 1) → 1/2.
    """
    p, z, dt = cascade.known_poles, cascade.zeros, step[..., None]
    absent = np.isinf(z)
    zero = np.where(absent, 0.0, z)
    for roots, what in ((p, "pole"), (zero, "zero")):
        if np.any(np.abs(phi1(roots * dt)) <= 8 * np.finfo(float).eps):
            raise ValueError(
                f"MatchedPoles: a {what} lies at a multiple of the sampling frequency 2π/dt, where it is sampled as if "
                "at 0 and the gain cannot be matched; take another dt"
            )
    at_zero = np.where(absent, 2.0, dt * phi1(zero * dt))
    return _remade(cascade, np.exp(p * dt), np.where(absent, -1.0, np.exp(zero * dt)), dt * phi1(p * dt) / at_zero)


def _remade(cascade: Cascade, poles: Array, zeros: Array, factors: Array) -> Cascade:
    """A cascade of mapped poles and zeros, the gain of each section times the factors (..., n) of its poles."""
    gain = in_sections(factors, 1.0).prod(-1)
    gains = cascade.gains * (gain if cascade.is_complex else gain.real)
    return Cascade(poles, np.broadcast_to(zeros, poles.shape), gains)


def section_states(system: ContinuousSystem, step: Array, rule: Any, x: Array, u: Array) -> Array:
    """Map the state of each section into the discrete section's own coordinates.

        w = T (x − γ b v) = b'/(b Δ) [1 0; 0 a21' det M/(Δ a21)] M (M x − wΔ b v),   M = 1 − wΔA

    T takes B_d to b' and A_d to A'. As products of M it has no inverse: from [B_d, A_d B_d], which poles at −83 and
    −1e5 make singular to 1e-5, it was 2e-11 off.
    """
    p, q = system.A.sections(), substituted(system.A, step, rule).sections()
    dt, n, v, states = _warped(step, rule), system.n_states, u[..., 0], []
    h = rule.w * dt
    x = np.concatenate([x, np.zeros_like(x[..., :1])], axis=-1)  # the spare state of an odd last section
    for k in range(system.A.n_sections):
        x1, x2 = x[..., 2 * k], x[..., 2 * k + 1]
        a11, a12, a21, a22, b, c1, c2, d = (m[..., k] for m in p)
        m11, m12, m21, m22 = 1 - h * a11, -h * a12, -h * a21, 1 - h * a22
        w1, w2 = m11 * x1 + m12 * x2 - h * b * v, m21 * x1 + m22 * x2
        w1, w2 = m11 * w1 + m12 * w2, m21 * w1 + m22 * w2
        turn = q.a21[..., k] * (m11 * m22 - m12 * m21) / (dt * np.where(a21 == 0, 1.0, a21))
        scale = q.b[..., k] / (b * dt)
        states += [scale * w1, scale * turn * w2]
        v = c1 * x1 + c2 * x2 + d * v
    batch = np.broadcast_shapes(*(s.shape for s in states))
    return np.stack([np.broadcast_to(s, batch) for s in states[:n]], axis=-1)
