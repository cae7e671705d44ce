"""From a kernel back to a recurrence: the system of lowest order that has these samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statespace.arrays import (
    Array,
    FrozenArrays,
    as_step,
    frozen,
    warn_of_loss,
)
from statespace.kernels.fits import One, fit, fit_after, states
from statespace.kernels.hankel import hankel, leading
from statespace.kernels.order import MOST
from statespace.kernels.record import after_delay, check_options, is_finite, read_kernel, support_of
from statespace.kernels.shift import taps
from statespace.structure import Dense
from statespace.systems import DiscreteSystem
from statespace.systems.algebra import series
from statespace.systems.show import summary

_PROMISED = 1e-9  # of the peak, at most, between kernel and h where the order is the numerical one
_LARGEST = 4096  # states of a dense system: 128 MB


@dataclass(frozen=True, eq=False, repr=False)
class Realization(FrozenArrays):
    """A system found from its kernel, and how well it is determined; `realize` makes it.

    Parameters
    ----------
    system : DiscreteSystem
        Its kernel is h: dense, in balanced coordinates, its poles kept; a DelayLine where h is finite.
    singular_values : ndarray, (..., K)
        Of the Hankel matrix of the samples after ``delay``, descending: all where the matrix is small, else the
        leading ones. In a batch filled up with NaN.
    bound : float or ndarray, (...)
        Peak gain error of the reduction, see `realize`.
    delay : int
        Samples h_1 … h_delay that are zero; the system has them as delays.
    core : DiscreteSystem
        The system without its delay: its kernel is h_delay, h_{delay+1}, …, where h_delay is 0 unless delay is. It
        costs n² products a sample where the whole needs (n + delay)²: run it and shift the output.
    error : float or ndarray, (...)
        Largest difference between h and the kernel of the system, in max|h|.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> ss.realize(0.5 ** np.arange(20.0), dt=1.0).order
    1
    """

    system: DiscreteSystem
    singular_values: Array
    bound: Any
    delay: int
    core: DiscreteSystem
    error: Any

    def __post_init__(self) -> None:
        for name in ("singular_values", "bound", "error"):
            value = getattr(self, name)
            object.__setattr__(self, name, frozen(value) if isinstance(value, np.ndarray) else value)

    @property
    def order(self) -> int:
        """Number of fitted poles; the delays of the system come on top."""
        return self.core.n_states

    def __repr__(self) -> str:
        bound, error = (f"{np.max(value, initial=0.0):.1e}" for value in (self.bound, self.error))
        return (
            f"<Realization: order {self.order}, delay {self.delay}, bound {bound}, error {error} of the peak; "
            f"{summary(self.system)}>"
        )


def realize(
    h: Any,
    order: int | None = None,
    *,
    dt: Any = None,
    fs: Any = None,
    unstable: str = "raise",
    delay: int | None = None,
    tol: float | None = None,
    time_unit: str = "s",
) -> Realization:
    """Find the recurrence of lowest order whose kernel is h, by the singular values of its Hankel matrix.

    h_0 = D, h_k = C A^{k−1} B, so H_ij = h_{1+i+j} = (C A^i)(A^j B) has rank n. Its factors give A, B and C in
    balanced coordinates (Ho and Kalman, Kung). Matrices above 128 rows are never formed: 100,000 samples to order 40
    take 2 s on one core, and 200 MB.

    Parameters
    ----------
    h : array_like, (L,) or (..., L, p, m)
        Kernel, outputs by inputs, time on axis −3; 1-D for one channel. Every sample is used: a record that has
        decayed is known best, and one that rings lightly damped needs at least 100 samples.
    order : int, optional
        Number of fitted poles: the balanced truncation of that order. By default the numerical order, the number of
        singular values above ``tol`` of the largest. Where they do not fall so low h is noisy: those above the noise
        are counted, whose rms is what the others leave of the norm of the matrix, and never more than 128.
    dt, fs : float or array_like, (...)
        Step of time of h, or samples per unit of time; exactly one of them.
    unstable : {"raise", "keep", "stabilize"}
        What is done about a fit with a pole on or outside the unit circle, by the rule of ``is_stable``. "stabilize"
        puts λ at 1/λ̄ and fits C again by least squares over h. A pole at 1 + ε then misses e^{2εL} − 1 of its part,
        where L is the length of h: next to nothing where ε is rounding, and all of it where h grows.
    delay : int, optional
        Samples h_1 … h_delay that are zero, not fitted but delays of the system; h_0 stays D. By default the exact
        zeros that are there in all channels (and kernels of a batch), less those that the fitted poles give anyway. In
        a measured record, which has none, write it: those samples are then taken as 0.
    tol : float, optional
        Smallest σ_k/σ_1 that counts. By default 9e-13, and for float32, whose samples carry their rounding, 5e-7.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    Realization
        ``system``, ``singular_values``, ``bound``, ``delay``, ``core``, ``order`` and ``error``. The system is real for
        real h, complex for complex, and of the batch of h, of one order: the largest that a member needs, the others
        filled up with states that nothing reaches.

        A finite h, with at least as many exact zeros at its end as samples from h_1 to its last other one, is a
        DelayLine with the taps as they are (a block shift for several inputs and outputs) unless ``order`` is another:
        2n samples after h_0 determine the system of order n. An h that decays until it underflows is not finite.
        If all after h_0 is zero the system is the gain h_0, without states.

        ``bound`` is 2·Σ σ_k of those left out, what was not computed estimated from above: the peak of
        the gain of h minus that of the system over all frequencies, and so of every sample, is at most that. It
        holds for h that has decayed within the record, to well below that bound, and no noise; inf where poles were
        unstable.

    Raises
    ------
    ValueError
        h has fewer than 3 samples, 2 axes (ambiguous) or values that are not finite; the order is not a positive
        integer, or more than the length or the rank of h allows; the delay leaves no samples; an option is not one of
        those above; the fit is unstable; dt and fs are given together or neither; the system would be too large.
    TypeError
        h is an array of a library that is not understood.

    Warns
    -----
    AccuracyWarning
        The order is not the rank of the matrix to rounding: noise, more than 128 poles, or too short a record; or the
        kernel of the system misses h by more than 1e-9 of its peak, reflected poles included; or ``delay`` silences
        more than a tenth of the peak. Without ``order`` only.

    References
    ----------
    B. L. Ho, R. E. Kalman, "Effective construction of linear state-variable models from input/output functions",
    Regelungstechnik 14 (1966); S.-Y. Kung, "A new identification and model reduction algorithm via singular value
    decomposition", 12th Asilomar Conference (1978); K. Glover, "All optimal Hankel-norm approximations of linear
    multivariable systems and their L∞-error bounds", Int. J. Control 39 (1984), section 9; A. C. Antoulas,
    *Approximation of Large-Scale Dynamical Systems*, SIAM 2005, sections 4.4 and 7.2.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> k = np.arange(200)
    >>> found = ss.realize(0.9**k * np.cos(0.3 * k), dt=0.1)
    >>> found.order, found.system.poles.round(6)
    (2, array([0.859803+0.265968j, 0.859803-0.265968j]))
    >>> ss.realize([0.25, 0.5, 0.25, 0.0, 0.0], dt=1.0).system.A
    DelayLine(length=2)
    """
    step = as_step(dt, fs, what="realize")
    samples, precision = read_kernel(h)
    check_options(order, unstable, delay, tol)
    tol = precision.threshold if tol is None else float(tol)
    flat = samples.reshape(-1, *samples.shape[-3:])
    build = _Builder(step, time_unit, samples, delay or 0)
    if delay is not None:
        flat = after_delay(flat, delay)
    zeros, support = support_of(flat)
    if is_finite(flat, support, precision) and order in (None, support * min(samples.shape[-2:])):
        return build.finite(flat, min(zeros, support), support)
    if delay is None:
        ones, delay = fit_after(flat, zeros, order, tol, unstable)
    else:
        ones = fit(flat, delay, order, tol, unstable)
    if order is None:
        _warn(ones, flat)
        _warn_of_silence(samples, delay)
    return build.fitted(ones, delay)


# --------------------------------------------------------------- what is said


def _warn(ones: list[One], flat: Array) -> None:
    """Say what was done where the singular values did not fall to rounding, or where the kernel is not h."""
    worst = max(ones, key=lambda one: ("rank", "noise", "cap", "short").index(one.reason))
    order, which = len(worst.fitted.a), "" if len(ones) == 1 else f" of {sum(o.reason != 'rank' for o in ones)} kernels"
    if worst.reason == "rank":
        return _warn_of_error(ones, flat)
    why = {
        "noise": f"h looks noisy, about {worst.noise:.1e} rms in a sample: order {order} is what stands above that",
        "cap": f"order {order} was taken, the most that is looked for",
        "short": f"h is too short for that: order {order} was taken, the most that {flat.shape[1]} samples determine",
    }[worst.reason]
    warn_of_loss(
        f"realize: the singular values of the Hankel matrix{which} do not fall to rounding; {why}. "
        "See .singular_values and choose with order="
    )


def _warn_of_error(ones: list[One], flat: Array) -> None:
    """A kernel misses its h, each by its own peak, by more than what was left out of it explains."""
    misses = [
        (one.error / (np.abs(h).max() or 1.0) if one.error > one.explained else 0.0, one.reflected)
        for one, h in zip(ones, flat, strict=True)
    ]
    error, reflected = max(misses)
    if error > _PROMISED:
        why = "the last samples do not follow from those before, or hardly determine the poles"
        why = "unstable poles were reflected" if reflected else why
        warn_of_loss(
            f"realize: the kernel of the result differs from h by {error:.1e} of its peak: {why}; "
            "give more samples, or choose order="
        )


def _warn_of_silence(samples: Array, delay: int) -> None:
    """What ``delay`` takes as 0 is no noise where it comes near the peak."""
    size = np.abs(samples).max(axis=(-2, -1))
    share = float((size[..., 1 : delay + 1].max(axis=-1, initial=0.0) / np.maximum(size.max(axis=-1), 1e-300)).max())
    if share > 0.1:
        warn_of_loss(
            f"realize: delay={delay} takes samples as 0 that reach {share:.2g} of the peak of h; give a shorter delay="
        )


# --------------------------------------------------------------- systems


@dataclass(frozen=True)
class _Builder:
    """Systems of the step, unit and batch that h came with."""

    step: Array
    time_unit: str
    samples: Array  # (..., L, p, m)
    silenced: int  # samples after h_0 that are taken as 0

    def finite(self, flat: Array, delay: int, support: int) -> Realization:
        """The taps as they are; none make a static gain."""
        after = flat[:, 1 : support + 1].reshape(*self.samples.shape[:-3], support, *flat.shape[2:])
        width = min(after.shape[-2:])
        if width > 1:
            self._refuse_large(0, support * width, "a finite kernel")
        system = self._system(*taps(after))
        core = self._system(*taps(after[..., delay:, :, :]), delayed=delay > 0)
        values = self._batched([leading(hankel(one[1:]), MOST).sigma for one in flat])
        zero = np.zeros(self.samples.shape[:-3])
        return Realization(system, values, _number(zero), delay, core, self._error(zero))

    def fitted(self, ones: list[One], delay: int) -> Realization:
        """The largest order of a batch for all, filled up with states that nothing reaches."""
        n, (p, m) = states(ones), self.samples.shape[-2:]
        self._refuse_large(n, delay * min(p, m), "a delay")
        a = self._batched([_filled(one.fitted.a, (n, n)) for one in ones])
        b = self._batched([_filled(one.fitted.b, (n, m)) for one in ones])
        c = self._batched([_filled(one.fitted.c, (p, n)) for one in ones])
        poles = self._batched([_filled(one.fitted.poles, (n,)) for one in ones])
        core = self._system(Dense(a, poles), b, c, delayed=delay > 0)
        system = self._after_delay(core, delay) if delay else core
        sigma, most = [one.sigma for one in ones], max(len(one.sigma) for one in ones)
        values = [np.append(s, np.full(most - len(s), np.nan)) for s in sigma]
        bound = self._batched([np.asarray(one.bound) for one in ones])
        error = self._error(self._batched([np.asarray(one.error) for one in ones]))
        return Realization(system, self._batched(values), _number(bound), delay, core, error)

    def _after_delay(self, core: DiscreteSystem, delay: int) -> DiscreteSystem:
        """Delays of the inputs, or of the outputs where those are fewer; h_0 goes around them."""
        p, m = self.samples.shape[-2:]
        one = np.zeros((delay, min(p, m), min(p, m)))
        one[-1] = np.eye(min(p, m))
        a, b, c = taps(one)
        line = replace(core, A=a, B=b, C=c, D=None)
        whole = series(line, core) if m <= p else series(core, line)
        return replace(whole, D=self.samples[..., 0, :, :])

    def _system(self, a: Any, b: Array, c: Array, *, delayed: bool = False) -> DiscreteSystem:
        d = self.samples[..., 0, :, :]
        return DiscreteSystem(a, b, c, d * 0 if delayed else d, dt=self.step, time_unit=self.time_unit)

    def _refuse_large(self, n: int, shift: int, what: str) -> None:
        if n + shift > _LARGEST:
            raise ValueError(
                f"{what} of {shift} states makes a dense system of {n + shift} states, at most {_LARGEST} are built; "
                "cut the zeros off h (then delay the signal instead), give order=, or take fewer channels at a time"
            )

    def _batched(self, values: list[Array]) -> Array:
        return np.stack(values).reshape((*self.samples.shape[:-3], *values[0].shape))

    def _error(self, fitted: Array) -> Any:
        """In max|h|, with the samples that were taken as 0."""
        size = np.abs(self.samples).max(axis=(-2, -1))
        peak, silenced = size.max(axis=-1), size[..., 1 : self.silenced + 1].max(axis=-1, initial=0.0)
        return _number(np.maximum(fitted, silenced) / np.where(peak > 0, peak, 1.0))


def _filled(part: Array, shape: tuple[int, ...]) -> Array:
    """Zeros after the last row and column."""
    return np.pad(part, [(0, n - k) for n, k in zip(shape, part.shape, strict=True)])


def _number(value: Array) -> Any:
    """A float, or an array for a batch."""
    return float(value) if value.ndim == 0 else value
