"""Every kernel compiles for every generation of cards and spills nothing; and the tool that says so is right."""

import re
import subprocess
import sys
from pathlib import Path

import compile_matrix
import pytest
from compile_matrix import ARCHITECTURES, CASES, compile_one, each, entries, matrix, spills, table

ROOT = Path(__file__).resolve().parents[2]


def missing():
    try:
        compile_matrix.nvrtc()
    except ModuleNotFoundError as error:
        return str(error)
    return ""


MISSING = missing()
needs_nvrtc = pytest.mark.skipif(bool(MISSING), reason=MISSING or "NVRTC is there")


@needs_nvrtc
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", CASES)
def test_every_kernel_compiles_and_spills_nothing(file, architecture):
    kernels, complaints = matrix({file: CASES[file]}, (architecture,))
    assert complaints + spills(kernels) == []
    assert {k.entry for k in kernels} == set(re.findall(r"__launch_bounds__\([^)]*\)\s+(\w+)\(", text_of(file)))


def text_of(file):
    return (ROOT / "gpu" / file).read_text(encoding="utf-8")


def test_every_file_has_a_row():
    assert {path.name for path in (ROOT / "gpu").glob("*.cu")} == set(CASES)


# --------------------------------------------------------------- the tool

KERNEL = """#include "twice.cuh"

extern "C" __global__ void __launch_bounds__(128) modest(const REAL *u, REAL *y, int length) {
  const int i = blockIdx.x * 128 + threadIdx.x;
  if (i < length) y[i] = twice(u[i]);
}
#ifdef GREEDY
extern "C" __global__ void __launch_bounds__(1024) greedy(const REAL *u, REAL *y, int length) {
  __shared__ REAL first[32];
  REAL a[64];
  constexpr int COUNT = 64;
#pragma unroll
  for (int k = 0; k < COUNT; k++) a[k] = u[threadIdx.x * COUNT + k];
  first[threadIdx.x % 32] = u[0];
  __syncthreads();
  for (int t = 0; t < length; t++) {
#pragma unroll
    for (int k = 0; k < COUNT; k++) a[k] = a[k] * a[(k + 7) % COUNT] + u[t];
  }
#pragma unroll
  for (int k = 0; k < COUNT; k++) y[threadIdx.x * COUNT + k] = a[k] + first[k % 32];
}
#endif
"""
HEADER = "template <class T> __device__ __forceinline__ T twice(T x) { return 2 * x; } // x·2\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tool.cu").write_text(KERNEL, encoding="utf-8")
    (tmp_path / "twice.cuh").write_text(HEADER, encoding="utf-8")
    return tmp_path


@needs_nvrtc
def test_a_kernel_that_spills_is_found(folder):
    cases = {"tool.cu": [{"REAL": "float"}, {"REAL": "double", "GREEDY": 1}]}
    kernels, complaints = matrix(cases, folder=folder)
    assert complaints == []
    by = {(k.entry, k.defines, k.architecture): k for k in kernels}
    assert len(by) == 3 * len(ARCHITECTURES)
    for (entry, _, _), kernel in by.items():
        assert (kernel.spilled > 0) == (kernel.stack > 0) == (entry == "greedy")
        assert 4 <= kernel.registers <= 255
        assert kernel.shared == (256 if entry == "greedy" else 0)
    assert len(spills(kernels)) == len(ARCHITECTURES)
    assert re.match(r"tool\.cu \[REAL=double GREEDY=1\] sm_75: greedy spills \d+ bytes at 64 regi", spills(kernels)[0])


@needs_nvrtc
def test_processes_give_the_same(folder):
    cases = {"tool.cu": each({"GREEDY": 1}, REAL=("float", "double"))}
    assert matrix(cases, (80, 90), folder=folder, processes=2) == matrix(cases, (80, 90), folder=folder)


@needs_nvrtc
def test_an_error_names_the_file_and_the_line(folder):
    (folder / "twice.cuh").write_text("// a comment\nnonsense;\n", encoding="utf-8")
    kernels, (complaint,) = compile_one("tool.cu", {"REAL": "float"}, 90, folder)
    assert kernels == []
    assert complaint.startswith("tool.cu [REAL=float] sm_90 does not compile:\n")
    assert "twice.cuh(2): error" in complaint


@needs_nvrtc
def test_a_warning_is_a_complaint(folder):
    (folder / "twice.cuh").write_text(HEADER.replace("return", "int unused; return"), encoding="utf-8")
    _, (complaint,) = compile_one("tool.cu", {"REAL": "float"}, 90, folder)
    assert re.match(r"tool\.cu \[REAL=float\] sm_90: twice\.cuh\(1\): warning .*unused", complaint)


@needs_nvrtc
def test_a_file_without_an_entry_point_is_a_complaint(folder):
    (folder / "tool.cu").write_text('#include "twice.cuh"\n', encoding="utf-8")
    assert "no entry point was found" in compile_one("tool.cu", {}, 90, folder).complaints[0]


def test_what_ptxas_says_is_read():
    """Of CUDA 12 and of CUDA 13; a function that is not inlined counts with the entry point that calls it."""
    log = """ptxas info    : 8 bytes gmem
ptxas info    : Compiling entry function 'one' for 'sm_75'
ptxas info    : Function properties for one
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 64 registers, 128 bytes smem, 372 bytes cmem[0]
ptxas info    : Compiling entry function 'two' for 'sm_90'
ptxas info    : Function properties for two
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Function properties for inner
ptxas         .     8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers
ptxas info    : Compile time = 3.326 ms
"""
    assert entries(log) == [("one", 64, 128, 16, 20), ("two", 10, 0, 8, 8)]


def test_each_combines_and_the_table_has_a_line_for_each_kernel():
    assert each({"A": 1}, B=(2, 3), C=("x",)) == [{"A": 1, "B": 2, "C": "x"}, {"A": 1, "B": 3, "C": "x"}]
    kernels = [
        compile_matrix.Kernel("a.cu", "REAL=float", sm, "one", registers, 0, 8, spilled)
        for sm, registers, spilled in ((75, 64, 0), (90, 72, 16))
    ]
    head, line = table(kernels).splitlines()
    assert head.split() == ["file", "kernel", "sm_75", "sm_90", "shared", "stack", "spilled", "macros"]
    assert line.split() == ["a.cu", "one", "64", "72", "0", "8", "16", "REAL=float"]


def test_without_nvrtc_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(compile_matrix, "_candidates", lambda: [Path("/nowhere/libnvrtc.so.13")])
    monkeypatch.setattr(compile_matrix, "nvrtc", compile_matrix.nvrtc.__wrapped__)
    assert compile_matrix.main([]) == 2
    text = r'needs NVRTC 12\.8 or newer; install it with: python -m pip install "nvidia-cuda-nvrtc>=13\.0,<14"\n$'
    assert re.search(text, capsys.readouterr().err)


@needs_nvrtc
def test_it_runs_from_a_terminal():
    asked = [sys.executable, "tests/gpu/compile_matrix.py", "affine.cu", "--arch", "90", "--processes", "1"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^affine\.cu +affine_steps +\d+ +0 +0 +0 +REAL=float PARTS=1$", done.stdout, re.MULTILINE)
    assert re.search(r"^\d+ kernels compiled by NVRTC \d+\.\d+, 0 complaints$", done.stdout, re.MULTILINE)
