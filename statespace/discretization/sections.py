"""Cascades under a substitution s → f(ζ): one section at a time, so that poles and zeros stay known."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.discretization.rules import MATRICES, Bilinear, Factors, Method
from statespace.structure import Cascade
from statespace.systems import ContinuousSystem


def is_substitution(rule: Method) -> bool:
    """Whether a rule replaces s by a function of ζ, so that it maps one section at a time."""
    return bool(getattr(rule, "substitutes", False))


def substituted(cascade: Cascade, step: Array, rule: Any) -> Cascade:
    """Put s = (ζ − 1)/(Δ (w ζ + 1 − w)) into every section.

        s − p = (1 − wΔp) (ζ − p_d) / (Δ (w ζ + 1 − w)),   p_d = α(Δp) = (1 + (1 − w) Δp)/(1 − wΔp)

    A zero is mapped as a pole is, and may lie where no pole may, at 1/(wΔ): then it goes to infinity. A zero at
    infinity goes to −(1 − w)/w, and stays there for w = 0.
    """
    p, z, w = cascade.known_poles, cascade.zeros, rule.w
    poles = rule.factors(p, step[..., None]).alpha
    dt = (rule.warped(step) if isinstance(rule, Bilinear) else step)[..., None]
    absent = np.isinf(z)
    zero = np.where(absent, 0.0, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        lead = np.where(absent, w * dt, 1 - w * dt * zero)
        mapped = np.where(absent, -(1 - w) / w if w else np.inf, (1 + (1 - w) * dt * zero) / lead)
    lost = lead == 0  # what goes to infinity leaves a factor of its own
    lead = np.where(lost, np.where(absent, dt, -(1 + (1 - w) * dt * zero)), lead)
    gain = _pairwise_product(lead / (1 - w * dt * p))
    gains = cascade.gains * (gain if cascade.is_complex else gain.real)
    return Cascade(poles, np.broadcast_to(np.where(lost, np.inf, mapped), poles.shape), gains)


def _pairwise_product(values: Array) -> Array:
    """Product over the poles of each section, (..., n) to (..., (n + 1) // 2)."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.ones_like(values[..., :1])], axis=-1)
    return values.reshape(*values.shape[:-1], -1, 2).prod(-1)


def section_states(system: ContinuousSystem, step: Array, rule: Method, x: Array, u: Array) -> Array:
    """Map each section, w = T (x − γ b v), T taking its discretized basis to the discrete section's own."""
    before = system.A.sections()
    after = substituted(system.A, step, rule).sections()
    n, v, states = system.n_states, u[..., 0], []
    x = np.concatenate([x, np.zeros_like(x[..., :1])], axis=-1)  # the spare state of an odd last section
    for k in range(system.A.n_sections):
        a = np.stack([np.stack([before.a11[..., k], before.a12[..., k]], -1),
                      np.stack([before.a21[..., k], before.a22[..., k]], -1)], -2)  # fmt: skip
        b = np.stack([before.b[..., k], np.zeros_like(before.b[..., k])], -1)[..., None]
        f = rule.factors(a, step[..., None, None], MATRICES)
        x_k = x[..., 2 * k : 2 * k + 2]
        w = x_k[..., None] - f.gamma @ b * v[..., None, None]
        states.append((_change_of_basis(f, b, after, k, single=2 * k + 1 == n) @ w)[..., 0])
        v = before.c1[..., k] * x_k[..., 0] + before.c2[..., k] * x_k[..., 1] + before.d[..., k] * v
    batch = np.broadcast_shapes(*(s.shape for s in states))
    return np.concatenate([np.broadcast_to(s, batch) for s in states], axis=-1)[..., :n]


def _change_of_basis(f: Factors, b: Array, after: Any, k: int, *, single: bool) -> Array:
    """T with T A_d = A' T and T B_d = B': it takes [B_d, A_d B_d] to [B', A' B']."""
    b_d = f.delta @ b
    if single:
        ratio = (after.b[..., k] / b_d[..., 0, 0])[..., None, None]
        return ratio * np.array([[1.0, 0.0], [0.0, 0.0]])
    reached = np.concatenate([b_d, f.alpha @ b_d], axis=-1)
    zero = np.zeros_like(after.b[..., k])
    wanted = np.stack([np.stack([after.b[..., k], after.a11[..., k] * after.b[..., k]], -1),
                       np.stack([zero, after.a21[..., k] * after.b[..., k]], -1)], -2)  # fmt: skip
    return wanted @ np.linalg.inv(reached)
