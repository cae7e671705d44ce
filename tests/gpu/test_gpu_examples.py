"""The benchmark of the GPU engine and the layer for PyTorch: what they count, what they check, and that they run."""

import json
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import card
import compile_matrix
import numpy as np
import pretend
import pytest

import statespace as ss
from statespace.gpu import loader

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "examples" / "benchmarks"
HELPERS = ("gpu_card", "gpu_scans", "gpu_peers", "gpu_layers")


def loaded(name, path):
    spec = spec_from_file_location(name, path)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(BENCHMARKS))
    yield loaded("gpu_benchmark", BENCHMARKS / "gpu.py")
    sys.path.remove(str(BENCHMARKS))
    for name in ("gpu_benchmark", *HELPERS):
        sys.modules.pop(name, None)


class Event:
    """An event of a card that has done everything as soon as it is asked; each is 1 ms after the one before."""

    count = 0
    done = False

    def record(self):
        Event.count += 1
        self.at = Event.count

    def synchronize(self):
        card.machine.waits += 1


@pytest.fixture
def timed(cupy, monkeypatch):
    """CuPy with events; where it is pretended these and what else a card tells are added here."""
    if cupy is pretend.cupy:
        more = {"ClockRate": 1_980_000, "L2CacheSize": 1 << 20}
        attributes = card.Device.attributes.fget
        monkeypatch.setattr(card.Device, "attributes", property(lambda self: attributes(self) | more))
        monkeypatch.setattr(cupy.cuda, "Event", Event, raising=False)
        monkeypatch.setattr(cupy.cuda, "get_elapsed_time", lambda a, b: float(b.at - a.at), raising=False)
        monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (1 << 24, 1 << 24), raising=False)
        pool = card.module_of("pool", free_all_blocks=lambda: None)
        monkeypatch.setattr(cupy, "get_default_memory_pool", lambda: pool, raising=False)
    return cupy


@pytest.fixture
def scans(benchmark):
    return sys.modules["gpu_scans"]


@pytest.fixture
def helper(benchmark):
    return sys.modules["gpu_card"]


# --------------------------------------------------------------- what it counts


def h200(helper):
    return helper.Card("H200", 132, 1.98e9, 50 << 20, 140 << 30)


def test_the_limits_of_an_h200(helper, scans):
    """20 exponentials of 16 a clock, and 124 instructions of 128, on 132 multiprocessors at 1.98 GHz."""
    shape = scans.Shape(8, 4096, 1536, 16)
    exps = scans.exponentials(shape, "forward")
    assert (exps, scans.exponentials(shape, "pullback")) == (20, 21)
    assert helper.exp2_limit(h200(helper), exps) == pytest.approx(4.78e-12, abs=0.005e-12)
    assert helper.issue_limit(h200(helper), 124) == pytest.approx(3.7e-12, abs=0.02e-12)


def test_bytes_that_must_move(scans):
    """By hand: 16 bytes a channel and step and 128 a sample forward, 28 and 256 back."""
    shape = scans.Shape(2, 3, 5, 16)
    assert shape.steps == 30
    assert scans.bytes_moved(shape, "forward") == 16 * 30 + 128 * 6
    assert scans.bytes_moved(shape, "pullback") == 28 * 30 + 256 * 6


def test_lanes_and_instructions(scans, monkeypatch):
    """Those of the launcher's rule; of blocks of time both passes, and none where one was not counted."""
    long, wide, full = (scans.Shape(*sizes, 16) for sizes in ((1, 1_048_576, 64), (8, 4096, 1536), (64, 4096, 1536)))
    assert scans.laid_out(full, "forward", 132) == (1, 1)
    assert scans.laid_out(wide, "forward", 132) == (4, 1)
    assert scans.laid_out(long, "forward", 132) == (8, 231)
    assert scans.laid_out(wide, "pullback", 132) == (4, 1)
    monkeypatch.setattr(scans, "INSTRUCTIONS", {("forward", 16, 8): 200, ("forward", 16, 4): 150})
    assert scans.instructions(long, "forward", 132) is None
    assert scans.instructions(wide, "forward", 132) == 150
    scans.INSTRUCTIONS["forward, ends", 16, 8] = 90
    assert scans.instructions(long, "forward", 132) == 290


def test_inputs_that_no_cache_holds(benchmark, helper, scans):
    small, large = scans.Shape(1, 65_536, 16, 64), scans.Shape(64, 4096, 1536, 16)
    for shape, count in ((small, 5), (large, 2)):
        assert benchmark.sets_of(h200(helper), shape) == count
        assert count == 2 or count * scans.bytes_moved(shape, "forward") >= 4 * h200(helper).l2


def row(benchmark, scans, **changed):
    given = {"what": "forward", "shape": scans.Shape(8, 4096, 1536, 16), "by": "statespace", "milliseconds": 0.36,
             "picoseconds": 7.1, "gigabytes": 2262.0, "of_copy": 0.53, "of_exp2": 0.67, "of_issue": None,
             "of_ours": None, "of_forward": None, "error": 1e-6}  # fmt: skip
    return benchmark.Row(**(given | changed))


def test_goals(benchmark, scans):
    judged, goals = benchmark.judged, benchmark.GOALS
    shapes = benchmark.SHAPES
    got = judged(row(benchmark, scans), goals["forward", shapes[0]])
    assert (got.wanted, got.reached) == ("≤ 7.2 ps", True)
    got = judged(row(benchmark, scans, of_exp2=0.79), goals["forward", shapes[1]])
    assert (got.wanted, got.reached) == ("≥ 0.8 exp2", False)
    got = judged(row(benchmark, scans, milliseconds=0.99), goals["forward", shapes[2]])
    assert (got.wanted, got.reached) == ("≤ 1 ms", True)
    got = judged(row(benchmark, scans, of_forward=3.6), goals["pullback", shapes[4]])
    assert (got.wanted, got.reached) == ("≤ 3.5 × forward", False)
    assert judged(row(benchmark, scans), None).reached is None
    line = benchmark.line_of(got._asdict())
    assert "67 %" in line
    assert line.endswith("3.60    1e-06  ≤ 3.5 × forward  no")


def test_shapes_are_read(benchmark, monkeypatch, capsys):
    assert benchmark.shape_of("1,65_536,16,64") == benchmark.SHAPES[4]
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--shapes", "1,2,3"])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert "a shape is batch,L,channels,states, four numbers from 1 on, got '1,2,3'" in capsys.readouterr().err


# --------------------------------------------------------------- kernels of its own


def test_noise_is_normal(cupy, helper):
    x = helper.noise(cupy, (300, 100), 1).get()
    assert abs(x.mean()) < 0.02
    assert x.std() == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(x) < 1) == pytest.approx(0.68, abs=0.02)
    assert abs(np.corrcoef(x[:, :-1].ravel(), x[:, 1:].ravel())[0, 1]) < 0.02
    other = helper.noise(cupy, (300, 100), 2).get()
    assert abs(np.corrcoef(x.ravel(), other.ravel())[0, 1]) < 0.02


def test_what_a_load_costs(cupy, helper):
    loads = helper.load_costs(cupy, 8)
    assert [load.distinct for load in loads] == [1, 2, 4, 8, 32]
    assert all(load.clocks > 0 for load in loads)
    whole = [load for load in loads if load.distinct == 32]
    assert cupy is pretend.cupy or whole[0].clocks > 3.5  # 512 bytes of 128 a clock


@pytest.mark.parametrize("architecture", [75, 90])
def test_its_kernels_compile(benchmark, architecture):
    """As CuPy would compile them: without a warning."""
    try:
        compile_matrix.nvrtc()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    text = loader.source("device.cuh") + "\n" + loader.source("gpu_tools.cu", BENCHMARKS)
    for distinct in (1, 32):
        macros = loader.options((("REAL", "float"), ("DISTINCT", distinct)))
        fine, log = compile_matrix.log_of(text, (*macros, f"--gpu-architecture=sm_{architecture}"))
        assert fine, log
        assert "warning" not in log


def test_a_card_that_was_not_held_long_enough(benchmark, timed, helper, monkeypatch):
    """Where it begins before the host is done, the run is repeated behind a longer wait."""
    if timed is not pretend.cupy:
        pytest.skip("needs events that lie")
    early, runs = iter([True, True, False]), []
    monkeypatch.setattr(Event, "done", property(lambda self: next(early)))
    timer = helper.Timer(timed, 1e9)
    before = timer.wait
    assert timer(lambda: runs.append(0)) == 1e-3
    assert len(runs) == 3
    assert timer.wait >= 4 * before


# --------------------------------------------------------------- its checks


TINY = (2, 40, 7, 3)


@pytest.mark.parametrize("peer", [0, 1])
def test_everybody_is_right(cupy, benchmark, scans, peer):
    """This library and plain CuPy, forward and all eight gradients."""
    shape = scans.Shape(*TINY)
    runner = benchmark.peers(cupy)[peer]
    given = scans.inputs(cupy, shape)
    check = scans.check_forward(cupy, shape, given, runner.forward(given))
    assert 0 < check.held().error < check.allowed / 4
    grad = scans.gradient_of_part(cupy, shape)
    found = runner.pullback(given)(grad)
    assert set(found) == {"u", "delta", "A", "B", "C", "D", "z", "delta_bias"}
    check = scans.check_pullback(cupy, shape, given, grad, found)
    assert 0 < check.held().error < check.allowed / 4


def test_a_wrong_output_is_not_timed(cupy, scans):
    """A part in ten thousand, NaN, a channel too late, a sample too late."""
    shape = scans.Shape(*TINY)
    given = scans.inputs(cupy, shape)
    y = ss.selective_scan(**given)
    late = cupy.roll(y, 1, axis=1)
    for wrong in (y * 1.0001, y + cupy.nan, cupy.roll(y, 1, axis=2), late):
        with pytest.raises(AssertionError, match=r"^wrong y: error .*, allowed "):
            scans.check_forward(cupy, shape, given, wrong).held()


@pytest.mark.parametrize("name", ["u", "delta", "A", "B", "C", "D", "z", "delta_bias"])
def test_a_wrong_gradient_is_not_timed(cupy, benchmark, scans, name):
    """In the part that is checked, and where it has to be 0."""
    shape = scans.Shape(2, 40, 9, 3)
    given, grad = scans.inputs(cupy, shape), scans.gradient_of_part(cupy, shape)
    found = benchmark.Ours(cupy).pullback(given)(grad)
    with pytest.raises(AssertionError, match=f"^wrong gradient of {name}: error"):
        scans.check_pullback(cupy, shape, given, grad, found | {name: found[name] * 1.001}).held()
    if name in ("B", "C"):
        return  # both sequences are checked
    found[name][(2,) if name == "A" else (..., 2)] += 0.5  # channel 2 is not among those that are checked
    with pytest.raises(AssertionError, match=f"^wrong gradient of {name} elsewhere: error"):
        scans.check_pullback(cupy, shape, given, grad, found).held()


def test_a_wrong_engine_ends_the_run(timed, benchmark, scans, monkeypatch):
    right = ss.selective_scan
    monkeypatch.setattr(benchmark.ss, "selective_scan", lambda **given: _louder(right, given))
    with pytest.raises(AssertionError, match=r"^wrong y: error"):
        benchmark.measured(timed, [scans.Shape(*TINY)], benchmark.SMALL_LAYER, 1)


def _louder(right, given):
    """The host stays right."""
    y = right(**given)
    return y if isinstance(y, np.ndarray) else 1.01 * y


def test_a_wrong_layer_ends_the_run(timed, benchmark, monkeypatch):
    right = ss.convolve
    monkeypatch.setattr(benchmark.ss, "convolve", lambda u, h, axis: right(u, h[:, 1:], axis=axis))
    with pytest.raises(AssertionError, match=r"^wrong convolve: error"):
        benchmark.measured(timed, [], benchmark.SMALL_LAYER, 1)


def test_what_is_timed_lands_where_nan_was(timed, benchmark, scans):
    """Poison fills every output of everybody."""
    given = scans.inputs(timed, scans.Shape(*TINY))
    for runner in benchmark.peers(timed)[:2]:
        for made in (runner.forward(given), runner.pullback(given)(given["u"])):
            benchmark.poison(made)
            arrays = made.values() if isinstance(made, dict) else [made]
            assert all(np.isnan(array.get()).all() for array in arrays)


# --------------------------------------------------------------- all of it


def test_all_of_it(timed, benchmark, scans, monkeypatch, capsys):
    """Small signals: all rows, as a table and as JSON, and what does not fit is said."""
    monkeypatch.setattr(benchmark, "SMALL", [scans.Shape(2, 33, 5, 3), scans.Shape(1, 40, 3, 16)])
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--quick", "--json"])
    benchmark.main()
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"card", "clock_measured", "copy", "versions", "rows", "left_out", "loads"}
    assert (found["card"]["name"] == "fibres") == (timed is pretend.cupy)
    assert {"statespace", "cupy", "numpy", "driver", "nvrtc"} <= set(found["versions"])
    ours = [(row["what"], row["by"]) for row in found["rows"] if row["by"] in ("statespace", "CuPy")]
    each = [(what, by) for what in ("forward", "pullback") for by in ("statespace", "CuPy")]
    assert ours == [*each, *each, ("filter", "statespace"), ("convolve", "statespace")]
    for row in found["rows"]:
        assert row["milliseconds"] > 0
        assert row["picoseconds"] == pytest.approx(1e9 * row["milliseconds"] / np.prod(row["shape"][:3]))
        assert 0 < row["error"] < 1e-4
    table = benchmark.lines(found)
    assert sum(line.startswith("(") for line in table) == 1 + len(found["rows"])
    assert sum("different" in line for line in table) == 5


def test_who_does_not_fit_is_left_out(timed, benchmark, scans, helper, monkeypatch):
    monkeypatch.setattr(helper, "room", lambda cupy: 30_000)
    left_out = []
    bench = benchmark.Bench(timed, helper.card_of(timed), 1e12, 1)
    rows = benchmark.scan_rows(bench, scans.Shape(1, 33, 40, 16), left_out)
    assert [(row.what, row.by) for row in rows] == [("forward", "statespace")]
    assert left_out[0].startswith("forward (1, 33, 40, 16) by CuPy: ")
    assert len(left_out) >= 3


def test_without_a_card_it_says_what_it_needs():
    command, hidden = [sys.executable, str(BENCHMARKS / "gpu.py"), "--json"], {"CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **hidden})
    assert run.returncode == 1
    assert run.stderr.startswith("this benchmark runs on an NVIDIA card: the GPU engine ")
    assert run.stdout == ""


# --------------------------------------------------------------- mamba_ssm


def scan_of_torch(u, delta, A, B, C, D, z, delta_bias, delta_softplus):
    """As mamba_ssm has it, (batch, channels, L), in a loop over time."""
    import torch

    assert delta_softplus
    dt, x, ys = torch.nn.functional.softplus(delta + delta_bias[:, None]), 0, []
    for k in range(u.shape[-1]):
        x = torch.exp(dt[..., k, None] * A) * x + (dt * u)[..., k, None] * B[:, None, :, k]
        ys.append((x * C[:, None, :, k]).sum(-1))
    return (torch.stack(ys, -1) + D[:, None] * u) * torch.nn.functional.silu(z)


@pytest.mark.peer
def test_mamba_ssm_beside_it(timed, benchmark, scans, monkeypatch):
    """What stands for it takes its layout, and is checked and timed like the others."""
    if timed is not pretend.cupy:
        pytest.skip("a stand-in for mamba_ssm, through the host")
    import torch

    module = card.module_of("mamba_ssm.ops.selective_scan_interface", selective_scan_fn=scan_of_torch)
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, card.module_of(name, __version__="2"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    peers = sys.modules["gpu_peers"]
    monkeypatch.setattr(peers.MambaSSM, "tensor", lambda self, array: torch.from_numpy(array.get()))
    monkeypatch.setattr(peers.MambaSSM, "array", lambda self, tensor: timed.asarray(tensor.detach().numpy()))
    bench = benchmark.Bench(timed, sys.modules["gpu_card"].card_of(timed), 1e12, 1)
    rows = benchmark.scan_rows(bench, scans.Shape(*TINY), [])
    assert [row.by for row in rows] == 2 * ["statespace", "CuPy", "mamba_ssm"]
    assert all(row.error > 0 and row.milliseconds > 0 for row in rows)
    assert "mamba_ssm" in benchmark.versions(timed)


# --------------------------------------------------------------- the layer for PyTorch


@pytest.fixture(scope="module")
def layer():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    yield loaded("torch_layer", ROOT / "examples" / "torch_layer.py")
    del sys.modules["torch_layer"]


@pytest.mark.peer
def test_gradients_are_those_of_differences(layer):
    """PyTorch's own check, in double."""
    assert layer.right("cpu")


@pytest.mark.peer
def test_the_loss_falls(layer, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["torch_layer.py", "cpu"])
    layer.main()
    said = capsys.readouterr().out
    assert said.startswith("on cpu: gradients are right\n")
    before, after, at, elsewhere = map(float, re.findall(r"\d+\.\d+", said))
    assert after < before / 20
    assert at > 5 * elsewhere


@pytest.mark.peer
def test_tensors_of_any_layout(layer):
    """Turned ones too, and only some with gradients; memory is shared where it is contiguous."""
    import torch

    tensors = [torch.randn(size) for size in ((7, 3), (7, 3), (3, 2), (7, 2), (7, 2), (3,))]
    tensors[2] = -tensors[2].exp()
    wanted = layer.SelectiveScan.apply(*tensors)
    turned = [t.mT.contiguous().mT if t.ndim == 2 else t for t in tensors]
    assert not turned[0].is_contiguous()
    turned[0].requires_grad_()
    y = layer.SelectiveScan.apply(*turned)
    assert torch.equal(y, wanted)
    y.sum().backward()
    assert turned[0].grad.shape == (7, 3)
    assert layer.to_array(tensors[0]).ctypes.data == tensors[0].data_ptr()


@pytest.mark.peer
def test_what_was_changed_meanwhile_is_seen(layer):
    import torch

    tensors = [torch.randn(size) for size in ((7, 3), (7, 3), (3, 2), (7, 2), (7, 2), (3,))]
    tensors[2] = -tensors[2].exp()
    tensors[5].requires_grad_()
    y = layer.SelectiveScan.apply(*tensors)
    tensors[0].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.peer
def test_on_the_device(layer, cupy, monkeypatch):
    """The same numbers from there: by DLPack on a card, through the host where CuPy is pretended."""
    import torch

    if cupy is pretend.cupy:
        to_tensor = layer.to_tensor
        monkeypatch.setattr(layer, "to_array", lambda t: cupy.asarray(t.detach().contiguous().numpy()))
        monkeypatch.setattr(layer, "to_tensor", lambda a: to_tensor(a.get()))
        assert layer.right("cpu")
    elif torch.cuda.is_available():
        assert layer.right("cuda")
        _, losses = layer.train("cuda")
        assert losses[-1] < losses[0] / 20
    else:
        pytest.skip("PyTorch has no CUDA here")


@pytest.mark.peer
def test_it_works_on_the_stream_of_pytorch(layer, cupy, monkeypatch):
    if cupy is not pretend.cupy:
        pytest.skip("seen by results on a card")
    import torch

    made = []

    class ExternalStream(card.Stream):
        def __init__(self, ptr):
            super().__init__()
            self.ptr = ptr
            made.append(self)

    monkeypatch.setattr(cupy.cuda, "ExternalStream", ExternalStream, raising=False)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    tensor = SimpleNamespace(is_cuda=True, device=SimpleNamespace(index=0))
    with layer.stream_of(tensor):
        assert cupy.cuda.get_current_stream().ptr == 77
    assert cupy.cuda.get_current_stream().ptr != 77
    assert len(made) == 1


def test_without_pytorch_it_says_so():
    script = (
        f"import sys, runpy; sys.modules['torch'] = None; runpy.run_path({str(ROOT / 'examples/torch_layer.py')!r})"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == ("this example trains in PyTorch, which is not installed: python -m pip install torch\n")
