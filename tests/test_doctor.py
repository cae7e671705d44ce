"""`python -m statespace doctor`: every line is there, what is missing says what to install, nothing is raised."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest

from statespace import cpu, doctor
from statespace.__main__ import main
from statespace.cpu import processor as processors

ALWAYS = ["statespace", "Python", "NumPy", "SciPy", "numba", "llvmlite", "processor", "threads", "cache", "CPU engine"]


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)


def told(capsys, code=0):
    """{name: answer} of what is printed, whose columns are aligned."""
    assert main(["doctor"]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    width = max(len(re.match(r"\S+(?: \S+)*", line)[0]) for line in lines)
    assert all(line[width : width + 2] == "  " and line[width + 2] != " " for line in lines)
    return {line[:width].rstrip(): line[width + 2 :] for line in lines}


def test_as_a_command():
    asked = [sys.executable, "-m", "statespace", "doctor"]
    environment = os.environ | {"STATESPACE_THREADS": "3"}
    done = subprocess.run(asked, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [re.split(r"  +", line)[0] for line in lines][: len(ALWAYS) + 1] == [*ALWAYS, "CuPy"]
    assert re.match(r"GPU engine  (works|off)", lines[-1])
    assert "threads     3, as STATESPACE_THREADS=3 says" in lines


@pytest.mark.usefixtures("no_cupy")
def test_without_cupy_all_is_well_and_one_line_says_what_to_install(capsys, monkeypatch):
    monkeypatch.delenv("STATESPACE_THREADS", raising=False)
    found = told(capsys)
    assert list(found) == [*ALWAYS, "CuPy", "GPU engine"]
    assert found["NumPy"] == np.__version__
    for name, package in (("SciPy", "scipy"), ("numba", "numba"), ("llvmlite", "llvmlite")):
        assert found[name] == version(package)
    assert found["Python"].startswith(sys.version.split()[0])
    assert re.match(r"\d+, STATESPACE_THREADS is not set$", found["threads"])
    assert re.search(r", (AVX-512|AVX2|AVX|SSE2|SVE|NEON)$", found["processor"])
    assert found["CPU engine"] == "works"
    assert re.match(r'missing: .*install it with: python -m pip install "cupy-cuda13x\[ctk\]"', found["CuPy"])
    assert found["GPU engine"] == "off; everything else runs without it"
    assert [name for name, text in found.items() if text.startswith("missing: ")] == ["CuPy"]


def test_what_the_gpu_has_comes_last(capsys, monkeypatch):
    lines = [("CuPy", "14.2.0, built for CUDA 13.2"), ("device 0", "a card"), ("GPU engine", "works")]
    monkeypatch.setattr("statespace.gpu.survey.survey", lambda: lines)
    assert list(told(capsys).items())[len(ALWAYS) :] == lines


@pytest.mark.usefixtures("no_cupy")
class TestWhatIsWrong:
    def test_threads(self, capsys, monkeypatch):
        monkeypatch.setenv("STATESPACE_THREADS", "two")
        found = told(capsys, 1)
        assert found["threads"] == (
            "failed: RuntimeError: STATESPACE_THREADS must be a number of threads, 1 or more, got 'two'"
        )

    def test_a_package_that_is_missing(self, capsys, monkeypatch):
        def without_scipy(name):
            if name == "scipy":
                raise PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr(doctor, "version", without_scipy)
        assert told(capsys, 1)["SciPy"] == "missing: install it with: python -m pip install scipy"

    def test_a_folder_that_is_not_installed(self, capsys, monkeypatch):
        def only_others(name):
            if name == "statespace-toolkit":
                raise PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr(doctor, "version", only_others)
        assert re.match(r"in .*statespace, which is not installed$", told(capsys)["statespace"])

    def test_no_folder_for_the_cache(self, capsys, monkeypatch):
        class Loop:
            """A loop of numba that is not cached."""

            class stats:
                cache_path = None

            def __call__(self, *arguments):
                diagonal_steps(*arguments)

        diagonal_steps = cpu.diagonal_steps
        monkeypatch.setattr(cpu, "diagonal_steps", Loop())
        found = told(capsys)
        assert found["cache"] == (
            "none: no folder is writable, so every process compiles anew; set NUMBA_CACHE_DIR to one that is"
        )

    def test_a_loop_that_gives_wrong_numbers(self, capsys, monkeypatch):
        monkeypatch.setattr(doctor, "_cache", lambda: "a folder")
        monkeypatch.setattr(cpu, "diagonal_steps", lambda *arguments: arguments[7].fill(2.0))
        assert told(capsys, 1)["CPU engine"] == (
            "failed: a lag gave [2.0, 2.0, 2.0], not [0, 1, 1.5]; install numba again"
        )

    def test_a_loop_that_raises(self, capsys, monkeypatch):
        def raises(*arguments):
            raise OSError("cannot load\n  libllvm")

        monkeypatch.setattr(doctor, "_cache", lambda: "a folder")
        monkeypatch.setattr(cpu, "diagonal_steps", raises)
        assert told(capsys, 1)["CPU engine"] == "failed: OSError: cannot load libllvm"


@pytest.mark.parametrize(
    ("features", "asked", "widest"),
    [
        ({"avx": True, "avx2": True, "avx512f": False}, None, "AVX2"),
        ({"avx2": True, "avx512f": True}, None, "AVX-512"),
        ({"avx2": True, "avx512f": True}, "-avx512f,+avx2", "AVX2"),
        ({"neon": True}, None, "NEON"),
        ({"avx2": True}, "", "no vectors that are known here"),
    ],
)
def test_processor(features, asked, widest, monkeypatch):
    monkeypatch.setattr(processors.binding, "get_host_cpu_features", lambda: features)
    monkeypatch.setattr(processors.config, "CPU_FEATURES", asked)
    monkeypatch.setattr(processors.config, "CPU_NAME", "kind")
    assert processors.processor() == f"kind, {widest}"


def test_a_real_folder_of_the_cache_is_named():
    assert doctor._cache().endswith(", writable") or doctor._cache().startswith("none: ")


def test_an_engine_that_is_not_found_is_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "statespace.gpu.survey", None)
    lines = dict(doctor._gpu())
    assert "ask from another folder" in lines["GPU engine"]
