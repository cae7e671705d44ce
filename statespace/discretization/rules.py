"""The rules: the one home of every formula.

A discretization is three functions of z = ΔA. With v = B u every method is the recurrence

    x_k = α x_{k−1} + β v_{k−1} + γ v_k        y_k = C x_k + D u_k

and, with the state shifted by γ, w_k = x_k − γ v_k, the standard form

    A_d = α    B_d = δ B    C_d = C    D_d = D + C γ B    with δ = αγ + β in closed form.

A rule states α, β, γ, δ once, in terms of an *algebra*: `ELEMENTWISE` for the poles of a diagonal system
and for one step after another, `MATRICES` for dense state matrices. Its `generator` is the way back: the A whose
α is given. The rest follows from α, β, γ, δ of that A: B = δ⁻¹ B_d, C = C_d, D = D_d − C γ B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from statespace.arrays import Array, check_choice, shorten, warn_of_loss
from statespace.discretization.algebra import ELEMENTWISE, Algebra, Factors

Tap: TypeAlias = Literal["previous", "current"]


# --------------------------------------------------------------- rules built on e^z


@dataclass(frozen=True)
class ZeroOrderHold:
    """Input held constant over each step: A_d = e^z, B_d = Δ φ1(z) B.

    Exact for piecewise constant inputs, as from a D/A converter. The state keeps its meaning; order 1 for
    smooth inputs (it lags them by half a step); stable stays stable.

    Parameters
    ----------
    tap : {"previous", "current"}
        "previous": the step from k−1 to k holds u[k−1]. "current": it holds u[k], one sample
        earlier for D = 0; this is what S4 and S5 call "zoh", named "s4_zoh" here.

    Raises
    ------
    ValueError
        The tap is not one of the two words.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., section 4.3.3.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.discretize(ss.from_zpk([], [-1.0], 1.0), 0.5, ss.ZeroOrderHold()).poles.round(4)
    array([0.6065+0.j])
    """

    tap: Tap = "previous"

    def __post_init__(self) -> None:
        check_choice(self.tap, get_args(Tap), "tap")

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        e, held = _exp_and_phi1(dt * a, dt, algebra)
        zero = np.zeros_like(e)
        if self.tap == "current":
            return Factors(e, zero, held, algebra.product(e, held))
        return Factors(e, held, zero, held)

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = log(α)/Δ, the principal branch, |Im λ| < π/Δ, and its factors."""
        a = algebra.logarithm(alpha) / dt
        return a, self.factors(a, dt, algebra)


@dataclass(frozen=True)
class FirstOrderHold:
    """Input joined by straight lines: γ = Δ φ2(z), β = Δ (φ1 − φ2)(z), B_d = Δ φ1(z)² B.

    Exact for piecewise linear inputs, order 2 for smooth ones, without phase shift. The discrete state is
    shifted by γ B u (see `initial_state`); stable stays stable. Also known as the ramp-invariant or
    triangle hold.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., section 6.3.2.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> float(ss.discretize(lag, 0.5, ss.FirstOrderHold()).dc_gain[0, 0].round(12))
    1.0
    """

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        e, phi_1, phi_2, ramp = algebra.exponentials(dt * a)
        return Factors(e, dt * ramp, dt * phi_2, dt * algebra.product(phi_1, phi_1))

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = log(α)/Δ, the principal branch, |Im λ| < π/Δ, and its factors."""
        a = algebra.logarithm(alpha) / dt
        return a, self.factors(a, dt, algebra)


@dataclass(frozen=True)
class Impulse:
    """Each sample an impulse of area Δ u: A_d = e^z, γ = Δ. Mamba's B̄ = Δ B.

    The kernel is Δ times the sampled continuous impulse response (D apart): exact for trains of impulses.
    The state is shifted by Δ B u; order 1 for smooth inputs; stable stays stable.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 7.2.1;
    A. Gu, T. Dao, "Mamba", 2023, section 2.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> ss.impulse_response(ss.discretize(lag, 0.5, "impulse"), 2).y.round(4)
    array([0.5   , 0.3033])
    """

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        e = algebra.exponentials(dt * a).exp
        return Factors(e, np.zeros_like(e), dt * algebra.one(e), dt * e)

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = log(α)/Δ, the principal branch, |Im λ| < π/Δ, and its factors."""
        a = algebra.logarithm(alpha) / dt
        return a, self.factors(a, dt, algebra)


@dataclass(frozen=True)
class ExponentialTrapezoidal:
    """The input term by a weighted trapezoid: β = (1 − w) Δ e^z, γ = w Δ. Mamba-3's rule.

    Order 2 for w = ½, else 1; with w = 1 it is `Impulse`. The state is shifted by w Δ B u; stable stays
    stable.

    Parameters
    ----------
    w : float
        Weight of the current sample, 0 to 1.

    Raises
    ------
    ValueError
        w is not a number from 0 to 1.

    References
    ----------
    M. Hochbruck, A. Ostermann, "Exponential integrators", Acta Numerica 19 (2010), section 2.1 (the
    quadrature view); A. Gu et al., "Mamba-3", 2025, section 3.1.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> float(ss.discretize(lag, 0.5, "exp_trapezoidal").D[0, 0])
    0.25
    """

    w: float = 0.5

    def __post_init__(self) -> None:
        _check_weight(self.w, "ExponentialTrapezoidal")

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        e = algebra.exponentials(dt * a).exp
        return Factors(e, (1 - self.w) * dt * e, self.w * dt * algebra.one(e), dt * e)

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = log(α)/Δ, the principal branch, |Im λ| < π/Δ, and its factors."""
        a = algebra.logarithm(alpha) / dt
        return a, self.factors(a, dt, algebra)


# --------------------------------------------------------------- rational rules


@dataclass(frozen=True)
class GeneralizedBilinear:
    """Weighted trapezoid: A_d = (1 − wz)⁻¹ (1 + (1 − w) z), B_d = Δ (1 − wz)⁻² B.

    A substitution s → (ζ − 1)/(Δ (w ζ + 1 − w)) in the transfer function. Order 2 for w = ½, else 1. The
    discrete state is shifted by γ B u and loses its meaning; for w ≥ ½ stable stays stable.

    Parameters
    ----------
    w : float
        0 is forward Euler, ½ Tustin's rule, 1 backward Euler.

    Raises
    ------
    ValueError
        w is not a number from 0 to 1.

    References
    ----------
    G. Zhang, X. Chen, T. Chen, "Digital redesign via the generalised bilinear transformation", Int. J.
    Control 82 (2009), section 2.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> ss.discretize(lag, 0.5, ss.GeneralizedBilinear(0.25)).poles.round(4)
    array([0.5556+0.j])
    """

    w: float
    substitutes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_weight(self.w, "GeneralizedBilinear")

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        return _bilinear_factors(a, dt, self.w, algebra)

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = (α − 1) R⁻¹/Δ with R = (1 − w) + wα, and its factors."""
        return _bilinear_undone(alpha, dt, self.w, algebra)


@dataclass(frozen=True)
class Bilinear:
    """Tustin's rule, the trapezoid: A_d = (1 − z/2)⁻¹ (1 + z/2), B_d = Δ (1 − z/2)⁻² B.

    Maps the whole imaginary axis onto the unit circle, ω → (2/Δ) atan(ωΔ/2): no aliasing, and exact at one
    frequency of your choice. Order 2; the discrete state is shifted by γ B u; stable stays stable and
    unstable stays unstable.

    Parameters
    ----------
    prewarp : float, optional
        Angular frequency, in rad per unit of time and below Nyquist, at which the discrete response
        equals the continuous one: Δ is replaced by (2/ω) tan(ωΔ/2).
    tap : {"previous", "current"}
        "current" gives B̄ = Δ (1 − z/2)⁻¹ B on u[k] alone: what S4 calls "bilinear", named "s4_bilinear".

    Raises
    ------
    ValueError
        prewarp is not a positive number, or the tap is not one of the two words.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 7.2.2.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> notch = ss.from_zpk([60j, -60j], [-3 + 60j, -3 - 60j], 1.0)
    >>> digital = ss.discretize(notch, 0.01, ss.Bilinear(prewarp=60.0))
    >>> bool(abs(digital(np.exp(0.6j))[0, 0]) < 1e-12)
    True
    """

    prewarp: float | None = None
    tap: Tap = "previous"
    w: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        check_choice(self.tap, get_args(Tap), "tap")
        p = self.prewarp
        if p is not None and not (_is_real(p) and 0 < p < np.inf):
            raise ValueError(f"prewarp must be a positive angular frequency, got {shorten(p)}")

    @property
    def substitutes(self) -> bool:
        """Whether the rule is a substitution s → f(ζ), so that it maps one section at a time."""
        return self.tap == "previous"

    def warped(self, dt: Array) -> Array:
        """Δ, or (2/ω) tan(ωΔ/2) when prewarped at ω."""
        if self.prewarp is None:
            return dt
        limit = np.pi / np.max(dt)
        if self.prewarp >= limit:
            raise ValueError(
                f"prewarp={self.prewarp:g} rad per unit of time must lie below the Nyquist frequency "
                f"π/dt = {limit:g}; a frequency in Hz needs a factor 2π, else take a smaller dt"
            )
        return 2.0 / self.prewarp * np.tan(self.prewarp * dt / 2.0)

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        return self._tapped(_bilinear_factors(a, self.warped(dt), self.w, algebra), algebra)

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = (α − 1) R⁻¹/Δ with R = (1 − w) + wα, and its factors."""
        a, factors = _bilinear_undone(alpha, self.warped(dt), self.w, algebra)
        return a, self._tapped(factors, algebra)

    def _tapped(self, f: Factors, algebra: Algebra) -> Factors:
        if self.tap == "previous":
            return f
        held = 2.0 * f.gamma  # Δ (1 − z/2)⁻¹
        return Factors(f.alpha, 0.0 * f.alpha, held, algebra.product(f.alpha, held))


@dataclass(frozen=True)
class ForwardEuler:
    """The explicit step: A_d = 1 + z, B_d = Δ B.

    The state keeps its meaning; order 1. A stable system becomes unstable where |1 + z| > 1.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., section 6.1.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.discretize(ss.from_zpk([], [-1.0], 1.0), 3.0, "euler").is_stable
    False
    """

    w: ClassVar[float] = 0.0
    substitutes: ClassVar[bool] = True

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        return _bilinear_factors(a, dt, self.w, algebra)

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = (α − 1) R⁻¹/Δ with R = (1 − w) + wα, and its factors."""
        return _bilinear_undone(alpha, dt, self.w, algebra)


@dataclass(frozen=True)
class BackwardEuler:
    """The implicit step: A_d = (1 − z)⁻¹, B_d = Δ (1 − z)⁻² B.

    Order 1; the discrete state is shifted by γ B u; stable stays stable, whatever the step, and some
    unstable systems become stable.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., section 6.1.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.discretize(ss.from_zpk([], [-1.0], 1.0), 1.0, "backward_euler").poles
    array([0.5+0.j])
    """

    w: ClassVar[float] = 1.0
    substitutes: ClassVar[bool] = True

    def factors(self, a: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> Factors:
        """α, β, γ, δ for a state matrix or its poles; dt broadcasts with a."""
        return _bilinear_factors(a, dt, self.w, algebra)

    def undo(self, alpha: Array, dt: Array, algebra: Algebra = ELEMENTWISE) -> tuple[Array, Factors]:
        """A = (α − 1) R⁻¹/Δ with R = (1 − w) + wα, and its factors."""
        return _bilinear_undone(alpha, dt, self.w, algebra)


# --------------------------------------------------------------- the one that is no function of ΔA


@dataclass(frozen=True)
class MatchedPoles:
    """Every pole and every zero by ζ = e^{sΔ}; zeros at infinity go to −1; the gain is matched at s → 0.

    For single-input single-output systems. A zero stays a zero, so that a notch is at its frequency; stable stays
    stable. Order 2: with as many zeros as poles nothing is delayed. The gain agrees at zero frequency, also where
    poles or zeros at 0 make it infinite or zero: H_d(e^{sΔ})/H(s) → 1 for s → 0. The discrete state is that of a
    `Cascade`, without a map from the continuous one. Has no inverse.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., section 6.2.

    Examples
    --------
    >>> import statespace as ss
    >>> lead = ss.from_zpk([-1.0], [0.0, -10.0], 5.0)
    >>> digital = ss.discretize(lead, 0.1, ss.MatchedPoles())
    >>> digital.zeros.real.round(4), digital.poles.real.round(4)
    (array([ 0.9048, -1.    ]), array([0.3679, 1.    ]))
    """


# --------------------------------------------------------------- formulas that rules share


def _exp_and_phi1(z: Array, dt: Array, algebra: Algebra) -> tuple[Array, Array]:
    values = algebra.exponentials(z)
    return values.exp, dt * values.phi1


def _bilinear_factors(a: Array, dt: Array, w: float, algebra: Algebra) -> Factors:
    """α = R (1 + (1 − w) z) with R = (1 − wz)⁻¹.

    Solved for, not multiplied out: of a mode at −1e4 in a dense matrix a product leaves 1 + α, which is 4e-4, to
    eps·1e4 only, and the way back divides by its square.
    """
    z = dt * a
    one = algebra.one(z)
    r = algebra.inverse(one - w * z)
    _refuse_pole_at_the_step(algebra.size(r), w)
    return _of_resolvent(algebra.solve(one - w * z, one + (1 - w) * z), r, dt, w, algebra)


def _bilinear_undone(alpha: Array, dt: Array, w: float, algebra: Algebra) -> tuple[Array, Factors]:
    """ΔA = (α − 1) R⁻¹ with R = (1 − w) + wα, since α (1 − wz) = 1 + (1 − w) z.

    R from α, in which it is linear, not from A as the inverse of 1 − wz: beside a mode at −1e6 in a dense matrix that
    takes B of backward Euler from 2e-6 to 3e-5, and a rounding tried on α moves B by 7e-2 where it costs 3e-6.
    """
    one = algebra.one(alpha)
    r = (1 - w) * one + w * alpha
    a = algebra.product(alpha - one, algebra.inverse(r)) / dt
    return a, _of_resolvent(alpha, r, dt, w, algebra)


def _of_resolvent(alpha: Array, r: Array, dt: Array, w: float, algebra: Algebra) -> Factors:
    """β = (1 − w) Δ R, γ = w Δ R, δ = Δ R²."""
    return Factors(alpha, (1 - w) * dt * r, w * dt * r, dt * algebra.product(r, r))


def _refuse_pole_at_the_step(r: Array, w: float) -> None:
    """R = (1 − wz)⁻¹ explodes where a pole sits at 1/(wΔ), for Tustin at 2/Δ."""
    largest = float(np.max(r, initial=0.0))
    if not largest < 0.1 / np.finfo(float).eps:
        raise ValueError(
            f"the rational rule with w={w:g} has no value here: a pole of the system lies at 1/(w·dt); "
            "take another dt, or an exponential rule such as 'zoh'"
        )
    if largest > 1e8:
        digits = round(np.log10(largest))
        warn_of_loss(f"a pole lies close to 1/(w·dt) with w={w:g}: about {digits} digits are lost")


def _check_weight(w: Any, name: str) -> None:
    if not (_is_real(w) and 0 <= w <= 1):
        raise ValueError(f"{name}(w) needs a weight from 0 to 1, got {shorten(w)}")


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(np.isrealobj(value))
