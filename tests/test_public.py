"""The public door: names load on first use, nothing heavy is imported, no module replaces a verb."""

import ast
import itertools
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import statespace as ss

HEAVY = ("matplotlib", "cupy", "numba", "scipy.signal", "scipy.linalg", "hypothesis")


def python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_is_light():
    """Nothing heavy is imported with the package, nor by building and discretizing a dense system."""
    code = f"""
import sys, statespace as ss
heavy = [name for name in {HEAVY} if name in sys.modules]
assert not heavy, heavy
ss.discretize(ss.from_zpk([], [-1.0, -2.0], 1.0), 0.1).poles
heavy = [name for name in {HEAVY} if name in sys.modules]
assert not heavy, heavy
"""
    python(code)


def test_a_checkpoint_is_inspected_without_numba(tmp_path):
    """Nor is it loaded with the blocks of Mamba: their loops come when they run."""
    ss.mamba.save(ss.mamba.LanguageModel.initial(20, 4, 1), tmp_path)
    python(f"""
import sys, statespace as ss
assert ss.mamba.load({str(tmp_path)!r}).n_layers == 1 and "Mamba-1" in ss.mamba.inspect({str(tmp_path)!r})
heavy = [name for name in {HEAVY} if name in sys.modules]
assert not heavy, heavy
""")


def test_assertions_do_without_hypothesis():
    """`statespace.testing` is imported on first use, and Hypothesis with its strategies only."""
    python("""
import sys, numpy as np, statespace as ss
assert "statespace.testing" not in sys.modules
ss.testing.assert_linear(np.cumsum, np.ones(5), np.arange(5.0))
assert "hypothesis" not in sys.modules and "strategies" in dir(ss.testing)
ss.testing.strategies.systems
assert "hypothesis" in sys.modules
""")


def test_where_hypothesis_is_missing_the_strategies_say_how_to_install_it():
    python("""
import sys
sys.modules["hypothesis"] = None
import numpy as np, statespace as ss
ss.testing.assert_linear(np.cumsum, np.ones(5), np.arange(5.0))
def error(load):
    try:
        load()
    except ImportError as found:
        return str(found)
def imports():
    from statespace.testing import strategies
for load in (lambda: ss.testing.strategies, imports, lambda: ss.testing.strategies.systems):
    found = error(load)
    assert found == "statespace.testing.strategies needs Hypothesis: python -m pip install hypothesis", found
assert [name for name in sys.modules if name.startswith("hypothesis")] == ["hypothesis"]
""")


def test_import_is_quick():
    """Under 0.25 s beyond the interpreter, the best of three on a shared machine."""
    code = "import time; t = time.perf_counter(); import statespace; print(time.perf_counter() - t)"
    assert min(float(python(code)) for _ in range(3)) < 0.25


def test_every_name_loads():
    for name in ss.__all__:
        assert getattr(ss, name) is not None
    assert set(dir(ss)) >= set(ss.__all__)
    assert len(ss.__all__) == len(set(ss.__all__))


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(ss.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.asname for node in block.body for alias in node.names}
    assert seen == set(ss.__all__)


MODULES = (
    *("simulation", "conversion", "discretization", "systems", "frequency", "plot", "scan", "structure", "cpu"),
    *("scipy_signal", "kernels", "hippo", "mamba", "testing", "selective"),
)


@pytest.mark.parametrize("order", [*list(itertools.permutations(MODULES, 2))[::7], MODULES, MODULES[::-1]])
def test_no_module_replaces_a_verb(order):
    """Whatever is imported first, every public verb is callable."""
    lines = "; ".join(f"import statespace.{name}" for name in order)
    verbs = [name for name in ss.__all__ if name not in ("hippo", "mamba", "plot", "scipy_signal", "testing")]
    check = f"assert all(callable(getattr(ss, name)) for name in {verbs})"
    python(f"{lines}; import statespace as ss; {check}")


ELSEWHERE = {
    "c2d": "discretize", "lsim": "simulate", "bode": "plot.bode", "dlsim": "simulate", "forced_response": "simulate",
    "sosfilt": "filter", "lfilter": "filter", "tf": "from_tf", "zpk": "from_zpk", "StateSpace": "ContinuousSystem",
    "pole": "system.poles", "freqresp": "frequency_response",
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_from_elsewhere_lead_here(name):
    with pytest.raises(AttributeError, match=ELSEWHERE[name].replace(".", r"\.")):
        getattr(ss, name)
    assert not hasattr(ss, name)


def test_hints_name_what_exists():
    """Every name that an AttributeError points to can be called today, or says from when on."""
    from statespace.systems.types import _METHODS_ELSEWHERE

    for hint in [*ss._ELSEWHERE.values(), *_METHODS_ELSEWHERE.values()]:
        first = hint.removeprefix("statespace.").split("(")[0].split(",")[0].strip()
        if "from version" in hint or first.startswith(("system", "nothing")) or not first:
            continue
        found = ss
        for part in first.split(" ")[0].split("."):
            found = getattr(found, part)
        assert callable(found)


def test_annotations_resolve():
    """Type hints on the public edge are real."""
    for module in (ss, ss.scipy_signal, ss.testing):
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not isinstance(value, type):
                hints = typing.get_type_hints(value)
                assert "return" in hints, name


def test_gpu_door_says_how_to_install():
    """Importing it needs nothing; a kernel needs CuPy."""
    python("""
import sys
sys.modules["cupy"] = None
from statespace.gpu import require_cupy
try:
    require_cupy()
except ImportError as error:
    assert 'python -m pip install "cupy-cuda13x[ctk]"' in str(error), error
else:
    raise AssertionError("no error")
""")
