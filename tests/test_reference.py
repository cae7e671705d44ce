"""High-order filters against 60 digits: zoh, foh and bilinear kernels of analog Butterworth filters."""

import numpy as np
import pytest
from scipy import signal

import statespace as ss

LENGTH = 4096
FC = 1e3


def exact_kernels(z, p, k, dt, length):
    """Kernels by partial fractions at 60 digits: Σ residue · (γ-factor, then δ-factor · α^(n−1)) over the poles."""
    import mpmath as mp

    with mp.workdps(60):
        zeros, poles = ([mp.mpc(complex(q)) for q in x] for x in (z, p))
        step, half = mp.mpf(float(dt)), mp.mpf(1) / 2
        out = {method: [mp.mpf(0)] * length for method in ("zoh", "foh", "bilinear")}
        for i, pole in enumerate(poles):
            if pole.imag < 0:
                continue  # its conjugate counts twice
            weight = 2 if pole.imag > 0 else 1
            residue = mp.fprod([pole - q for q in zeros]) * float(k) * weight
            residue /= mp.fprod([pole - q for j, q in enumerate(poles) if j != i])
            x = pole * step
            phi1, phi2, r = mp.expm1(x) / x, (mp.expm1(x) - x) / x**2, 1 / (1 - x * half)
            rules = {
                "zoh": (0, phi1, mp.exp(x)),
                "foh": (phi2, phi1**2, mp.exp(x)),
                "bilinear": (half * r, r**2, (1 + x * half) * r),
            }
            for method, (gamma, delta, alpha) in rules.items():
                h, value = out[method], residue * step * delta
                h[0] += mp.re(residue * step * gamma)
                for n in range(1, length):
                    h[n] += value.real
                    value *= alpha
        return {method: np.array([float(v) for v in h]) for method, h in out.items()}


@pytest.mark.peer
@pytest.mark.parametrize("ratio", [4, 8, 30, 1000])
@pytest.mark.parametrize("kind", ["low", "band"])
@pytest.mark.parametrize("order", [8, 12, 16, 20])
def test_butterworth_kernels(order, kind, ratio):
    """1e-12 (low-pass) and 1e-11 (band-pass of 10 % width), relative to the largest of 4096 samples.

    Measured: at most 3e-13 (low-pass, bilinear at fs/fc = 1000) and 5e-13 (band-pass).
    At fs/fc = 8 a low-pass is held to 1e-13. `filter` with an impulse gives the same kernel.
    """
    cutoff = 2 * np.pi * FC * (np.array([0.95, 1.05]) if kind == "band" else 1.0)
    z, p, k = signal.butter(order // 2 if kind == "band" else order, cutoff, kind, analog=True, output="zpk")
    system = ss.from_zpk(z, p, k)
    bar = 1e-11 if kind == "band" else (1e-13 if ratio == 8 else 1e-12)
    impulse = np.zeros(LENGTH)
    impulse[0] = 1.0
    for method, wanted in exact_kernels(z, p, k, 1 / (ratio * FC), LENGTH).items():
        digital = ss.discretize(system, fs=ratio * FC, method=method)
        h = ss.impulse_response(digital, LENGTH).y
        assert np.max(np.abs(h - wanted)) < bar * np.max(np.abs(wanted)), method
        assert np.array_equal(ss.filter(digital, impulse), h)


@pytest.mark.peer
@pytest.mark.parametrize("order", [16, 20])
def test_band_pass_prototypes_of_full_order(order):
    """A band-pass made from a prototype of order 16 or 20 has 32 or 40 poles: still within 1e-11."""
    cutoff = 2 * np.pi * FC * np.array([0.95, 1.05])
    z, p, k = signal.butter(order, cutoff, "band", analog=True, output="zpk")
    for method, wanted in exact_kernels(z, p, k, 1 / (8 * FC), 2048).items():
        h = ss.impulse_response(ss.discretize(ss.from_zpk(z, p, k), fs=8 * FC, method=method), 2048).y
        assert np.max(np.abs(h - wanted)) < 1e-11 * np.max(np.abs(wanted)), method
