"""The compiled loops: dtypes, rows and systems, caching where no folder is writable."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import statespace as ss
from gallery import relative, systems

SYSTEMS = systems()


def test_one_system_many_rows_many_systems_one_row():
    """`which` picks the system of each row."""
    system = ss.discretize(SYSTEMS["batch"], 0.1)
    u = np.random.default_rng(0).normal(size=(7, 1, 1, 20, 1))
    y = ss.simulate(system, u).y
    assert y.shape == (7, 2, 3, 20, 1)
    for index in np.ndindex(2, 3):
        one = ss.DiscreteSystem(*(m[index] for m in system), dt=0.1)
        assert np.array_equal(y[(slice(None), *index)], ss.simulate(one, u[:, 0, 0]).y)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 16])
def test_every_size_of_a_dense_step(n):
    """Columns are taken four at a time: all remainders."""
    rng = np.random.default_rng(n)
    a = rng.normal(size=(n, n))
    a *= 0.9 / np.abs(np.linalg.eigvals(a)).max()
    for m in (1, 2, 3):
        system = ss.DiscreteSystem(a, rng.normal(size=(n, m)), rng.normal(size=(2, n)), rng.normal(size=(2, m)), dt=1)
        u = rng.normal(size=(50, m))
        x, y = np.zeros(n), []
        for k in range(50):
            y.append(system.C @ x + system.D @ u[k])
            x = a @ x + system.B @ u[k]
        assert relative(ss.simulate(system, u).y, np.array(y)) < 1e-13


def test_threads_share_a_loop():
    """nogil: two Python threads through the same compiled loop at once give the same numbers."""
    system = ss.discretize(SYSTEMS["dense"], 0.1)
    u = np.random.default_rng(0).normal(size=(20_000, 2))
    wanted, got = ss.simulate(system, u).y, [None] * 4

    def work(i):
        got[i] = ss.simulate(system, u).y

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(y, wanted) for y in got)


def test_works_without_a_writable_cache(tmp_path):
    """Where numba finds no folder for its cache, the loops are compiled without one."""
    code = "import numpy as np, statespace as ss; print(ss.filter(ss.from_ba([0.5], [1, -0.5], dt=1.0), np.ones(3)))"
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    env = {**os.environ, "NUMBA_CACHE_DIR": str(blocked / "cache")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["[0.5", "0.75", "0.875]"]
