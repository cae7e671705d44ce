"""The loader and what it says where something is missing, on a stand-in for CuPy that has no more than is asked."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from statespace.gpu import kernel, launch, multiprocessors, require_cupy, require_device
from statespace.gpu.loader import options, source
from statespace.gpu.survey import survey

ROOT = Path(__file__).resolve().parents[2]
FILE = "affine.cu"


class Device:
    """A card, the current one where none is named."""

    current = 0

    def __init__(self, device=None):
        self.id = Device.current if device is None else device
        self.compute_capability = ("90", "75")[self.id]
        self.attributes = {"MultiProcessorCount": (132, 40)[self.id]}


def answer(value):
    """A function that returns a value, or raises it."""

    def ask(*args):
        if isinstance(value, BaseException):
            raise value
        return value

    return ask


def stand_in(monkeypatch, *, driver=13000, built=13020, cards=1, nvrtc=(13, 0), compiles=True, capability=None):
    """Put a module with the few functions of CuPy that the loader calls in CuPy's place, and return it."""
    cupy = ModuleType("cupy")
    cupy.__version__, cupy.modules = "14.2.0", []

    class RawModule:
        def __init__(self, *, code, options):
            self.code, self.options = code, options
            cupy.modules.append(self)

        def get_function(self, entry):
            if compiles is not True:
                raise compiles
            return Recorder(entry)

    class Card(Device):
        def __init__(self, device=None):
            super().__init__(device)
            self.compute_capability = capability or self.compute_capability

    cards_found = [
        {
            "name": name,
            "major": int(Card(i).compute_capability) // 10,
            "minor": int(Card(i).compute_capability) % 10,
            "totalGlobalMem": memory * 2**30,
            "multiProcessorCount": Card(i).attributes["MultiProcessorCount"],
        }
        for i, (name, memory) in enumerate([(b"NVIDIA H100", 80), (b"NVIDIA T4", 16)][:cards])
    ]
    cupy.RawModule = RawModule
    cupy.cuda = SimpleNamespace(
        Device=Card,
        is_available=answer(cards > 0),
        nvrtc=SimpleNamespace(getVersion=answer(nvrtc)),
        runtime=SimpleNamespace(
            driverGetVersion=answer(driver),
            runtimeGetVersion=answer(built),
            getDeviceCount=answer(cards),
            getDeviceProperties=lambda i: cards_found[i],
        ),
    )
    cupy.float32, cupy.empty, cupy.asnumpy = np.float32, np.empty, np.asarray
    monkeypatch.setattr(Device, "current", 0)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


class Recorder:
    """A kernel that remembers how it was started; it does what the probe of `doctor` does."""

    def __init__(self, entry):
        self.entry, self.calls = entry, []

    def __call__(self, grid, block, arguments, *, shared_mem):
        self.calls.append((grid, block, arguments, shared_mem))
        if self.entry == "probe":
            arguments[0][:] = 3 * np.arange(len(arguments[0]))


# --------------------------------------------------------------- text


def lines_of(text):
    """{(file, line): text}, read as a compiler reads #line."""
    found, file, number = {}, None, 0
    for line in text.splitlines():
        place = re.match(r'#line (\d+) "(.*)"', line)
        if place:
            file, number = place[2], int(place[1])
        else:
            found[file, number] = line
            number += 1
    return found


def test_headers_are_pasted_once_and_lines_keep_their_numbers(tmp_path):
    (tmp_path / "a.cu").write_text('// a\n#include "b.cuh"\n#include "c.cuh"\nint a;\n', encoding="utf-8")
    (tmp_path / "b.cuh").write_text('int b;\n  #  include "c.cuh" // again\nint b2;', encoding="utf-8")
    (tmp_path / "c.cuh").write_text('#include "b.cuh"\nint c; // x·y − φ\n', encoding="utf-8")
    text = source("a.cu", tmp_path)
    assert "#include" not in text
    assert text.isascii()
    assert [text.count(f"int {name};") for name in ("a", "b", "b2", "c")] == [1, 1, 1, 1]
    for (file, number), line in lines_of(text).items():
        written = (tmp_path / file).read_text(encoding="utf-8").splitlines()[number - 1]
        assert line == re.sub(r"[^\x00-\x7f]", "~", written) or (line == "" and "include" in written)
    order = [place for place, line in lines_of(text).items() if line.startswith("int")]
    assert order == [("b.cuh", 1), ("c.cuh", 2), ("b.cuh", 3), ("a.cu", 4)]


def test_every_file_of_the_folder_is_whole_when_pasted():
    for path in sorted((ROOT / "gpu").glob("*.cu")):
        text = source(path.name)
        assert text.startswith(f'#line 1 "{path.name}"\n')
        assert not re.search(r"^\s*#\s*include", text, re.MULTILINE)
        for file in {file for file, _ in lines_of(text)}:
            assert text.count(f'#line 1 "{file}"') == 1


def test_options(monkeypatch):
    monkeypatch.delenv("STATESPACE_STRICT_FLOAT", raising=False)
    defines = (("REAL", "float"), ("STATES", 16))
    usual = ("-std=c++17", "-ftz=true", "-DREAL=float", "-DSTATES=16")
    assert options(defines) == usual
    monkeypatch.setenv("STATESPACE_STRICT_FLOAT", "0")
    assert options(defines) == usual
    monkeypatch.setenv("STATESPACE_STRICT_FLOAT", "1")
    assert options(defines) == ("-std=c++17", "-ftz=true", "-fmad=false", "-DREAL=float", "-DSTATES=16")


# --------------------------------------------------------------- modules


def test_one_module_for_a_file_a_type_and_a_device(monkeypatch):
    cupy = stand_in(monkeypatch, cards=2)
    single, double = (("REAL", "float"),), (("REAL", "double"),)
    first = kernel(FILE, "one", single)
    assert kernel(FILE, "one", single) is first
    assert kernel(FILE, "two", single) is not first
    assert [module.options[-1] for module in cupy.modules] == ["-DREAL=float"]
    assert cupy.modules[0].code == source(FILE)
    kernel(FILE, "one", double)
    assert [module.options[-1] for module in cupy.modules] == ["-DREAL=float", "-DREAL=double"]
    monkeypatch.setattr(Device, "current", 1)
    assert kernel(FILE, "one", single) is not first
    assert len(cupy.modules) == 3
    assert kernel(FILE, "one", single) is kernel(FILE, "one", single)


def test_threads_get_kernels_that_work(monkeypatch):
    stand_in(monkeypatch)
    found = []
    threads = [threading.Thread(target=lambda: found.append(kernel(FILE, "one", ()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [function.entry for function in found] == ["one"] * 8


def test_multiprocessors_of_the_current_device(monkeypatch):
    stand_in(monkeypatch, cards=2)
    assert multiprocessors() == 132
    monkeypatch.setattr(Device, "current", 1)
    assert multiprocessors() == 40


# --------------------------------------------------------------- launches


def test_a_launch_passes_its_arguments_and_a_null_pointer_for_none():
    function, array = Recorder("one"), np.ones(3)
    launch(function, (2, 3, 4), 128, (array, None, np.int32(7), np.float64(0.5)), shared=1024)
    ((grid, block, arguments, shared),) = function.calls
    assert (grid, block, shared) == ((2, 3, 4), (128,), 1024)
    assert arguments[0] is array
    assert [type(value) for value in arguments[1:]] == [np.uintp, np.int32, np.float64]
    assert arguments[1] == 0


@pytest.mark.parametrize("grid", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_an_empty_grid_starts_nothing(grid):
    function = Recorder("one")
    launch(function, grid, 128, (None,))
    assert function.calls == []


# --------------------------------------------------------------- what is missing

NOT_FOUND = RuntimeError('Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file: libnvrtc.so.13')
BUILTINS = RuntimeError("nvrtc: error: failed to open libnvrtc-builtins.so.13.0.\n  Make sure that it is installed.")
ARCHITECTURE = RuntimeError("nvrtc: error: invalid value for --gpu-architecture (-arch)")
NO_IMAGE = RuntimeError(
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain."
)
BUG = RuntimeError('affine.cu(12): error: identifier "nonsense" is undefined\n\n1 error detected')

MISSING = {
    "no driver": (
        {"driver": 0, "cards": 0},
        r"^the GPU engine cannot run: CuPy 14\.2\.0 finds no NVIDIA driver; install NVIDIA driver 580 or newer \(start "
        r"a container with --gpus all\)$",
    ),
    "an old driver": (
        {"driver": 12040, "cards": 0},
        r"^the GPU engine cannot run: CuPy 14\.2\.0 is built for CUDA 13, the NVIDIA driver is for CUDA 12\.4; install "
        r"NVIDIA driver 580 or newer, or the CuPy of this driver: python -m pip uninstall cupy-cuda13x, then python -m "
        r'pip install "cupy-cuda12x\[ctk\]"$',
    ),
    "an old driver for CUDA 12": (
        {"driver": 11040, "built": 12090, "cards": 0},
        r"is built for CUDA 12, the NVIDIA driver is for CUDA 11\.4; install NVIDIA driver 525 or newer",
    ),
    "no card": (
        {"cards": 0},
        r"^the GPU engine cannot run: CuPy 14\.2\.0 finds an NVIDIA driver \(CUDA 13\.0\) and no card; `nvidia-smi -L` "
        r"lists what is there, CUDA_VISIBLE_DEVICES is not set$",
    ),
    "no compiler": (
        {"nvrtc": NOT_FOUND},
        r"^the GPU engine cannot run: NVRTC, which compiles the kernels, is not there \(Failure finding .libnvrtc\.so"
        r'.*\); install it with: python -m pip install "cupy-cuda13x\[ctk\]"$',
    ),
    "no compiler for CUDA 12": ({"nvrtc": NOT_FOUND, "built": 12090}, r'pip install "cupy-cuda12x\[ctk\]"$'),
    "half a compiler": (
        {"compiles": BUILTINS},
        r"^affine\.cu cannot run on NVIDIA H100: a part of NVRTC 13\.0 is not there \(nvrtc: error: failed to "
        r"open libnvrtc-builtins\.so\.13\.0\.\); install it again: python -m pip install --force-reinstall "
        r'"nvidia-cuda-nvrtc==13\.0\.\*"$',
    ),
    "an old card": (
        {"compiles": ARCHITECTURE, "capability": "70"},
        r"^affine\.cu cannot run on NVIDIA H100: the card has compute capability 7\.0, NVRTC 13\.0 compiles for "
        r"7\.5 \(Turing\) or newer; use a newer card\. CUDA 12 still knows this one, untested: python -m pip uninstall "
        r'cupy-cuda13x, then python -m pip install "cupy-cuda12x\[ctk\]"$',
    ),
    "a compiler newer than the driver": (
        {"compiles": NO_IMAGE, "nvrtc": (13, 2)},
        r"^affine\.cu cannot run on NVIDIA H100: NVRTC 13\.2 is newer than the NVIDIA driver, which knows CUDA "
        r"13\.0 \(CUDA_ERROR_UNSUPPORTED_PTX_VERSION: .*\); install a newer driver, or an older compiler: python -m "
        r'pip install "nvidia-cuda-nvrtc==13\.0\.\*"$',
    ),
    "the same for CUDA 12": (
        {"compiles": NO_IMAGE, "nvrtc": (12, 9), "driver": 12040, "built": 12090},
        r'install a newer driver, or an older compiler: python -m pip install "nvidia-cuda-nvrtc-cu12==12\.4\.\*"$',
    ),
    "a mistake of ours": (
        {"compiles": BUG},
        r"^affine\.cu did not compile for NVIDIA H100 \(compute capability 9\.0\) with NVRTC 13\.0 and CuPy "
        r"14\.2\.0; please report it, with what `python -m statespace doctor` prints\. The compiler said:\naffine\.cu"
        r'\(12\): error: identifier "nonsense" is undefined\n\n1 error detected$',
    ),
    "a mistake of ours, and a newer compiler": (
        {"compiles": BUG, "nvrtc": (13, 2)},
        r"^affine\.cu did not compile for",
    ),
    "a mistake of ours on an old card that CUDA 12 knows": (
        {"compiles": BUG, "nvrtc": (12, 9), "capability": "70"},
        r"^affine\.cu did not compile for NVIDIA H100 \(compute capability 7\.0\) with NVRTC 12\.9",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_the_first_kernel_says_what_is_missing_and_what_to_install(case, monkeypatch):
    has, text = MISSING[case]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    stand_in(monkeypatch, **has)
    with pytest.raises(RuntimeError, match=text) as caught:
        kernel(FILE, "one", ())
    assert len(str(caught.value)) < 450
    assert "\n" not in str(caught.value) or has["compiles"] is BUG
    assert caught.value.__cause__ is has.get("compiles")


def test_a_card_that_is_hidden(monkeypatch):
    stand_in(monkeypatch, cards=0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RuntimeError, match=r"CUDA_VISIBLE_DEVICES is ''$"):
        multiprocessors()


def test_what_is_installed_meanwhile_is_found(monkeypatch):
    cupy = stand_in(monkeypatch, nvrtc=NOT_FOUND)
    with pytest.raises(RuntimeError, match="NVRTC, which compiles the kernels, is not there"):
        require_device()
    cupy.cuda.nvrtc.getVersion = answer((13, 0))
    assert require_device() is cupy


def test_no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    text = (
        r"^the GPU engine needs CuPy, which does not import here \(.*cupy.*\); install it with: python -m pip install "
        r'"cupy-cuda13x\[ctk\]" \(CUDA 13, NVIDIA driver 580 or newer\)$'
    )
    for call in (require_cupy, require_device, multiprocessors, lambda: kernel(FILE, "one", ())):
        with pytest.raises(ImportError, match=text):
            call()


def test_a_damaged_cupy(tmp_path):
    """Whatever it raises, the answer is how to install it."""
    (tmp_path / "cupy.py").write_text("raise OSError('''\n=====\n\nlibcuda.so.1: file too short\n=====''')")
    code = "from statespace.gpu import require_cupy\nrequire_cupy()"
    run = subprocess.run(
        [sys.executable, "-c", code], env=with_path(tmp_path), capture_output=True, text=True, check=False
    )
    last = run.stderr.splitlines()[-1]
    assert last.startswith(
        "ImportError: the GPU engine needs CuPy, which does not import here (libcuda.so.1: file too sho"
    )


def with_path(folder):
    return os.environ | {"PYTHONPATH": str(folder)}


def test_cupy_is_not_imported_before_a_kernel_is_wanted(tmp_path):
    (tmp_path / "cupy.py").write_text("raise OSError('imported')")
    code = "import sys, statespace.gpu, statespace.gpu.survey; assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=with_path(tmp_path), check=True)


# --------------------------------------------------------------- survey


def test_survey_of_a_machine_that_has_everything(monkeypatch):
    stand_in(monkeypatch, cards=2)
    assert survey() == [
        ("CuPy", "14.2.0, built for CUDA 13.2"),
        ("driver", "knows CUDA 13.0"),
        ("NVRTC", "13.0"),
        ("device 0", "NVIDIA H100, compute capability 9.0, 80.0 GiB, 132 multiprocessors"),
        ("device 1", "NVIDIA T4, compute capability 7.5, 16.0 GiB, 40 multiprocessors"),
        ("GPU engine", "works"),
    ]


OFF = "off, for what is missing above; everything else runs without it"


@pytest.mark.parametrize(
    ("case", "name", "engine"),
    [
        ("no driver", "driver", OFF),
        ("an old driver", "driver", OFF),
        ("no card", "driver", OFF),
        ("no compiler", "NVRTC", OFF),
        (
            "an old card",
            "GPU engine",
            "failed: RuntimeError: a first kernel cannot run on NVIDIA H100: the card ",
        ),
        (
            "a mistake of ours",
            "GPU engine",
            "failed: RuntimeError: a first kernel did not compile for NVIDIA H100",
        ),
    ],
)
def test_survey_has_one_line_for_what_is_missing(case, name, engine, monkeypatch):
    stand_in(monkeypatch, **MISSING[case][0])
    found = dict(survey())
    assert [key for key, text in found.items() if text.startswith(("missing: ", "failed: "))] == [name]
    assert found["GPU engine"].startswith(engine)
    assert re.search("install|report|use a newer|nvidia-smi", found[name])
    assert not any("\n" in text for text in found.values())


def test_survey_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    (_, cupy), (name, engine) = survey()
    assert re.match(r'missing: the GPU engine needs CuPy.* python -m pip install "cupy-cuda13x\[ctk\]"', cupy)
    assert (name, engine) == ("GPU engine", "off; everything else runs without it")


def test_survey_of_a_cupy_whose_parts_raise(monkeypatch):
    cupy = stand_in(monkeypatch)
    broken = answer(RuntimeError("cudaErrorUnknown: unknown error\nmore"))
    cupy.cuda.runtime = SimpleNamespace(
        driverGetVersion=broken, runtimeGetVersion=broken, getDeviceCount=broken, getDeviceProperties=broken
    )
    found = dict(survey())
    assert found["driver"] == "failed: RuntimeError: cudaErrorUnknown: unknown error more"
    assert found["devices"] == "failed: cudaErrorUnknown: unknown error"
    assert found["NVRTC"] == "13.0"


def test_survey_looks_at_the_numbers(monkeypatch):
    stand_in(monkeypatch)
    monkeypatch.setattr(Recorder, "__call__", lambda self, grid, block, arguments, **rest: arguments[0].fill(0))
    assert dict(survey())["GPU engine"] == "failed: a kernel of one line gave wrong numbers; is the card in order?"
