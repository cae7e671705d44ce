"""What the documentation says is what the library does: blocks run, signatures match, docstrings are complete."""

import ast
import doctest
import inspect
import itertools
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import statespace as ss
from statespace.testing import strategies

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
MODULES = ("hippo", "mamba", "plot", "scipy_signal", "testing")
OBJECTS = {name: getattr(ss, name) for name in ss.__all__ if name not in MODULES}
PLOTS = {f"plot.{name}": getattr(ss.plot, name) for name in ss.plot.__all__}
DOOR = {f"scipy_signal.{name}": getattr(ss.scipy_signal, name) for name in ss.scipy_signal.__all__}
HIPPO = {f"hippo.{name}": getattr(ss.hippo, name) for name in ss.hippo.__all__}
MAMBA = {f"mamba.{name}": getattr(ss.mamba, name) for name in ss.mamba.__all__}
KIT = {f"testing.{name}": getattr(ss.testing, name) for name in ss.testing.__all__ if name != "strategies"}
DRAWN = {f"testing.strategies.{name}": getattr(strategies, name) for name in strategies.__all__}
LISTED = {**OBJECTS, **PLOTS}  # with a section each in api.md
# With one section for all.
TOGETHER = {"hippo": HIPPO, "mamba": MAMBA, "scipy_signal": DOOR, "testing": KIT, "testing.strategies": DRAWN}
PUBLIC = {**LISTED, **HIPPO, **MAMBA, **DOOR, **KIT, **DRAWN}
FUNCTIONS = [name for name, value in PUBLIC.items() if inspect.isfunction(value)]
CLASSES = [name for name, value in PUBLIC.items() if inspect.isclass(value)]


# --------------------------------------------------------------- blocks of code in the pages


def blocks_of(page, language="python"):
    """Line number and text of each block of one language."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(2)) + 1, m[2]) for m in FENCE.finditer(text) if m[1] == language]


ON_A_GPU = ROOT / "docs" / "gpu.md"  # whose blocks tests/gpu/test_gpu_docs.py runs
BLOCKS = [(page, i) for page in PAGES if page != ON_A_GPU for i in range(len(blocks_of(page)))]


class Page:
    """One namespace; a block runs after those above it, once."""

    def __init__(self, path, folder):
        self.blocks, self.path, self.folder, self.done = blocks_of(path), path, folder, 0
        self.namespace = {"__name__": path.stem}

    def run(self, upto):
        while self.done <= upto:
            line, source = self.blocks[self.done]
            self.done += 1
            if source.startswith(">>>"):
                check_doctest(doctest.DocTestParser().get_doctest(source, self.namespace, self.path.name, None, line))
            else:
                exec(compile("\n" * (line - 1) + source, str(self.path), "exec"), self.namespace)


def check_doctest(test):
    """Run one doctest in its own namespace and show every difference."""
    report = []
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=report.append, clear_globs=False)
    assert not report, "\n".join(report)


@pytest.fixture(autouse=True)
def drawing_off_screen():
    """Pictures go nowhere and are closed; warning filters that an example sets are put back."""
    import matplotlib
    import matplotlib.pyplot as plt

    matplotlib.use("Agg")
    with warnings.catch_warnings():
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return {path: Page(path, tmp_path_factory.mktemp(path.stem)) for path in PAGES}


@pytest.mark.parametrize(("path", "i"), BLOCKS, ids=[f"{path.name}-{i}" for path, i in BLOCKS])
def test_block_runs(path, i, pages, monkeypatch):
    monkeypatch.chdir(pages[path].folder)
    pages[path].run(i)


def anchors(page):
    """Headings as they are addressed: small letters, hyphens, no punctuation."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(path):
    for target, anchor in re.findall(r"\]\((?!\w+://)([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_named_tests_exist(path):
    named = set(re.findall(r"\b(test_\w+)\b(?!\.py)", path.read_text(encoding="utf-8")))
    known = {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    files = {file.stem for file in (ROOT / "tests").rglob("test_*.py")}
    assert named - known - files == set()


def test_architecture_names_every_file():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    files = {path.name for path in (ROOT / "statespace").rglob("*.py")}
    assert {name for name in files if f"`{name}`" not in page} == set()


# --------------------------------------------------------------- api.md


def plain(signature):
    """A signature without quotes, spaces, line breaks, a trailing comma or the address of a sentinel."""
    text = re.sub(r"<object object at 0x\w+>", "<required>", signature)
    return re.sub(r",\)", ")", re.sub(r"[\s'\"]", "", text))


def signature_of(value):
    """The signature, or nothing for a warning, which takes what every exception takes; classes by their names."""
    if inspect.isclass(value) and issubclass(value, Warning):
        return ""
    return re.sub(r"ForwardRef\('([^']+)'\)|<class '(\w+)'>", r"\1\2", str(inspect.signature(value)))


def documented():
    """What api.md says: name to (signature, text of its section)."""
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    sections = re.split(r"^### ", text, flags=re.M)[1:]
    found = {}
    for section in sections:
        name = re.match(r"`([\w.]+)`", section)[1]
        signature = next((m[2] for m in FENCE.finditer(section) if m[1] == "text"), "")
        found[name] = (plain(signature), section)
    return found


def test_api_page_lists_the_public_names():
    assert set(documented()) == {*LISTED, *TOGETHER}


@pytest.mark.parametrize("name", LISTED)
def test_api_page_gives_the_signature(name):
    want = name + signature_of(PUBLIC[name])
    got = documented()[name][0]
    assert got == plain(want), f"docs/api.md should say\n{want}"


@pytest.mark.parametrize("module", TOGETHER)
def test_api_page_gives_the_signatures_of_a_module(module):
    """One section lists all its functions, by name."""
    functions = TOGETHER[module]
    want = [name.removeprefix(f"{module}.") + signature_of(functions[name]) for name in sorted(functions)]
    assert documented()[module][0] == "".join(map(plain, want)), "docs/api.md should say\n" + "\n".join(want)


@pytest.mark.parametrize("name", [*LISTED, *TOGETHER])
def test_api_page_gives_an_example(name):
    section = documented()[name][1]
    assert name.rpartition(".")[2] in "".join(m[2] for m in FENCE.finditer(section) if m[1] == "python")


@pytest.mark.parametrize("name", [*KIT, *DRAWN])
def test_api_page_gives_an_example_of_each_name_of_a_joint_section(name):
    module, _, own = name.rpartition(".")
    assert own in "".join(m[2] for m in FENCE.finditer(documented()[module][1]) if m[1] == "python")


def has_attributes_to_name(name):
    """A class with a section of its own, other than a discretization method or a warning."""
    return name in LISTED and not hasattr(PUBLIC[name], "factors") and name != "AccuracyWarning"


@pytest.mark.parametrize("name", [*filter(has_attributes_to_name, CLASSES)])
def test_api_page_names_every_attribute(name):
    section = documented()[name][1]
    own = [a for base in PUBLIC[name].__mro__[:-1] if base is not tuple for a in (*vars(base), *base.__annotations__)]
    public = {a for a in own if not a.startswith("_")}
    assert {a for a in public if f"`{a}" not in section and f"{a}:" not in section} == set()


# --------------------------------------------------------------- docstrings


def sections_of(value):
    """Headings of a numpydoc docstring: a line over a line of dashes as long as itself."""
    lines = inspect.getdoc(value).splitlines()
    return {a for a, b in itertools.pairwise(lines) if a and b == "-" * len(a)}


def parameters_of(value):
    return list(inspect.signature(value).parameters) if signature_of(value) else []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_docstring_is_complete(name):
    value = PUBLIC[name]
    wanted = {"Returns", "Raises", "References", "Examples"} | ({"Parameters"} if parameters_of(value) else set())
    wanted -= {"References"} if name.startswith(("plot.", "scipy_signal.")) else set()
    assert wanted - sections_of(value) == set()


@pytest.mark.parametrize("name", CLASSES)
def test_class_docstring_is_complete(name):
    value = PUBLIC[name]
    described = {"Parameters", "Attributes"} & sections_of(value)
    assert "Examples" in sections_of(value)
    assert described or not parameters_of(value)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_names_every_parameter(name):
    value = PUBLIC[name]
    entries = "\n".join(re.findall(r"^([*\w][*\w, ]*?)(?: :.*)?$", inspect.getdoc(value), re.M))
    missing = [p for p in parameters_of(value) if not re.search(rf"(?<!\w){p}(?!\w)", entries)]
    assert [p for p in missing if p != "misplaced"] == []


def members_with_docstrings():
    """Every public object and, for a class, its own and inherited public methods and properties."""
    for name, value in PUBLIC.items():
        yield name, value
        if inspect.isclass(value):
            for base in value.__mro__:
                if base.__module__.startswith("statespace"):
                    for attribute, member in vars(base).items():
                        if not attribute.startswith("_") and (callable(member) or isinstance(member, property)):
                            yield f"{name}.{attribute}", member


MEMBERS = dict(members_with_docstrings())


@pytest.mark.parametrize("name", [n for n in MEMBERS if n not in PUBLIC])
def test_member_has_a_docstring(name):
    assert MEMBERS[name].__doc__


DOCTESTS = [n for n, v in MEMBERS.items() if ">>>" in (v.__doc__ or "")]


@pytest.mark.parametrize("name", [*DOCTESTS, "statespace"])
def test_docstring_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = ss if name == "statespace" else MEMBERS[name]
    with np.printoptions(precision=8, threshold=1000):
        check_doctest(doctest.DocTestParser().get_doctest(value.__doc__, {}, name, None, None))
