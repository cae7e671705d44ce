"""A pytest plugin: in the tests of scipy.signal, put the functions of `statespace.scipy_signal` in place of SciPy's.

`test_scipy_signal.py` runs them so, in a process of their own. Nothing of SciPy's tests is kept here.
"""

import json
import os
from fnmatch import fnmatchcase
from functools import wraps

import pytest
from scipy import signal

import statespace as ss

FAILING = json.loads(os.environ["SCIPY_DOOR_FAILING"])  # pattern of names to the reason
REFERENCES = json.loads(os.environ["SCIPY_DOOR_REFERENCES"])  # test to functions it holds ours against
CALLS = dict.fromkeys(ss.scipy_signal.__all__, 0)


def counted(name):
    ours = getattr(ss.scipy_signal, name)

    @wraps(ours)
    def call(*args, **options):
        CALLS[name] += 1
        return ours(*args, **options)

    return call


OURS = {id(getattr(signal, name)): counted(name) for name in CALLS}


class Signal:
    """`scipy.signal`, with our functions where there are some."""

    def __getattr__(self, name):
        theirs = getattr(signal, name)
        return OURS.get(id(theirs), theirs)


@pytest.fixture(autouse=True)
def replaced(request, monkeypatch):
    """Whatever a test module calls them, and whether it imports the functions or the module."""
    kept = REFERENCES.get(request.node.originalname, ())
    for name, value in list(vars(request.module).items()):
        if name not in kept and (value is signal or id(value) in OURS):
            monkeypatch.setattr(request.module, name, OURS.get(id(value), Signal()))


def pytest_collection_modifyitems(items):
    found = set()
    for item in items:
        for pattern, reason in FAILING.items():
            if fnmatchcase(f"{item.path.name}::{item.nodeid.partition('::')[2]}", pattern):
                found.add(pattern)
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))  # one that passes is an error
    if set(FAILING) - found:
        raise pytest.UsageError(f"there are no such tests: {sorted(set(FAILING) - found)}")


def pytest_sessionfinish():
    with open(os.environ["SCIPY_DOOR_CALLS"], "w", encoding="utf-8") as file:
        json.dump(CALLS, file)
