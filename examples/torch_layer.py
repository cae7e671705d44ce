"""Can a selective scan be trained in PyTorch, on a GPU and without one? Through the pullback of this library.

    python examples/torch_layer.py          on the first CUDA device, or on the CPU where there is none
    python examples/torch_layer.py cpu

SelectiveScan is all that PyTorch needs: forward runs `ss.selective_scan_vjp`, backward its pullback. Tensors go in and
out without a copy, by DLPack to CuPy's arrays on a GPU and as NumPy's arrays on a CPU. A small layer learns to hold a
value: it hears noise and marks, and shall give the noise under the last mark. What it learns is a long step at a mark
and short ones elsewhere; the error falls to less than a twentieth. Needs PyTorch (pip install torch), and for a GPU the
extra `gpu`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import statespace as ss

try:
    import torch
except ImportError:
    sys.exit("this example trains in PyTorch, which is not installed: python -m pip install torch")

SEQUENCES, LENGTH, CHANNELS, STATES = 32, 48, 8, 2
STEPS, RATE = 300, 0.02


# --------------------------------------------------------------- the scan, as PyTorch takes it


def to_array(tensor: Any) -> Any:
    """The same memory as an array of CuPy on a GPU, of NumPy on a CPU: contiguous, and without its history."""
    tensor = tensor.detach().contiguous()
    if not tensor.is_cuda:
        return tensor.numpy()
    import cupy

    return cupy.from_dlpack(tensor)


def to_tensor(array: Any) -> Any:
    """The same memory as a tensor, on the device of the array."""
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else torch.from_dlpack(array)


@contextmanager
def stream_of(tensor: Any) -> Iterator[None]:
    """Let CuPy work on PyTorch's stream, behind what made the tensor; each has its own, and in each thread."""
    if not tensor.is_cuda:
        yield
        return
    import cupy

    stream = torch.cuda.current_stream(tensor.device).cuda_stream
    with cupy.cuda.Device(tensor.device.index), cupy.cuda.ExternalStream(stream):
        yield


class SelectiveScan(torch.autograd.Function):
    """y of `ss.selective_scan` for u, Δ before softplus, A, B, C and D."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> Any:
        ctx.save_for_backward(*tensors)
        with stream_of(tensors[0]):
            y, ctx.pullback = ss.selective_scan_vjp(*map(to_array, tensors), delta_softplus=True)
            return to_tensor(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        _ = ctx.saved_tensors  # raises where one was changed meanwhile: the pullback reads them again
        with stream_of(grad):
            found = ctx.pullback(to_array(grad))
            return tuple(map(to_tensor, (found.u, found.delta, found.A, found.B, found.C, found.D)))


# --------------------------------------------------------------- a layer, and what it learns


class Layer(torch.nn.Module):
    """S6: steps, inputs and outputs of every sample from the sample itself, between two linear maps."""

    def __init__(self) -> None:
        super().__init__()
        self.into = torch.nn.Linear(2, CHANNELS)
        self.step = torch.nn.Linear(2, CHANNELS)
        self.levels = torch.nn.Linear(2, 2 * STATES)
        self.log_a = torch.nn.Parameter(torch.zeros(CHANNELS, STATES))
        self.direct = torch.nn.Parameter(torch.ones(CHANNELS))
        self.out = torch.nn.Linear(CHANNELS, 1)

    def forward(self, u: Any) -> Any:
        b, c = self.levels(u).split(STATES, dim=-1)
        return self.out(SelectiveScan.apply(self.into(u), self.step(u), -self.log_a.exp(), b, c, self.direct))[..., 0]


def task(device: str) -> tuple[Any, Any]:
    """Noise and marks, one sample in eight; and the noise under the last mark, 0 before the first."""
    rng = np.random.default_rng(0)
    noise, marks = rng.normal(size=(SEQUENCES, LENGTH)), rng.random((SEQUENCES, LENGTH)) < 1 / 8
    last = np.maximum.accumulate(np.where(marks, np.arange(LENGTH), -1), axis=1)
    held = np.where(last >= 0, np.take_along_axis(noise, np.maximum(last, 0), axis=1), 0)
    given = np.stack([noise, marks], axis=-1)
    return tuple(torch.from_numpy(a.astype(np.float32)).to(device) for a in (given, held))


def train(device: str, steps: int = STEPS) -> tuple[Layer, list[float]]:
    """The layer, and its mean squared error before every step and after the last."""
    torch.manual_seed(0)
    layer, (u, wanted), losses = Layer().to(device), task(device), []
    optimizer = torch.optim.Adam(layer.parameters(), RATE)
    for step in range(steps + 1):
        loss = (layer(u) - wanted).square().mean()
        losses.append(loss.item())
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return layer, losses


def steps_taken(layer: Layer, device: str) -> tuple[float, float]:
    """The mean step of the channel that tells them apart best, at marks and elsewhere."""
    u = task(device)[0]
    with torch.no_grad():
        step = torch.nn.functional.softplus(layer.step(u))
    marked = u[..., 1] > 0
    at, elsewhere = step[marked].mean(dim=0), step[~marked].mean(dim=0)
    best = (at / elsewhere).argmax()
    return at[best].item(), elsewhere[best].item()


def right(device: str) -> bool:
    """Whether gradients in double are those of differences, by PyTorch's own check."""
    torch.manual_seed(1)
    sizes = ((2, 5, 3), (2, 5, 3), (3, 2), (2, 5, 2), (2, 5, 2), (3,))
    tensors = [torch.randn(size, dtype=torch.float64, device=device, requires_grad=True) for size in sizes]
    return bool(torch.autograd.gradcheck(lambda u, d, a, *more: SelectiveScan.apply(u, d, -a.exp(), *more), tensors))


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda" if torch.cuda.is_available() else "cpu"
    print(f"on {device}: gradients are {'right' if right(device) else 'wrong'}")
    layer, losses = train(device)
    print(f"mean squared error: {losses[0]:.3f} before, {losses[-1]:.4f} after {len(losses) - 1} steps of Adam")
    print("its step, in one channel: {:.2f} at marks, {:.4f} elsewhere".format(*steps_taken(layer, device)))


if __name__ == "__main__":
    main()
