"""C headers compute what Python computes, and files give back the same bits or a clear error.

All systems go into one C program, in float and in double, so the compiler runs a few times only.
"""

import io
import json
import os
import re
import shutil
import subprocess
import warnings
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import METHODS, random_matrices, systems
from statespace.discretization.names import METHODS as NAMED
from statespace.scan import reference

# --------------------------------------------------------------- systems for C


def discrete(a, n, m, p, seed, scale=1.0):
    """Random B, C, D beside a structure."""
    rng = np.random.default_rng(seed)
    kind = rng.normal(size=(2, n, m)), rng.normal(size=(2, p, n))
    if isinstance(a, ss.Diagonal) and a.pairs:
        b, c = kind[0][0] + 1j * kind[0][1], kind[1][0] + 1j * kind[1][1]
    else:
        b, c = kind[0][0], kind[1][0]
    return ss.DiscreteSystem(a, b, c * scale, rng.normal(size=(p, m)), dt=0.1)


def butterworth(n, method):
    """A low-pass at a tenth of the sampling rate."""
    z, p, k = signal.butter(n, 2 * np.pi * 0.1, analog=True, output="zpk")
    return ss.discretize(ss.from_zpk(z, p, k), 1.0, method)


def of_zpk(z, p, k=1.0):
    return ss.from_zpk(z, p, k, dt=1.0)


SPRING = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
RING = 0.95 * np.exp(1j * np.array([0.2, 0.9, 2.0]))
COLUMNS = ss.DiscreteSystem(ss.DelayLine(3), np.eye(3, 2), np.ones((2, 3)), np.eye(2), dt=1.0)
SYSTEMS = {
    "spring": ss.discretize(SPRING, 0.1, "foh"),
    "dense": ss.discretize(ss.ContinuousSystem(*random_matrices(2)), 0.1, "foh"),
    "one_state": ss.DiscreteSystem([[0.9]], [[0.1]], [[3.0]], [[0.5]], dt=0.1),
    "triangular": ss.discretize(ss.from_zpk([3j, -3j, -4], [-1 + 2j, -1 - 2j, -3, -0.5, -0.5], 2.0), 0.1),
    "one_to_two": ss.discretize(ss.ContinuousSystem(*random_matrices(5, n=3, m=1, p=2)), 0.2, "tustin"),
    "two_to_one": ss.discretize(ss.ContinuousSystem(*random_matrices(6, n=3, m=2, p=1)), 0.2, "tustin"),
    "modes": discrete(ss.Diagonal([0.9, -0.5, 0.0, 1.0]), 4, 1, 1, 1),
    "modes_wide": discrete(ss.Diagonal([0.9, -0.5, 0.3]), 3, 2, 3, 2),
    "pairs": discrete(ss.Diagonal(RING, pairs=True), 3, 1, 1, 3),
    "pairs_wide": discrete(ss.Diagonal(RING, pairs=True), 3, 3, 2, 4),
    "sections": of_zpk([0.5 + 0.5j, 0.5 - 0.5j, -0.9], [*RING[:2], *RING[:2].conj()], 0.1),
    "odd": of_zpk([1j, -1j, -0.2], [RING[0], RING[0].conj(), 0.8, 0.7, 0.3], 0.1),
    "real_poles": of_zpk([0.1], [0.8, 0.5], 2.0),
    "first_order": of_zpk([-1.0], [0.8], 0.1),
    "lag": of_zpk([], [0.8], 0.2),
    "unstable": of_zpk([], [1.01, 0.5], 0.1),
    "integrator": ss.discretize(ss.from_zpk([], [0.0], 1.0), 0.1, "bilinear"),
    "two_integrators": ss.discretize(ss.from_zpk([-1.0], [0.0, 0.0], 1.0), 0.1),
    "lowpass": butterworth(16, "bilinear"),
    "lowpass_held": butterworth(16, "zoh"),
    "fir": ss.from_ba([0.1, -0.2, 0.0, 0.4, 1e-5], [1.0], dt=1.0),
    "one_tap": ss.from_ba([1.0, 0.5], [1.0], dt=1.0),
    "fir_to_two": ss.DiscreteSystem(ss.DelayLine(3), np.eye(3, 1), [[1, 2, 3], [4, 5, 6.5]], dt=1.0),
    "fir_columns": COLUMNS,
    "gain": of_zpk([], [], -0.1),
    "gain_wide": ss.DiscreteSystem([], [], [], [[2.0, 0.1], [0.0, 1.0], [3.0, 4.0]], dt=1.0),
}
LENGTH = 200
TYPES = {"float32": "float", "float64": "double"}


def input_of(name):
    """A signal of float32 numbers, so that both types of header see the same."""
    rng = np.random.default_rng(len(name))
    u = rng.normal(size=(LENGTH, SYSTEMS[name].n_inputs)) + np.sin(0.1 * np.arange(LENGTH))[:, None]
    return u.astype(np.float32).astype(float)


def all_inputs():
    """What the program reads: every signal four times, for two types and two ways of calling."""
    return "\n".join(x.hex() for name in SYSTEMS for _ in range(4) for x in input_of(name).ravel().tolist())


def state_arrays(system):
    """Names of the arrays of a C state."""
    return ("re", "im") if system.stores_pairs else ("x",)


# --------------------------------------------------------------- the compiler

CC, CXX = shutil.which("cc") or shutil.which("gcc"), shutil.which("c++") or shutil.which("g++")
needs_c = pytest.mark.skipif(CC is None, reason="needs a C compiler, cc or gcc, on the path")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wshadow", "-Wconversion", "-Wdouble-promotion"]
RUN = """
static void run_{tag}(int shared)
{{
    {tag}_state s;
    {real} u[{size}] = {{0}}, y[{size}] = {{0}};
    memset(&s, 0x3f, sizeof s); /* rubbish that reset must remove */
    {tag}_reset(&s);
    for (int k = 0; k < {length}; k++) {{
        for (int i = 0; i < {m}; i++) {{
            u[i] = ({real})number();
        }}
        {call}
        for (int i = 0; i < {p}; i++) {{
            printf("%a\\n", (double){result}[i]);
        }}
    }}
    {states}
}}
"""


def program():
    """A C program that reads the signals of all systems and writes outputs and final states, as hex floats."""
    headers, parts, calls = {}, [], []
    for name, system in SYSTEMS.items():
        m, p = system.n_inputs, system.n_outputs
        for dtype, real in TYPES.items():
            tag = f"{name}_{real}"
            headers[f"{tag}.h"] = ss.to_c(system, tag, dtype)
            scalar = m == p == 1
            call = f"(void)shared; y[0] = {tag}_step(&s, u[0]);" if scalar else f"{tag}_step(&s, u, shared ? u : y);"
            states = "\n    ".join(
                f'for (int i = 0; i < {system.state_size}; i++) printf("%a\\n", (double)s.{array}[i]);'
                for array in state_arrays(system)
                if system.state_size
            )
            result = "y" if scalar else "(shared ? u : y)"
            parts.append(RUN.format(tag=tag, real=real, size=max(m, p), length=LENGTH, m=m, p=p, call=call,
                                    result=result, states=states))  # fmt: skip
            calls += [f"    run_{tag}(0);", f"    run_{tag}(1);"]
    includes = "".join(f'#include "{header}"\n' for header in headers)
    number = 'static double number(void) { double x = 0; if (scanf("%lf", &x) != 1) exit(1); return x; }\n'
    main = "\nint main(void)\n{\n" + "\n".join(calls) + "\n    return 0;\n}\n"
    source = (
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + includes + number + "".join(parts) + main
    )
    return headers, source


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The headers, a program that uses all of them, and a file that uses one function of one."""
    where = tmp_path_factory.mktemp("c")
    headers, source = program()
    for name, text in headers.items():
        (where / name).write_text(text, encoding="ascii")
    includes = "".join(f'#include "{header}"\n' for header in [*headers, *headers])  # twice: the guard
    use = "float other(float u);\nfloat other(float u) { static lag_float_state s; return lag_float_step(&s, u); }\n"
    (where / "main.c").write_text(source)
    (where / "other.c").write_text(includes + use)
    return where


@pytest.fixture(scope="module")
def results(folder):
    """(outputs, final state) of each system, type and way of calling, from one run of the program."""
    if CC is None:
        pytest.skip("needs a C compiler, cc or gcc, on the path")
    compiled = run([CC, *STRICT, "-O1", "main.c", "other.c", "-o", "program"], folder)
    assert compiled.returncode == 0, compiled.stderr
    assert compiled.stderr == ""
    done = run([str(folder / "program")], folder, input=all_inputs())
    assert done.returncode == 0
    values = iter([float.fromhex(line) for line in done.stdout.split()])
    found = {}
    for name, system in SYSTEMS.items():
        n = len(state_arrays(system)) * system.state_size
        for dtype in TYPES:
            for shared in (False, True):
                y = np.array([next(values) for _ in range(LENGTH * system.n_outputs)]).reshape(LENGTH, -1)
                found[name, dtype, shared] = y, np.array([next(values) for _ in range(n)])
    assert next(values, None) is None
    return found


def run(command, folder, **more):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **more)


def test_no_access_out_of_bounds(folder, results):
    """The same program under the sanitizer; strict, since gcc spares the last array of a struct else."""
    flags = ["-std=c99", "-O1", "-fsanitize=undefined,bounds-strict", "-fno-sanitize-recover=all"]
    if run([CC, *flags, "main.c", "other.c", "-o", "checked"], folder).returncode != 0:
        pytest.skip(f"{CC} has no sanitizer to link")
    done = run([str(folder / "checked")], folder, input=all_inputs())
    assert done.returncode == 0, done.stderr


@needs_c
@pytest.mark.skipif(CXX is None, reason="needs a C++ compiler, c++ or g++, on the path")
def test_headers_are_cpp_too(folder):
    flags = ["-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wshadow", "-fsyntax-only", "-x", "c++"]
    done = run([CXX, *flags, "other.c"], folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


# --------------------------------------------------------------- the numbers


def error_bound(system, u, unit):
    """How far rounding can move outputs (L, p) and the final state (n,), to first order in unit.

    Each step computes a state or an output as a sum of products, and rounds the coefficients, products and sums:
    at most ops = 2 (n + m) + 8 roundings lie on the way of one product (a dense row: n + m sums; a cascade: four for
    each of n/2 sections). So a step errs by at most ops·unit·(|A||x| + |B||u|), and A carries that on.
    """
    a, b, c, d = system
    n, length = len(a), len(u)
    x, sizes = np.zeros(n), []
    for u_k in u:
        sizes.append((np.abs(a) @ np.abs(x) + np.abs(b) @ np.abs(u_k), np.abs(c) @ np.abs(x) + np.abs(d) @ np.abs(u_k)))
        x = a @ x + b @ u_k
    state, bound = np.array([s for s, _ in sizes]), np.array([o for _, o in sizes])
    carried, final = np.eye(n), np.zeros(n)
    for j in range(length):
        bound[j + 1 :] += state[: length - j - 1] @ np.abs(c @ carried).T
        final += np.abs(carried) @ state[length - 1 - j]
        carried = a @ carried
    ops = 2 * (n + system.n_inputs) + 8
    return ops * unit * bound, ops * unit * final


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_c_agrees_with_simulate(name, dtype, results):
    system, u = SYSTEMS[name], input_of(name)
    y, _ = results[name, dtype, False]
    want = ss.simulate(system, u)
    bound, _ = error_bound(system, u, float(np.finfo(dtype).eps) / 2)
    if dtype == "float64":
        bound = 2 * bound  # simulate rounds as well
    assert bound.max() < 1e-3 * np.abs(want.y).max()  # the bound means something
    assert (np.abs(y - want.y.reshape(y.shape)) <= bound).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_c_keeps_the_state_of_python(name, results):
    """The same numbers in the same order as final_state, real parts first."""
    system, u = SYSTEMS[name], input_of(name)
    final = ss.simulate(system, u).final_state
    final = np.concatenate([final.real, final.imag]) if system.stores_pairs else final
    _, bound = error_bound(system, u, float(np.finfo(float).eps))
    if system.stores_pairs:  # whose dense form has the two parts of each state side by side
        bound = bound.reshape(-1, 2).T.ravel()
    assert (np.abs(results[name, "float64", False][1] - final) <= bound).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_u_and_y_may_be_one_array(name, results):
    for dtype in TYPES:
        np.testing.assert_array_equal(results[name, dtype, True][0], results[name, dtype, False][0])


def test_precision_is_what_was_asked_for(results):
    """Float is not double in disguise."""
    y = results["lowpass", "float32", False][0]
    assert (y.astype(np.float32) == y).all()
    assert np.abs(y - results["lowpass", "float64", False][0]).max() > 1e-9


def test_a_delay_line_with_another_input_matrix():
    """B may put inputs anywhere into a delay line; then the header has plain sums."""
    system = ss.DiscreteSystem(ss.DelayLine(2), [[2.0], [1.0]], [[1.0, 3.0]], dt=1.0)
    tables = tables_of(ss.to_c(system, "taps"))
    assert tables["a"].tolist() == [0, 0, 1, 0]
    assert tables["b"].tolist() == [2, 1]
    np.testing.assert_array_equal(reference(system, np.eye(4, 1), np.zeros(2))[:, 0], [0, 5, 6, 0])


# --------------------------------------------------------------- the text


def tables_of(header, suffix="f"):
    """The numbers of each table, as the header has them."""
    found = re.findall(r"static const \w+ (\w+)(?:\[\d+\])* = ([^;]*);", header)
    number = rf"-?\d+(?:\.\d+)?(?:e[+-]\d+)?{suffix}(?![\w.])"
    return {name: np.array([float(x.removesuffix("f")) for x in re.findall(number, text)]) for name, text in found}


VALUES = [1e-5, 1.0, -0.0, 0.1, 1 / 3, -16777217.0, 1e20, 3.4028234e38, -1.1754944e-38, 2.0**-140, 123456.789, 1e16]


def test_literals_read_back_exactly():
    fir = ss.from_ba([1.0, *VALUES], [1.0], dt=1.0)
    single, double = ss.to_c(fir, "fir"), ss.to_c(fir, "fir", "float64")
    assert tables_of(single)["c"].astype(np.float32).tobytes() == np.array(VALUES, np.float32).tobytes()
    assert tables_of(double, "")["c"].tobytes() == np.array(VALUES).tobytes()
    for text in ("1e-05f", "1.0f", "-0.0f", "0.1f", "0.33333334f", "-16777216.0f", "1e+20f"):
        assert re.search(rf"(?<![\w.-]){re.escape(text)}(?![\w.])", single)
    for text in ("1e-05", "0.3333333333333333", "-16777217.0"):
        assert re.search(rf"(?<![\w.-]){re.escape(text)}(?![\w.])", double)


def test_print_options_have_no_say():
    fir, want = SYSTEMS["fir"], ss.to_c(SYSTEMS["fir"], "fir")
    with np.printoptions(precision=2, suppress=True, legacy="1.13"):
        assert ss.to_c(fir, "fir") == want


def test_long_tables_break_between_numbers():
    taps = np.geomspace(1e-30, 1.0, 60)
    header = ss.to_c(ss.from_ba([0.0, *taps], [1.0], dt=1.0), "fir")
    assert tables_of(header)["c"].astype(np.float32).tobytes() == taps.astype(np.float32).tobytes()
    assert max(map(len, header.splitlines())) <= 104


@pytest.mark.parametrize("name", SYSTEMS)
def test_header_holds_the_coefficients(name):
    system = SYSTEMS[name]
    tables = tables_of(ss.to_c(system, name, "float64"), "")
    assert tables["d"].size == (system.A.n_sections if isinstance(system.A, ss.Cascade) else system.D.size)
    if isinstance(system.A, ss.Cascade):
        parts = system.A.sections()._asdict()
    elif system.stores_pairs:
        parts = {"a_re": system.A.diagonal.real, "b_im": system.B.imag, "c_im": system.C.imag, "d": system.D}
    else:
        parts = {"a": getattr(system.A, "diagonal", np.asarray(system.A)), "b": system.B, "c": system.C, "d": system.D}
    for key in tables.keys() & parts.keys():
        assert tables[key].tobytes() == np.ascontiguousarray(parts[key]).tobytes(), key


def test_the_comment_says_what_it_is():
    header = ss.to_c(ss.discretize(ss.from_zpk([], [-1.0], 1.0, time_unit="h"), 0.25, ss.Bilinear(prewarp=6.0)), "lag")
    head = header.partition("*/")[0].replace("\n *", "")
    for words in (
        "lag: a linear system in discrete time, made by statespace (to_c)",
        "Structure Cascade; states: 1, inputs: 1, outputs: 1; dt = 0.25 h, method Bilinear(prewarp=6.0, tap=",
        "y = lag_step(&s, u);",
    ):
        assert words in head
    wide = ss.to_c(SYSTEMS["dense"], "dense").partition("*/")[0]
    assert "dense_step(&s, u, y);" in wide
    assert "u holds 2 and y 3 numbers; the two arrays may overlap." in wide
    assert "method not known" in ss.to_c(SYSTEMS["gain"], "gain")


@pytest.mark.parametrize("unit", ["*/ int x; /*", "µs", "μs", "\\", "a\nb", "??/", "秒", "\u202e", "x" * 1000])
def test_a_unit_of_time_cannot_leave_the_comment(unit):
    header = ss.to_c(ss.DiscreteSystem([[0.5]], [[1]], [[1]], dt=1.0, time_unit=unit), "lag")
    assert header.isascii()
    head, _, rest = header.partition("*/")
    assert rest.startswith("\n#ifndef STATESPACE_lag_H\n#define STATESPACE_lag_H\n")
    assert "/*" not in head[2:]
    assert not re.search(r"\\|\?\?", head)
    assert ("dt = 1.0 us," in head) == (unit in ("µs", "μs"))


def test_same_bits_same_text():
    assert ss.to_c(SYSTEMS["odd"], "a") == ss.to_c(of_zpk(*odd_zpk()), "a")
    assert ss.to_c(SYSTEMS["odd"], "a", "float32") == ss.to_c(SYSTEMS["odd"], "a")


def odd_zpk():
    return [1j, -1j, -0.2], [RING[0], RING[0].conj(), 0.8, 0.7, 0.3], 0.1


# --------------------------------------------------------------- what is refused, and what warns

BAD_NAMES = [
    "",
    "2nd",
    "low-pass",
    "low pass",
    "_x",
    "é",
    "aé",
    "a;b",
    "x\n",
    "int",
    "double",
    "class",
    "while",
    3,
    None,
    ["a"],
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_c_would_refuse(name):
    with pytest.raises(ValueError, match=r"name must be a C identifier .* is no keyword of C or C\+\+, .*got "):
        ss.to_c(SYSTEMS["lag"], name)


@pytest.mark.parametrize(
    ("system", "kind", "text"),
    [
        (SPRING, TypeError, r"to_c needs a DiscreteSystem, got a ContinuousSystem; discretize first"),
        (np.eye(2), TypeError, r"to_c needs a DiscreteSystem first, got ndarray"),
        (ss.discretize(SPRING, [0.1, 0.2]), ValueError, r"to_c writes one system, got a batch of shape \(2,\); pick"),
        (of_zpk([], [0.5j]), ValueError, r"to_c writes real systems, got a complex one, .*conjugate partners; .*pairs"),
        (ss.DiscreteSystem([[1.0]], np.ones((1, 0)), [[1.0]], dt=1.0), ValueError, r"one input .*got 0 inputs and 1 o"),
        (ss.DiscreteSystem([[1.0]], [[1.0]], np.ones((0, 1)), dt=1.0), ValueError, r"one output, got 1 inputs and 0 o"),
        (of_zpk([], [], 1e39), ValueError, r"coefficient d = 1e\+39 is beyond the range of float32, 1\.2e-38 to 3\.4e"),
        (of_zpk([], [], -1e-50), ValueError, r"coefficient d = -1e-50 is beyond .*; use dtype='float64', or scale the"),
        (ss.from_ba([1, 0, 1e-39], [1], dt=1.0), ValueError, r"coefficient c\[1\] = 1e-39 is beyond the range"),
        (of_zpk([], [0.5], 1e300), ValueError, r"coefficient b\[0\] = 1e\+300 is beyond the range"),
    ],
)
def test_what_is_no_c(system, kind, text):
    with pytest.raises(kind, match=text):
        ss.to_c(system, "name")


def test_range_is_that_of_the_type():
    for gain in (1e39, 1e-50, 5e-324):
        assert repr(gain) in ss.to_c(of_zpk([], [], gain), "gain", "float64")
    huge = ss.DiscreteSystem(ss.Cascade([0.5], [0.2], [1.7e308]), dt=1.0) * 1.0
    assert "1.7e+308" in ss.to_c(huge, "huge", "float64")


def test_what_has_decayed_to_nothing_is_zero():
    """A stiff plant was refused: e^−100 is no float, and no scaling helps a pole."""
    for poles in ([-1.0, -1e5], [-1.0, -1e5, -3.0]):
        for method in ("zoh", "foh"):
            digital = ss.discretize(ss.from_zpk([], poles, np.prod(np.abs(poles))), 1e-3, method)
            assert "e-4" not in ss.to_c(digital, "x").split("*/")[1]
            assert "e-44" in ss.to_c(digital, "x", "float64")
    for a, b, c in (
        ([[0.5]], [[1e-42]], [[1.0]]),
        ([[0.5, 1e-40], [1e37, 0.5]], [[1.0], [1.0]], [[1.0, 1.0]]),
        ([[0.9, 0], [0, 0.5]], [[1e-40], [1.0]], [[1e38, 1.0]]),
        ([[0.5, 1e-39], [0, 0.5]], [[0], [1e20]], [[1e20, 0]]),
        ([[0.9]], [[1.0]], [[1e-39], [1.0]]),
    ):
        with pytest.raises(ValueError, match="beyond the range of float32"):
            ss.to_c(ss.DiscreteSystem(a, b, c, dt=1.0), "x")


@pytest.mark.parametrize("dtype", ["float16", "double", np.float32, None])
def test_types_that_are_not_there(dtype):
    with pytest.raises(ValueError, match=r"dtype must be one of 'float32', 'float64', got "):
        ss.to_c(SYSTEMS["lag"], "lag", dtype)


NEAR = 1 - 1e-9
AT = NEAR * np.exp(0.3j)  # an angle at which both parts round outwards
LOST = {  # stable in double, not in float
    "cascade": of_zpk([], [NEAR], 1e-3),
    "first of two": of_zpk([], [NEAR, 0.5], 1e-3),
    "pair in a cascade": of_zpk([], [AT, AT.conj(), 0.5]),
    "diagonal": discrete(ss.Diagonal([0.5, -NEAR]), 2, 1, 1, 1),
    "pairs": discrete(ss.Diagonal([0.5j, AT], pairs=True), 2, 1, 1, 1),
    "imaginary parts": discrete(ss.Diagonal([0.5, NEAR * 1j], pairs=True), 2, 1, 1, 1),
    "dense": ss.DiscreteSystem([[NEAR, 1.0], [0.0, 0.3]], [[0.0], [1.0]], [[1.0, 0.0]], dt=1.0),
    "discretized": ss.discretize(ss.from_zpk([], [-1e-9, -1.0], 1.0), 1.0),
}


@pytest.mark.parametrize("name", LOST)
def test_rounding_away_stability_warns(name):
    system = LOST[name]
    assert system.is_stable
    with pytest.warns(ss.AccuracyWarning, match=r"coefficients rounded to float32 make the stable .*float64") as caught:
        ss.to_c(system, "name")
    before, after = re.search(r"from radius (\S+) to (\S+);", str(caught[0].message)).groups()
    assert float(before) == pytest.approx(NEAR, abs=1e-11)
    assert 1 <= float(after) < 1 + 1e-7
    assert Path(caught[0].filename).name == Path(__file__).name
    ss.to_c(system, "name", "float64")


REPEATED = [-1e-4 + 0.2j, -1e-4 - 0.2j] * 6
WILD = ss.discretize(ss.from_zpk([], REPEATED, 0.2**12), 1.0)


@pytest.mark.parametrize(
    "system",
    [
        WILD,
        ss.discretize(ss.from_zpk([], [0.0, -1.0], 1.0), 0.3),  # not stable before
        of_zpk([], [1.001, 0.3]),
        ss.DiscreteSystem([[1 - 2.0**-24]], [[0.1]], [[0.1]], dt=1.0),  # nearly 1, and a float
    ],
)
def test_no_false_alarm(system):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ss.to_c(system, "name")


def test_the_wild_system_is_wild():
    """What `test_no_false_alarm` needs: the blocks are stable in float, the eigenvalues of the whole are not."""
    a = np.asarray(WILD.A).astype(np.float32).astype(float)
    assert np.abs(np.linalg.eigvals(a)).max() > 1
    assert max(np.abs(np.linalg.eigvals(a[i : i + 2, i : i + 2])).max() for i in range(0, 12, 2)) < 1


def test_only_the_state_matrix_can_move_poles():
    """Poles that are known better than the entries tell: nothing is rounded in A, so nothing is said."""
    a = ss.Dense([[1.0, 1.0], [0.0, 1.0]], poles=[0.5, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ss.to_c(ss.DiscreteSystem(a, [[0.1], [0.1]], [[0.1, 0.1]], dt=1.0), "name")


# --------------------------------------------------------------- files


def parts_of(system):
    """Everything a system holds: names to bits."""
    found = {"type": type(system), "structure": type(system.A), "time_unit": system.time_unit}
    held = {f"A.{f.name}": getattr(system.A, f.name) for f in fields(system.A)}
    held |= {"B": system.B, "C": system.C, "D": system.D, "dt": getattr(system, "dt", None)}
    for name, value in held.items():
        array = isinstance(value, np.ndarray)
        found[name] = (value.dtype, value.shape, value.tobytes()) if array else (type(value), value)
        assert not array or not value.flags.writeable
    method = getattr(system, "method", None)
    return found | {"method": (type(method), method)}


def assert_same(got, want):
    assert parts_of(got) == parts_of(want)


def saved(system, folder):
    path = folder / "system.npz"
    ss.save(system, path)
    return path


CONTINUOUS = systems() | {
    "known poles": ss.ContinuousSystem(ss.Dense([[0.0, 1.0], [-2.0, -3.0]], poles=[-1, -2]), [[0], [1]], [[1, 0]]),
    "complex poles": ss.ContinuousSystem(ss.Dense(np.eye(2), poles=[1 + 0j, 1 - 0j]), [[0], [1j]], [[1, 0]]),
    "weeks": ss.from_zpk([], [-1.0], 1.0, time_unit='weeks "of" µ\n\x00\ud800'),
    "batch cascade": ss.from_zpk(np.ones((3, 1, 1)) * 1j, np.ones((2, 3)) * [-1, -2, -3], np.ones((3, 2))),
    "extremes": ss.ContinuousSystem([[-0.0, 5e-324], [1.7e308, 0.1]], [[-0.0], [1]], [[-0.0, 1 / 3]], [[-0.0]]),
    "empty": ss.ContinuousSystem([[-1.0]], np.zeros((1, 0)), np.zeros((0, 1))),
}
DISCRETE = SYSTEMS | {
    "steps": ss.discretize(SPRING, [0.1, 0.2]),
    "mixed batch": ss.DiscreteSystem(ss.DelayLine(2), np.ones((3, 2, 1)), np.ones((2, 1, 1, 2)), dt=[1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_round_trip(name, tmp_path):
    assert_same(ss.load(saved(CONTINUOUS[name], tmp_path)), CONTINUOUS[name])


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_round_trip(name, tmp_path):
    assert_same(ss.load(saved(DISCRETE[name], tmp_path)), DISCRETE[name])


MADE_BY = METHODS | {
    "prewarped": ss.Bilinear(prewarp=6.0),
    "prewarped, a whole number": ss.Bilinear(prewarp=6),
    "s4": ss.Bilinear(tap="current"),
    "w": ss.ExponentialTrapezoidal(w=1 / 3),
    "NumPy": ss.GeneralizedBilinear(np.float32(0.3)),
    "NumPy, a whole number": ss.GeneralizedBilinear(np.int64(1)),
}


@pytest.mark.parametrize("name", MADE_BY)
def test_methods_round_trip(name, tmp_path):
    want = ss.discretize(ss.from_zpk([-2.0], [-1.0, -3.0], 1.0), 0.1, MADE_BY[name])
    got = ss.load(saved(want, tmp_path))
    assert got.method is not None
    assert got.method == want.method
    assert_same(got, want)


@pytest.mark.parametrize("name", NAMED)
def test_every_method_can_be_saved(name, tmp_path):
    want = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=1.0, method=NAMED[name])
    assert_same(ss.load(saved(want, tmp_path)), want)


def test_a_loaded_system_computes_the_same_bits(tmp_path):
    for system in (SYSTEMS["lowpass"], SYSTEMS["pairs_wide"], SYSTEMS["fir"]):
        u = np.ones((50, system.n_inputs))
        got = ss.simulate(ss.load(saved(system, tmp_path)), u).y
        assert got.tobytes() == ss.simulate(system, u).y.tobytes()


def test_the_file_has_the_name_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("plain", "model.npz", "model.v2", Path("sub.npy")):
        ss.save(SPRING, path)
        assert_same(ss.load(path), SPRING)
    assert sorted(os.listdir()) == ["model.npz", "model.v2", "plain", "sub.npy"]


def test_saving_again_overwrites(tmp_path):
    saved(SYSTEMS["lowpass"], tmp_path)
    assert_same(ss.load(saved(SPRING, tmp_path)), SPRING)


def test_same_bits_same_file(tmp_path):
    first = saved(SYSTEMS["odd"], tmp_path).read_bytes()
    assert saved(of_zpk(*odd_zpk()), tmp_path).read_bytes() == first


def test_other_programs_can_read_it(tmp_path):
    with np.load(saved(SYSTEMS["dense"], tmp_path), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["A.matrix"], np.asarray(SYSTEMS["dense"].A))
        assert set(file.files) == {"A.matrix", "B", "C", "D", "dt", "statespace"}
        header = json.loads(str(file["statespace"]))
    assert header["format"] == "statespace system"
    assert header["version"] == 1
    assert header["method"] == {"name": "FirstOrderHold", "fields": {}}


# --------------------------------------------------------------- files that are not right


OF_DAMAGE = re.compile(r"damaged or cut short|is no \.npz|none of statespace\.save")


def test_what_is_damaged_is_refused_or_whole(tmp_path):
    """Flipped bits, cut ends, holes and doubled pieces: the same system, or one ValueError of ours."""
    want = ss.discretize(ss.from_zpk([-2.0], [-1 + 1j, -1 - 1j, -3.0], 1.0), 0.1, ss.Bilinear(prewarp=6.0))
    content = saved(want, tmp_path).read_bytes()
    rng = np.random.default_rng(0)
    damaged = [content[:i] for i in range(len(content))]
    for i, byte in enumerate(content):
        damaged += [content[:i] + bytes([byte ^ mask]) + content[i + 1 :] for mask in (1 << i % 8, 0xFF)]
    for _ in range(300):
        i, j = sorted(rng.integers(0, len(content), 2))
        damaged += [content[:i] + content[j:], content[:j] + content[i:], content[:i] + bytes(j - i) + content[j:]]
        damaged.append(content[:i] + rng.bytes(j - i) + content[j:])
    path, refused, whole = tmp_path / "damaged", 0, 0
    for wrong in damaged:
        path.write_bytes(wrong)
        try:
            got = ss.load(path)
        except ValueError as error:
            refused += bool(OF_DAMAGE.search(str(error)))
        else:
            assert_same(got, want)
            whole += 1
    assert refused + whole == len(damaged)
    assert refused > 0.9 * len(damaged)


def npz(**arrays):
    """An .npz by someone else, as bytes."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def changed(header=(), drop=(), **arrays):
    """The file of a small system, with another text or other arrays."""
    text = {"format": "statespace system", "version": 1, "type": "DiscreteSystem", "structure": "Dense",
            "parts": {"known_poles": None}, "time_unit": "s", "method": {"name": "Bilinear", "fields": {}}}  # fmt: skip
    text |= dict(header)
    one = np.ones((1, 1))
    whole = {
        "A.matrix": one,
        "B": one,
        "C": one,
        "D": one,
        "dt": np.array(1.0),
        "statespace": np.array(json.dumps(text)),
    }
    return npz(**{name: value for name, value in (whole | arrays).items() if name not in drop})


class Trap:
    """Unpickling it would be noticed."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


WRONG_FILES = [
    (b"", r"is no \.npz file, it begins with b''; load reads what save wrote"),
    (b"hello world", r"is no \.npz file, it begins with b'hello wo'"),
    (b"\x93NUMPY\x01\x00", r"is no \.npz file"),
    (changed()[:-30], r"is damaged or cut short: File is not a zip file; take a copy"),
    (b"PK\x03\x04", r"is damaged or cut short"),
    (npz(x=np.ones(3), B=np.ones(2)), r"is an \.npz, but none of statespace\.save: it holds 'x, B'; read it"),
    (npz(), r"is an \.npz, but none of statespace\.save"),
    (npz(statespace=np.array("hello")), r"none of statespace\.save: its text 'statespace' is of another format"),
    (npz(statespace=np.ones(3)), r"its text 'statespace' is of another format"),
    (npz(statespace=np.array("[" * 10**5)), r"its text 'statespace' is of another format"),
    (changed({"format": "other"}), r"its text 'statespace' is of another format"),
    (changed({"version": "1"}), r"its text 'statespace' is of another format"),
    (changed({"version": 2}), r"is written in version 2 of the format, this statespace reads version 1; update stat"),
    (changed({"type": "SelectiveSystem"}), r"asks for the type of system 'SelectiveSystem', which is not known here"),
    (changed({"structure": "Banded"}), r"structure 'Banded', .*\(known are Dense, Diagonal, Cascade, DelayLine, Diag"),
    (changed({"structure": ["Dense"]}), r"asks for the structure \['Dense'\], which is not known here"),
    (changed({"method": {"name": "os.system", "fields": {}}}), r"the method 'os\.system', .*known are ZeroOrderHold, "),
    (changed({"method": "Bilinear()"}), r"asks for the method 'Bilinear\(\)', which is not known here"),
    (changed({"method": ["x"]}), r"asks for the method \['x'\], which is not known here"),
    (changed({"method": {"name": "Bilinear", "fields": {"w": 1}}}), r"not describe a system: TypeError: .*'w'"),
    (changed({"method": {"name": "Bilinear", "fields": {"x" * 500: 1}}}), r"not describe a system: .*xxxxx…$"),
    (changed({"method": {"name": "Bilinear"}}), r"does not describe a system: 'fields' is missing"),
    (changed({"method": {"name": "Bilinear", "fields": {"prewarp": -1}}}), r"not describe .*prewarp must be a pos"),
    (changed({"parts": {}}), r"does not describe a system: 'known_poles' is missing"),
    (changed({"parts": None}), r"does not describe a system: TypeError"),
    (changed({"time_unit": 3}), r"does not describe a system: TypeError: time_unit must be a word"),
    (changed(drop=["B"]), r"does not describe a system: 'B' is missing"),
    (changed(drop=["dt"]), r"does not describe a system: 'dt' is missing"),
    (changed(drop=["A.matrix"]), r"does not describe a system: 'matrix' is missing"),
    (changed(B=np.ones((2, 1))), r"does not describe a system: ValueError: B must have shape"),
    (changed(C=np.array([[np.nan]])), r"does not describe a system: ValueError: C must be finite"),
    (changed(dt=np.array(-1.0)), r"does not describe a system: ValueError: dt must be positive"),
    (changed(B=np.array([["x"]])), r"does not describe a system: TypeError: B must hold numbers"),
    (changed(B=np.array([[Trap()]])), r"holds an array that cannot be read: Object arrays cannot be loaded when"),
    (npz(statespace=np.array([Trap()], object)), r"holds an array that cannot be read: Object arrays cannot be loaded"),
    (zipped(**{"statespace.npy": b"hello"}), r"holds an array that cannot be read: "),
    (zipped(**{"statespace.npy": b"\x80\x04N."}), r"holds an array that cannot be read: "),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), WRONG_FILES, ids=[re.sub(r"\W+", " ", t)[:60] for _, t in WRONG_FILES])
def test_files_that_are_not_ours(content, text, tmp_path):
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text) as caught:
        ss.load(path)
    assert type(caught.value) is ValueError
    assert 0 < str(caught.value).find("wrong.npz' ") < 60
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_the_changed_file_is_right_where_nothing_is_changed(tmp_path):
    (tmp_path / "same").write_bytes(changed())
    assert ss.load(tmp_path / "same").method == ss.Bilinear()
    (tmp_path / "same").write_bytes(changed({"type": "ContinuousSystem"}))
    assert isinstance(ss.load(tmp_path / "same"), ss.ContinuousSystem)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        ss.load(tmp_path / "nothing.npz")
    with pytest.raises(OSError, match=r"[Dd]irectory|[Dd]enied"):
        ss.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        ss.save(SPRING, tmp_path / "nowhere" / "x.npz")


class Mine(ss.Bilinear):
    """A method of the user's own."""


@pytest.mark.parametrize("wrong", [None, np.eye(2), "model.npz", ss.Dense([[1.0]]), int])
def test_save_needs_a_system(wrong, tmp_path):
    with pytest.raises(TypeError, match=r"save needs a ContinuousSystem or DiscreteSystem first, got "):
        ss.save(wrong, tmp_path / "x")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("path", [None, 1, True, b"x", ["x"], io.BytesIO()])
def test_a_path_is_a_path(path):
    with pytest.raises(TypeError, match=r"save needs a path, a str or os\.PathLike, got "):
        ss.save(SPRING, path)
    with pytest.raises(TypeError, match=r"load needs a path, a str or os\.PathLike, got "):
        ss.load(path)


@pytest.mark.parametrize("method", [Mine(), ss.GeneralizedBilinear(np.longdouble("0.3"))])
def test_methods_that_cannot_be_saved(method, tmp_path):
    if isinstance(method, ss.GeneralizedBilinear) and float(method.w) == method.w:
        pytest.skip("long double is double on this machine")
    system = ss.DiscreteSystem([[0.5]], [[1]], [[1]], dt=1.0, method=method)
    with pytest.raises(
        TypeError, match=r"save knows the methods ZeroOrderHold, .*, got .*; make the system again with"
    ):
        ss.save(system, tmp_path / "x")
    assert not os.listdir(tmp_path)
