"""Who runs the same selective scan in benchmarks/gpu.py: this library, plain CuPy, and mamba_ssm where there is one."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any

from gpu_scans import Shape

import statespace as ss

Pullback = Callable[[Any], dict[str, Any]]
ARRAYS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


class Ours:
    """The library itself."""

    name = "statespace"

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy

    def bytes(self, shape: Shape, what: str) -> int:
        """Of what is made beside the inputs, roughly."""
        return 4 * (1 if what == "forward" else 5) * shape.steps

    def taken(self, given: dict[str, Any]) -> dict[str, Any]:
        """Arguments as this one takes them; made once, and not timed."""
        return given

    def forward(self, given: dict[str, Any]) -> Any:
        return ss.selective_scan(**given)

    def pullback(self, given: dict[str, Any]) -> Pullback:
        """Run forward; what is returned takes the gradient of y, and is timed."""
        _, pullback = ss.selective_scan_vjp(**given)
        return lambda grad: {name: getattr(found, name) for found in [pullback(grad)] for name in ARRAYS}

    def told(self, y: Any) -> Any:
        """What was found as an array of CuPy, time before channels."""
        return y


# --------------------------------------------------------------- plain CuPy


def softplus(xp: Any, x: Any) -> Any:
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x)))


def logistic(xp: Any, x: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def running(a: Any, b: Any) -> Any:
    """x_k = a_k x_{k−1} + b_k along axis 1, in place of b: of pairs (a, b) one, two, four apart, and so on."""
    apart, length = 1, b.shape[1]
    while apart < length:
        b[:, apart:] += a[:, apart:] * b[:, :-apart]
        a[:, apart:] = a[:, apart:] * a[:, :-apart]
        apart *= 2
    return b


class PlainCuPy:
    """A scan as one writes it in CuPy: all states of all samples at once, log2(L) passes over them."""

    name = "CuPy"

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy

    def bytes(self, shape: Shape, what: str) -> int:
        """Decays, states and products of both; back nearly twice as many."""
        return 4 * shape.steps * (5 * shape.states + 4) * (1 if what == "forward" else 2)

    def taken(self, given: dict[str, Any]) -> dict[str, Any]:
        return given

    def states(self, given: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Steps (batch, L, d), and decays and states (batch, L, d, n)."""
        xp, u, b = self.cupy, given["u"], given["B"]
        dt = softplus(xp, given["delta"] + given["delta_bias"])
        a = xp.exp(dt[..., None] * given["A"])
        return dt, a, running(a.copy(), (dt * u)[..., None] * b[:, :, None])

    def read(self, given: dict[str, Any], x: Any) -> Any:
        """C x + D u, y before the gate."""
        return (x * given["C"][:, :, None]).sum(axis=-1) + given["D"] * given["u"]

    def forward(self, given: dict[str, Any]) -> Any:
        z = given["z"]
        return self.read(given, self.states(given)[2]) * z * logistic(self.cupy, z)

    def pullback(self, given: dict[str, Any]) -> Pullback:
        dt, a, x = self.states(given)
        y = self.read(given, x)
        return lambda grad: self.gradients(given, dt, a, x, y, grad)

    def gradients(self, given: dict[str, Any], dt: Any, a: Any, x: Any, y: Any, grad: Any) -> dict[str, Any]:
        """s_k = C_k g_k + α_{k+1} s_{k+1}, and what follows from it."""
        xp, (u, z, b, c) = self.cupy, (given[name] for name in ("u", "z", "B", "C"))
        open_ = logistic(xp, z)
        of_z = grad * y * open_ * (1 + z * (1 - open_))
        grad = grad * z * open_
        after = xp.concatenate([a[:, 1:], xp.zeros_like(a[:, :1])], axis=1)[:, ::-1]
        s = running(after.copy(), (grad[..., None] * c[:, :, None])[:, ::-1].copy())[:, ::-1]
        of_v = (s * b[:, :, None]).sum(axis=-1)
        turned = s * a
        turned[:, 1:] *= x[:, :-1]
        turned[:, 0] = 0
        of_step = (turned * given["A"]).sum(axis=-1) + of_v * u
        of_raw = of_step * logistic(xp, given["delta"] + given["delta_bias"])
        return {
            "u": of_v * dt + given["D"] * grad,
            "delta": of_raw,
            "z": of_z,
            "A": (turned * dt[..., None]).sum(axis=(0, 1)),
            "B": ((dt * u)[..., None] * s).sum(axis=2),
            "C": (grad[..., None] * x).sum(axis=2),
            "D": (grad * u).sum(axis=(0, 1)),
            "delta_bias": of_raw.sum(axis=(0, 1)),
        }

    def told(self, y: Any) -> Any:
        return y


# --------------------------------------------------------------- mamba_ssm


class MambaSSM:
    """selective_scan_fn of mamba_ssm, in the layout it is made for: (batch, channels, L)."""

    name = "mamba_ssm"

    def __init__(self, cupy: Any) -> None:
        self.cupy, self.torch = cupy, importlib.import_module("torch")
        self.scan = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn

    def bytes(self, shape: Shape, what: str) -> int:
        """A copy of the inputs in its layout, y, and back as many gradients."""
        return 4 * shape.steps * (4 if what == "forward" else 10)

    def tensor(self, array: Any) -> Any:
        return self.torch.from_dlpack(array)

    def array(self, tensor: Any) -> Any:
        return self.cupy.from_dlpack(tensor.detach())

    def taken(self, given: dict[str, Any]) -> dict[str, Any]:
        """Time last in all signals, in memory too."""
        tensors = {name: self.tensor(array) for name, array in given.items() if name != "delta_softplus"}
        return {name: t.mT.contiguous() if t.ndim == 3 else t for name, t in tensors.items()}

    def forward(self, given: dict[str, Any]) -> Any:
        with self.torch.no_grad():
            return self.scan(*(given[name] for name in ARRAYS), delta_softplus=True)

    def pullback(self, given: dict[str, Any]) -> Pullback:
        tensors = {name: t.detach().requires_grad_() for name, t in given.items()}
        y = self.scan(*(tensors[name] for name in ARRAYS), delta_softplus=True)

        def gradients(grad: Any) -> dict[str, Any]:
            found = self.torch.autograd.grad(y, list(tensors.values()), grad, retain_graph=True)
            return dict(zip(tensors, found, strict=True))

        return gradients

    def told(self, y: Any) -> Any:
        return self.array(y.mT if y.ndim == 3 else y)


def peers(cupy: Any) -> list[Any]:
    """Who can run here, this library first."""
    found: list[Any] = [Ours(cupy), PlainCuPy(cupy)]
    with contextlib.suppress(ImportError):
        found.append(MambaSSM(cupy))
    return found
