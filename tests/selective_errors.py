"""What the selective doors say to bad input; part of the table of tests/test_errors.py."""

from types import SimpleNamespace

import numpy as np
import pytest

import statespace as ss
from statespace import ssd, ssd_trapezoidal, ssd_trapezoidal_vjp, ssd_vjp
from statespace.scan import require_one_place

ONES = np.ones
SMALL = {"x": ONES((4, 2, 3)), "delta": ONES((4, 2)), "A": [-1.0, -1.0], "B": ONES((4, 1, 2)), "C": ONES((4, 1, 2))}
V, T, W = ValueError, TypeError, RuntimeWarning


def plain(**more):
    return ssd(**SMALL | more)


def two_taps(**more):
    return ssd_trapezoidal(**SMALL | {"weight": ONES((4, 2))} | more)


def pulled(grad_y=None, grad_state=None):
    y, pullback = ssd_vjp(**SMALL)
    return pullback(y if grad_y is None else grad_y, grad_state)


def pulled_twice(grad_state):
    y, pullback = ssd_trapezoidal_vjp(**SMALL, weight=ONES((4, 2)))
    return pullback(y, grad_state)


START = (ONES((2, 3, 2)), ONES((2, 2)), ONES((2, 3)), ONES((2, 0)))
SSD = [
    (lambda: plain(x=ONES((4, 2))), V, r"^x must have shape \(\.\.\., L, h, p\): time, heads, .*got \(4, 2\)"),
    (
        lambda: plain(x=1j * ONES((4, 2, 3))),
        T,
        r"^x must be real, got complex128; ssd_trapezoidal turns .*selective_scan",
    ),
    (lambda: plain(C=1j * ONES((4, 1, 2))), T, r"^C must be real, got complex128"),
    (
        lambda: plain(delta=ONES((3, 2))),
        V,
        r"^delta must have shape \(\.\.\., L=4, h=2\) beside x .*\(4, 2, 3\), got \(3, 2\)$",
    ),
    (
        lambda: plain(x=ONES((2, 4, 3))),
        V,
        r"^delta must have .*got \(4, 2\); time is in front .*write x\.swapaxes\(-3, -2\)",
    ),
    (
        lambda: plain(delta=[[1, 1], [1, -2], [-1, 1], [1, 1]]),
        V,
        r"got 2 negative of 8 .*delta\[1, 1\] = -2; apply softplus",
    ),
    (lambda: plain(delta=ONES((4, 2)) * np.nan), V, r"^delta must be finite, got 8 NaN"),
    (lambda: plain(A=[-1.0]), V, r"^A must have shape \(h=2,\), or \(\.\.\., L=4, h=2\) where .*got \(1,\) beside x"),
    (lambda: plain(A=-ONES(4)), V, r"^A must have shape .*got \(4,\) beside .*write x\.swapaxes\(-3, -2\)"),
    (lambda: plain(A=[-1.0, -np.inf]), V, r"^A must be finite"),
    (lambda: plain(A=[-1.0, 1.0]), RuntimeWarning, r"^A is positive in 1 of 2 entries: .*grows .*write A = -np\.exp"),
    (lambda: plain(B=ONES((1, 2))), V, r"^B must have shape \(\.\.\., L=4 or 1, g, n\): .*got \(1, 2\) beside x"),
    (lambda: plain(C=ONES((2, 1, 2))), V, r"^C must have shape .*got \(2, 1, 2\) beside .*write x\.swapaxes"),
    (lambda: plain(C=ONES((4, 1, 3))), V, r"^B and C must have the same groups .*got \(4, 1, 2\) and \(4, 1, 3\)"),
    (
        lambda: plain(B=ONES((4, 3, 2)), C=ONES((4, 3, 2))),
        V,
        r"^the groups of B and C must divide the heads .*g=3, h=2",
    ),
    (lambda: plain(D=ONES(3)), V, r"^D must have shape \(h=2,\) or \(h=2, p=3\), got \(3,\)"),
    (lambda: plain(x0=ONES((2, 2, 3))), V, r"^x0 must have shape \(\.\.\., 2, 3, 2\): .*got \(2, 2, 3\)"),
    (lambda: plain(reset=[0, 1, 0, 0]), T, r"^reset must be bool \(\.\.\., L\), .*got \[0, 1, 0, 0\]"),
    (lambda: plain(reset=[[True], [True, False]]), T, r"^reset must be bool"),
    (lambda: plain(reset=[True]), V, r"^reset must have shape \(\.\.\., L=4\), .*got \(1,\)"),
    (lambda: plain(chunk=0), V, r"^chunk must be an integer, 1 or more: .*got 0"),
    (lambda: plain(chunk=True), V, r"^chunk must be an integer, 1 or more: .*got True"),
    (
        lambda: plain(x=ONES((2, 4, 2, 3)), x0=ONES((3, 2, 3, 2))),
        V,
        r"^the batch axes do not broadcast: x \(2,\), x0 \(3,\); they lead",
    ),
    (lambda: two_taps(weight=ONES((4, 3))), V, r"^weight must have shape \(\.\.\., L=4, h=2\)"),
    (
        lambda: two_taps(weight=2 * ONES((4, 2))),
        V,
        r"^weight must lie in \[0, 1\], got 8 of 8 .*weight\[0, 0\] = 2; .*sigmoid",
    ),
    (lambda: two_taps(weight=np.nan * ONES((4, 2))), V, r"^weight must lie in \[0, 1\], got 8 of 8"),
    (
        lambda: two_taps(angles=ONES((4, 2))),
        V,
        r"^angles must have shape \(\.\.\., L=4, h=2, s\) beside x .*got \(4, 2\)",
    ),
    (
        lambda: two_taps(angles=ONES((4, 2, 2))),
        V,
        r"^angles turn pairs of the n=2 states, at most 1, got s=2 on the last axis",
    ),
    (lambda: two_taps(angles=np.inf * ONES((4, 2, 1))), V, r"^angles must be finite"),
    (
        lambda: two_taps(x0=ONES((2, 3, 2))),
        T,
        r"^x0 must be a TrapezoidalState \(state, key, value, angle\), which return_state",
    ),
    (
        lambda: two_taps(x0=(*START[:3], ONES((2, 1)))),
        V,
        r"^x0\.angle must have shape \(\.\.\., 2, 0\): .*got \(2, 1\)",
    ),
    (
        lambda: two_taps(x=ONES((5, 4, 2, 3)), x0=(*START[:2], ONES((3, 2, 3)), START[3])),
        V,
        r"^the batch axes do not broadcast: x, delta, A, B, C and reset \(5,\), x0\.value \(3,\)",
    ),
    (lambda: pulled(grad_y=ONES(3)), V, r"^grad_y must have the shape .*\(4, 2, 3\), got \(3,\)"),
    (lambda: pulled(grad_y=1j * ONES((4, 2, 3))), T, r"^grad_y must be real"),
    (lambda: pulled(grad_state=ONES(3)), V, r"^grad_state must have the shape .*\(2, 3, 2\), got \(3,\)"),
    (
        lambda: pulled_twice(ONES((2, 3, 2))),
        T,
        r"^grad_state must be a TrapezoidalState of gradients, each an array or None",
    ),
    (lambda: pulled_twice((*START[:3], ONES(1))), V, r"^grad_state\.angle must have the shape .*\(2, 0\), got \(1,\)"),
    (lambda: plain(A=[1.0, -1.0]), W, r"^A is positive in 1 of 2 entries: .*grows without bound"),
]

U, B, A = ONES((4, 3)), ONES((4, 2)), -ONES((3, 2))


def scan(**more):
    return ss.selective_scan(**{"u": U, "delta": U, "A": A, "B": B, "C": B} | more)


def grows():
    return scan(A=-2 * A, method="bilinear")


def scan_pulled(grad_y=U, grad_state=None, **more):
    _, pullback = ss.selective_scan_vjp(**{"u": U, "delta": U, "A": A, "B": B, "C": B} | more)
    return pullback(grad_y, grad_state)


def on_gpu(number):
    """What an array of CuPy is known by."""

    def refused(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    return type("ndarray", (), {"__module__": "cupy", "device": SimpleNamespace(id=number), "__array__": refused})()


def beside_the_current_gpu():
    """With another GPU than that of u the current one."""
    cupy = SimpleNamespace(cuda=SimpleNamespace(Device=lambda: SimpleNamespace(id=0)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("statespace.gpu.require_device", lambda: cupy)
        require_one_place(on_gpu(1), "u", {})


SCAN = [
    (
        beside_the_current_gpu,
        RuntimeError,
        r"^u lives on GPU 1, and GPU 0 is the current one, .*cupy\.cuda\.Device\(1\)",
    ),
    (
        lambda: ss.selective_scan([on_gpu(0)], [1.0], [[-1.0]], [[1.0]], [[1.0]]),
        T,
        r"^u is a list that holds arrays of a GPU; write cupy\.stack\(u\)$",
    ),
    (lambda: scan(u=on_gpu(0)), T, r"^delta lives on the host and u on a GPU; write cupy\.asarray\(delta\)$"),
    (lambda: scan(A=on_gpu(0)), T, r"^A lives on a GPU and u on the host; write cupy\.asarray\(u\), or cupy"),
    (
        lambda: scan(u=on_gpu(0), delta=on_gpu(1)),
        T,
        r"^delta lives on GPU 1 and u on GPU 0; write cupy\.asarray\(delta\) under cupy\.cuda\.Device\(0\)$",
    ),
    (lambda: scan(method="matched"), V, r"^MatchedPoles is no function of ΔA and has no step that varies; take"),
    (
        lambda: scan(method=ss.Bilinear(prewarp=1.0)),
        V,
        r"^a selective scan has no one step to prewarp for, .*warp delta",
    ),
    (lambda: scan(pairs=1), T, r"^pairs must be True or False, got 1"),
    (lambda: scan(delta_softplus=None), T, r"^delta_softplus must be True or False, got None"),
    (lambda: scan(A=ONES(3)), V, r"^A must have shape \(d, n\), poles of every channel, got A\.shape=\(3,\)"),
    (lambda: scan(A=np.nan * A), V, r"^A must be finite"),
    (lambda: scan(u=ONES(3)), V, r"^u must have shape \(\.\.\., L, d\), time before channels, got u\.shape=\(3,\)"),
    (
        lambda: scan(u=U.T),
        V,
        r"^u must have shape \(\.\.\., L, 3\), .*looks like \(batch, d, L\).*numpy\.swapaxes\(u, -1",
    ),
    (
        lambda: scan(u=ONES((4, 5))),
        V,
        r"^u must have shape \(\.\.\., L, 3\), as A of shape \(3, 2\) has 3 channels, got",
    ),
    (lambda: scan(delta=U.T), V, r"^delta must have shape \(\.\.\., 4, 3\), .*write numpy\.swapaxes\(delta, -1, -2\)"),
    (lambda: scan(z=U[:2]), V, r"^z must have shape \(\.\.\., 4, 3\)"),
    (lambda: scan(delta=1j * U), T, r"^delta must be real, got dtype complex128"),
    (
        lambda: scan(delta=-U),
        V,
        r"^delta must be 0 or more, it is a step of time, got -1 in channel 0; .*delta_softplus=True",
    ),
    (lambda: scan(delta=np.where(U > 0, np.inf, U)), V, r"^delta must be finite, got 12 NaN or infinite of 12 values"),
    (lambda: scan(delta_bias=-2 * ONES(3)), V, r"^delta must be 0 or more, .*got -1 in channel 0"),
    (lambda: scan(delta_bias=1j * ONES(3)), T, r"^delta_bias must be real, got dtype complex128"),
    (lambda: scan(D=ONES(2)), V, r"^D must have shape \(3,\), one number for each channel, got D\.shape=\(2,\)"),
    (lambda: scan(groups=1.0), T, r"^groups must be a whole number, 1 or more, got 1\.0"),
    (lambda: scan(groups=2), V, r"^groups must divide the channels between them, got groups=2 and 3 channels"),
    (
        lambda: scan(B=ONES((4, 3, 2))),
        V,
        r"^B must have shape \(\.\.\., 4 or 1, 2\), .*for an axis of groups say so: groups=3",
    ),
    (lambda: scan(C=B.T), V, r"^C must have shape .*looks like \(batch, n, L\), .*write numpy\.swapaxes\(C, -1, -2\)"),
    (lambda: scan(B=ONES(2)), V, r"^B must have shape .*a constant has a time axis of length 1: write B\[None, :\]"),
    (lambda: scan(x0=ONES(2)), V, r"^x0 must have shape \(\.\.\., 3, 2\), got x0\.shape=\(2,\)"),
    (
        lambda: scan(x0=A, method="zoh"),
        T,
        r"^ZeroOrderHold.* takes the sample before too: x0 must be the pair \(x, v\)",
    ),
    (lambda: scan(x0=(A, A)), T, r"^x0 must be one array, Impulse\(\) has one tap and no pair \(x, v\), got a tuple"),
    (lambda: scan_pulled(grad_state=(A, A)), T, r"^grad_state must be one array, Impulse\(\) has one tap and no pair"),
    (lambda: scan(C=None), T, r"^a selective scan needs delta, A, B and C, or a SelectiveSystem .*; missing: C$"),
    (lambda: grows(), V, r"^Bilinear\(.* has no step to a pole at 1/\(wΔ\) = 2, which A\[0, 0\] is at delta\[0, 0\]"),
    (lambda: scan(x0=(A, ONES(2)), method="zoh"), V, r"^x0\[1\] must have shape \(\.\.\., 3, 2\)"),
    (lambda: scan(reset=ONES(4)), T, r"^reset must be bool, True where a sequence starts, got array"),
    (
        lambda: scan(reset=[True]),
        V,
        r"^reset must have shape \(\.\.\., 4\), one for each sample, got reset\.shape=\(1,\)",
    ),
    (
        lambda: scan(u=1j * U, pairs=True),
        V,
        r"^pairs=True gives 2·Re\(C x\) of real signals, got u of dtype complex128",
    ),
    (lambda: scan(D=1j * ONES(3), pairs=True), V, r"^with pairs=True the output is real, and D must be, got dtype"),
    (
        lambda: scan(u=ONES((2, 4, 3)), B=ONES((3, 4, 2))),
        V,
        r"^the batch axes do not broadcast: u has \(2,\), .*B has \(3",
    ),
    (
        lambda: scan(A=-A),
        W,
        r"^A has 6 poles of 6 with a real part above 0, the first is A\[0, 0\] = 1: its state grows",
    ),
    (
        lambda: ss.selective_step(None, 1.0, U[0], A, B[0], B[0]),
        V,
        r"^u of one sample must have shape \(\.\.\., d\), got",
    ),
    (
        lambda: ss.selective_step(None, U[0], U[0], A, B[0], B[0], groups=1),
        V,
        r"^B of one sample must have shape .*g, n",
    ),
    (lambda: scan_pulled(grad_y=U[:2]), V, r"^grad_y must have the shape of what it is the gradient of, \(4, 3\), got"),
    (
        lambda: scan_pulled(grad_y=1j * U),
        T,
        r"^grad_y must be real, as what it is the gradient of, got dtype complex128",
    ),
    (lambda: scan_pulled(grad_state=A, method="zoh"), T, r"^grad_state must be a pair, \(x, v\), as the state is"),
]
LAYER = ss.SelectiveSystem.initial(3, 2)


def layer(**more):
    return ss.SelectiveSystem(**{"A": A, "delta_bias": ONES(3), "B": ONES(2), "C": ONES(2)} | more)


SYSTEM = [
    (lambda: layer(A=ONES(3)), V, r"^A must have shape \(d, n\), poles of every channel, got A\.shape=\(3,\)"),
    (lambda: layer(B_projection=ONES((2, 3))), V, r"^give B, a constant, or B_projection, .*; got both"),
    (lambda: layer(C=None), V, r"^give C, a constant, or C_projection, .*; got neither"),
    (lambda: layer(delta_up=ONES((3, 1))), V, r"^delta_up and delta_down come together; leave both out for a constant"),
    (lambda: layer(delta_bias=1j * ONES(3)), T, r"^delta_bias must be real, got dtype complex128"),
    (lambda: layer(delta_bias=ONES(2)), V, r"^delta_bias must have shape \(3,\), got delta_bias\.shape=\(2,\)"),
    (lambda: ss.SelectiveSystem.initial(0, 2), V, r"^d must be a whole number, 1 or more, got 0"),
    (lambda: ss.SelectiveSystem.initial(3, 2, selective="B"), V, r"^selective must be a tuple of some of .*, got 'B'"),
    (lambda: ss.selective_scan(1j * U, LAYER), T, r"^a SelectiveSystem makes its steps of u, which must be real"),
    (lambda: ss.simulate(LAYER, U.T), V, r"^u must have shape \(\.\.\., L, 3\), .*write numpy\.swapaxes\(u, -1, -2\)"),
    (lambda: ss.explain(LAYER, U, dt=1.0), V, r"^explain of a SelectiveSystem, .*takes u; leave out dt"),
    (lambda: ss.simulate(LAYER, U, t=np.arange(9.0)), V, r"^simulate of a SelectiveSystem, .*leave out t$"),
    (lambda: ss.selective_scan(U * np.nan, LAYER), V, r"^u must be finite"),
    (lambda: ss.sequence_matrix(LAYER), T, r"^sequence_matrix of a SelectiveSystem takes the system and then its sig"),
    (lambda: ss.sequence_matrix(U, LAYER), T, r"^sequence_matrix of a SelectiveSystem takes the system and then its "),
    (lambda: ss.sequence_matrix(np.abs(U), [[-1.0]]), T, r"^a selective scan needs delta.*; missing: B, C$"),
    (
        lambda: ss.Stream(LAYER, state="steady"),
        V,
        r"^a Stream of a SelectiveSystem .*from a state; leave out state='st",
    ),
    (lambda: ss.simulate(LAYER, U, dt=1.0, states=True), V, r"^simulate of a SelectiveSystem, .*leave out dt, states"),
    (lambda: ss.selective_scan(U, LAYER, A), T, r"^a SelectiveSystem brings everything but u, z, x0 .*leave out A$"),
    (
        lambda: ss.Stream(LAYER, axis=0),
        V,
        r"^a Stream of a SelectiveSystem takes blocks \(\.\.\., L, d\), .*leave out axis",
    ),
    (lambda: ss.frozen(A, U[0]), T, r"^frozen takes a SelectiveSystem and a sample, got ndarray"),
    (
        lambda: ss.frozen(LAYER, U[0, :2]),
        V,
        r"^u_t must be real and have shape \(\.\.\., 3\), one sample of every channel",
    ),
    (lambda: ss.sequence_matrix(ONES(3), A, B, B), V, r"^delta must have shape \(\.\.\., L, d\), time before channels"),
]
CASES = [*SCAN, *SYSTEM, *SSD]
