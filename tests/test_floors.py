"""The layout's rules, read from the syntax tree: imports only go down, functions and files stay short."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "statespace"

FLOOR = {
    "arrays": 0, "rule_numbers": 0,
    "structure": 1, "cpu": 1, "gpu": 1,
    "systems": 2, "scan": 2,
    "conversion": 3, "discretization": 3, "frequency": 3, "hippo": 3, "kernels": 3,
    "export": 4, "selective": 4,
    "simulation": 5, "mamba": 5, "doctor": 5,
    "plot": 6, "scipy_signal": 6, "testing": 6, "__main__": 6,
    "__init__": 7,
}  # fmt: skip

# What a floor may import from outside beside the standard library and numpy; "inside" means in functions only.
TOP_LEVEL = {"cpu": {"numba"}} | {f: {"scipy"} for f in ("conversion", "discretization", "frequency", "kernels")}
TOP_LEVEL["testing"] = {"hypothesis"}
INSIDE = {"hypothesis": 6, "safetensors": 5, "tqdm": 5, "scipy": 1, "control": 3, "matplotlib": 6}
ONLY = {"numba": {"cpu"}, "llvmlite": {"cpu"}, "cupy": {"gpu"}}
STANDARD = {
    "__future__",
    "abc",
    "argparse",
    "collections",
    "contextlib",
    "ctypes",
    "dataclasses",
    "functools",
    "html",
    "importlib",
    "io",
    "itertools",
    "json",
    "math",
    "mmap",
    "operator",
    "os",
    "pathlib",
    "platform",
    "queue",
    "re",
    "sys",
    "textwrap",
    "threading",
    "time",
    "typing",
    "warnings",
    "zipfile",
}


def sources():
    yield from ((path, module_of(path)) for path in sorted(PACKAGE.rglob("*.py")))
    yield from ((path, "gpu") for path in sorted((ROOT / "gpu").rglob("*.py")))


def module_of(path):
    """Name of the file or folder directly under the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree):
    """(imported module, whether at top level) of every import that is not for type checking only."""
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            skipped |= {id(child) for child in ast.walk(node)}
    inside = {id(c) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for c in ast.walk(f)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, id(node) not in inside


@pytest.mark.parametrize(("path", "module"), list(sources()), ids=lambda x: x.name if isinstance(x, Path) else x)
def test_imports_go_down(path, module):
    for name, top in imports(ast.parse(path.read_text(encoding="utf-8"))):
        root, *rest = name.split(".")
        if root == "statespace":
            target = rest[0] if rest else "__init__"
            assert target == module or FLOOR[target] < FLOOR[module], f"{path.name} imports {name}: not below"
        elif root in ONLY:
            assert module in ONLY[root], f"{path.name} imports {root}, which only {ONLY[root]} may"
        elif root in INSIDE:
            allowed = FLOOR[module] >= INSIDE[root] and (not top or root in TOP_LEVEL.get(module, set()))
            assert allowed, f"{path.name} imports {root} at top level or too low"
        else:
            assert root in STANDARD | {"numpy"}, f"{path.name} imports {root}"


def test_every_file_has_a_floor():
    assert {module for _, module in sources()} == set(FLOOR)


def functions(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, (node.end_lineno - body[0].lineno + 1 if body else 0)


def test_files_and_functions_are_short():
    lengths = []
    for path, _ in sources():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 500, f"{path.name} has outgrown 500 lines: make it a folder"
        for name, length in functions(ast.parse(text)):
            assert length <= 50, f"{path.name}: {name} has {length} lines, at most 50"
            lengths.append(length)
    assert sorted(lengths)[len(lengths) // 2] <= 8


def test_the_package_list_is_what_is_on_disk():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {"statespace.gpu"} | {
        ".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")
    }
    assert set(settings["packages"]) == folders
    assert settings["package-dir"] == {"statespace": "statespace", "statespace.gpu": "gpu"}


def test_nothing_is_left_unfinished():
    for path, _ in sources():
        text = path.read_text(encoding="utf-8")
        for mark in ("TODO", "FIXME", "XXX", "NotImplementedError"):
            assert mark not in text, f"{mark} in {path.name}"
