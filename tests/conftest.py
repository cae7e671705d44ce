"""What all tests share: the profile of Hypothesis, and peers that must not be missing in CI."""

import importlib.util
import os

# Before NumPy is imported: threads of BLAS on small matrices wait for each other whenever anything else runs, and a
# test of seconds takes a minute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import margins
import pytest

# Compiling a loop on first use can take seconds: no deadline.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=40, derandomize=True)
hypothesis.settings.register_profile(
    "deep", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.load_profile("quick")

PEERS = ("control", "mpmath", "torch", "transformers")


def pytest_configure(config):
    """`pytest -m deep`: the laws on many examples, of another seed each time (or of --hypothesis-seed)."""
    if config.getoption("markexpr") == "deep":
        hypothesis.settings.load_profile("deep")


def pytest_terminal_summary(terminalreporter, config):
    """Print how the kernels for GPUs ran, and how much of its bound each law needed."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    told = {tuple(pair) for report in reports for pair in getattr(report, "user_properties", ())}
    for sentence in sorted(value for name, value in told if name == "GPU kernels"):
        terminalreporter.write_line(f"GPU kernels: {sentence}")
    if config.getoption("markexpr") == "deep":
        terminalreporter.section("laws: how far the errors stay below their bounds")
        terminalreporter.write_line("\n".join(margins.table()))


def pytest_collection_modifyitems(items):
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if not missing:
        return
    if os.environ.get("STATESPACE_PEERS") == "required":
        raise pytest.UsageError(f"the peer tests must run here, but {', '.join(missing)} is not installed")
    reason = f"needs the extra `peers` ({', '.join(missing)} not installed): python -m pip install -e '.[peers]'"
    for item in items:
        if item.get_closest_marker("peer"):
            item.add_marker(pytest.mark.skip(reason=reason))
