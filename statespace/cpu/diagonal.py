"""Diagonal systems, and the affine step that every time-varying diagonal system comes down to."""

from __future__ import annotations

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.dense import _add_product


@compiled
def diagonal_steps(
    a: Array, bt: Array, ct: Array, dt: Array, which: Array, u: Array, x: Array, y: Array, states: Array
) -> None:
    """Run x_{k+1} = a x_k + B u_k elementwise, y_k = C x_k + D u_k; x is updated, y and states are filled."""
    out, v = np.empty(y.shape[2], x.dtype), np.empty(u.shape[2], x.dtype)
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        s = which[r]
        for k in range(u.shape[1]):
            for j in range(u.shape[2]):
                v[j] = u[r, k, j]
            if k >= first:
                for i in range(x.shape[1]):
                    states[r, k - first, i] = x[r, i]
            # y_k = C x_k + D u_k
            out[:] = 0
            _add_product(ct[s], x[r], out)
            _add_product(dt[s], v, out)
            for i in range(y.shape[2]):
                y[r, k, i] = out[i]
            # x_{k+1} = a x_k + B u_k
            for i in range(x.shape[1]):
                x[r, i] *= a[s, i]
            _add_product(bt[s], v, x[r])


@compiled
def pair_steps(
    a: Array, bt: Array, ct: Array, dt: Array, which: Array, u: Array, x: Array, y: Array, states: Array
) -> None:
    """Run x_{k+1} = a x_k + B u_k, y_k = 2·Re(C x_k) + D u_k on real signals, in real arithmetic."""
    re, im = np.empty(x.shape[1]), np.empty(x.shape[1])
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        s = which[r]
        re[:] = x[r].real
        im[:] = x[r].imag
        for k in range(u.shape[1]):
            if k >= first:
                for i in range(x.shape[1]):
                    states[r, k - first, i] = complex(re[i], im[i])
            # y_k = 2·Re(C x_k) + D u_k
            for i in range(y.shape[2]):
                total = 0.0
                for j in range(x.shape[1]):
                    total += ct[s, j, i].real * re[j] - ct[s, j, i].imag * im[j]
                total *= 2.0
                for j in range(u.shape[2]):
                    total += dt[s, j, i] * u[r, k, j]
                y[r, k, i] = total
            # x_{k+1} = a x_k + B u_k
            for i in range(x.shape[1]):
                ar, ai = a[s, i].real, a[s, i].imag
                re[i], im[i] = ar * re[i] - ai * im[i], ai * re[i] + ar * im[i]
            for j in range(u.shape[2]):
                for i in range(x.shape[1]):
                    re[i] += bt[s, j, i].real * u[r, k, j]
                    im[i] += bt[s, j, i].imag * u[r, k, j]
        for i in range(x.shape[1]):
            x[r, i] = complex(re[i], im[i])


@compiled
def affine_steps(a: Array, b: Array, which: Array, x: Array, states: Array) -> None:
    """Run x_k = a_k x_{k−1} + b_k elementwise; a (systems, L, n), b and states (rows, L, n), x (rows, n) updated."""
    for r in range(b.shape[0]):
        s = which[r]
        for k in range(b.shape[1]):
            for i in range(b.shape[2]):
                x[r, i] = a[s, k, i] * x[r, i] + b[r, k, i]
                states[r, k, i] = x[r, i]
