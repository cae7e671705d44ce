"""Systems in a file: a NumPy .npz of arrays and one JSON text, bit for bit and without pickle."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import fields
from typing import Any, get_args

import numpy as np

from statespace.arrays import Array, shorten
from statespace.discretization.names import Method
from statespace.structure import Cascade, Structure
from statespace.systems import ContinuousSystem, DiscreteSystem

# The JSON text is the array "statespace", an object such as
#
#   {"format": "statespace system", "version": 1, "type": "DiscreteSystem", "structure": "Diagonal",
#    "parts": {"pairs": true}, "method": {"name": "Bilinear", "fields": {"prewarp": 6.0, "tap": "previous"}},
#    "time_unit": "s"}
#
# The parts of the structure that are arrays are stored as such, "A.diagonal"; beside them are B, C and D, unless
# the structure implies them, and dt. Fields and parts have the names they have in Python, so a new structure or
# method needs nothing here; one that is renamed needs a new version.
_HEADER, _FORMAT, _VERSION = "statespace", "statespace system", 1
_TYPES = {"ContinuousSystem": ContinuousSystem, "DiscreteSystem": DiscreteSystem}


def save(system: ContinuousSystem | DiscreteSystem, path: str | os.PathLike[str]) -> None:
    """Write a system to a file, from which `load` gives back the same bits.

    Everything is kept: the structure with the poles it knows, a batch, dt, the method that made the system, the unit
    of time. The file is a NumPy ``.npz`` with one JSON text, so other programs can read it too.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        The system; a batch too.
    path : str or os.PathLike
        The file, overwritten where it exists. No suffix is added.

    Returns
    -------
    None

    Raises
    ------
    TypeError
        There is no system to save, its method is not one of this package, or the path is no path.
    OSError
        The file cannot be written.

    References
    ----------
    R. Kern, "A Simple File Format for NumPy Arrays", NumPy Enhancement Proposal 1, section "Format Specification:
    Version 1.0".

    Examples
    --------
    >>> import statespace as ss
    >>> lowpass = ss.discretize(ss.from_zpk([], [-3 + 4j, -3 - 4j], 25.0), 0.1, ss.Bilinear(prewarp=5.0))
    >>> ss.save(lowpass, "lowpass.npz")
    >>> ss.load("lowpass.npz").method
    Bilinear(prewarp=5.0, tap='previous')
    """
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        raise TypeError(f"save needs a ContinuousSystem or DiscreteSystem first, got {type(system).__name__}")
    _check_path(path, "save")
    parts = {field.name: getattr(system.A, field.name) for field in fields(system.A)}
    arrays: dict[str, Any] = {f"A.{name}": part for name, part in parts.items() if isinstance(part, np.ndarray)}
    if not isinstance(system.A, Cascade):
        arrays |= {"B": system.B, "C": system.C, "D": system.D}
    header: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "type": "ContinuousSystem",
        "structure": type(system.A).__name__,
        "parts": {name: _plain(part) for name, part in parts.items() if not isinstance(part, np.ndarray)},
        "time_unit": system.time_unit,
    }
    if isinstance(system, DiscreteSystem):
        header["type"], header["method"] = "DiscreteSystem", _method_to_json(system.method)
        arrays["dt"] = np.asarray(system.dt)
    arrays[_HEADER] = np.array(json.dumps(header))
    with open(path, "wb") as file:  # opened here, since numpy.savez would add a suffix to a name
        np.savez(file, **arrays)


def load(path: str | os.PathLike[str]) -> ContinuousSystem | DiscreteSystem:
    """Read a system that `save` wrote: the same type, structure, poles, method and bits.

    Nothing in the file is executed: it holds numbers and names, and the names are looked up in fixed tables. What was
    damaged on the way is refused, by the checksums of the file.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    ContinuousSystem or DiscreteSystem
        The system that was saved.

    Raises
    ------
    TypeError
        The path is no path.
    OSError
        The file cannot be read: FileNotFoundError where there is none.
    ValueError
        The file is none of `save`, is damaged or cut short, or comes from a newer version.

    References
    ----------
    R. Kern, "A Simple File Format for NumPy Arrays", NumPy Enhancement Proposal 1, section "Format Specification:
    Version 1.0".

    Examples
    --------
    >>> import statespace as ss
    >>> ss.save(ss.from_zpk([], [-1.0], 2.0, time_unit="week"), "decay.npz")
    >>> ss.load("decay.npz")
    ContinuousSystem(Cascade([(-1+0j)], [None], [2.0]), time_unit='week')
    """
    _check_path(path, "load")
    with open(path, "rb") as file:
        content = file.read()
    where = _end_of(path)
    arrays = _arrays(content, where)
    header = _header(arrays, where)
    kind = _known(header.get("type"), _TYPES, "type of system", where)
    structure = _known(header.get("structure"), _table(Structure), "structure", where)
    method = header.get("method")
    if method is not None:
        _known(method.get("name") if isinstance(method, dict) else method, _table(Method), "method", where)
    try:
        return _system(kind, structure, header, arrays)
    except Exception as error:  # whatever the text and the arrays do not fit in is one complaint
        what = (
            f"{_line(error)} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {_line(error)}"
        )
        raise ValueError(f"{where} does not describe a system: {what}") from None


# --------------------------------------------------------------- between names and objects


def _check_path(path: Any, verb: str) -> None:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{verb} needs a path, a str or os.PathLike, got {type(path).__name__}")


def _table(union: Any) -> dict[str, Any]:
    """The classes of a union by their names: all that a file can ask for."""
    return {kind.__name__: kind for kind in get_args(union)}


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python, for JSON."""
    if isinstance(value, np.integer):
        return int(value)
    return float(value) if isinstance(value, np.floating) else value


def _method_to_json(method: Any) -> Any:
    if method is None:
        return None
    known, name = _table(Method), type(method).__name__
    values = {field.name: _plain(getattr(method, field.name)) for field in fields(method)}
    if name not in known or known[name](**values) != method:
        raise TypeError(
            f"save knows the methods {', '.join(known)}, with double numbers, got {shorten(method)}; make the system "
            "again without method="
        )
    return {"name": name, "fields": values}


def _system(kind: Any, structure: Any, header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    """Put the parts together; each constructor checks what it gets."""
    parts = header["parts"]
    names = [field.name for field in fields(structure)]
    a = structure(*(arrays[f"A.{name}"] if f"A.{name}" in arrays else parts[name] for name in names))
    matrices = () if structure is Cascade else (arrays["B"], arrays["C"], arrays["D"])
    if kind is ContinuousSystem:
        return kind(a, *matrices, time_unit=header["time_unit"])
    method = header["method"]
    made_by = None if method is None else _table(Method)[method["name"]](**method["fields"])
    return kind(a, *matrices, dt=arrays["dt"], method=made_by, time_unit=header["time_unit"])


# --------------------------------------------------------------- reading without trust


def _arrays(content: bytes, where: str) -> dict[str, Array]:
    """The arrays of an npz; each member is compared with its checksum before anything looks at it."""
    if not content.startswith(b"PK"):
        raise ValueError(f"{where} is no .npz file, it begins with {content[:8]!r}; load reads what save wrote")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    except Exception as error:  # zipfile and zlib have a dozen for a broken file, and all mean this
        raise ValueError(f"{where} is damaged or cut short: {_line(error)}; take a copy") from None
    if _HEADER not in members:
        held = shorten(", ".join(members))
        raise ValueError(f"{where} is an .npz, but none of statespace.save: it holds {held}; read it with numpy.load")
    try:
        return {name: _array(member) for name, member in members.items()}
    except Exception as error:  # as above, for a member that NumPy cannot read or would have to unpickle
        raise ValueError(f"{where} holds an array that cannot be read: {_line(error)}") from None


def _array(member: bytes) -> Array:
    return np.lib.format.read_array(io.BytesIO(member), allow_pickle=False)


def _header(arrays: dict[str, Array], where: str) -> dict[str, Any]:
    """The JSON text, once it is sure that it is of this format and version."""
    try:
        header = json.loads(str(arrays[_HEADER]))
    except (ValueError, RecursionError):
        header = None
    if not (isinstance(header, dict) and header.get("format") == _FORMAT and isinstance(header.get("version"), int)):
        raise ValueError(f"{where} is an .npz, but none of statespace.save: its text 'statespace' is of another format")
    if header["version"] != _VERSION:
        raise ValueError(
            f"{where} is written in version {header['version']} of the format, this statespace reads version "
            f"{_VERSION}" + ("; update statespace" if header["version"] > _VERSION else "")
        )
    return header


def _known(name: Any, table: dict[str, Any], what: str, where: str) -> Any:
    if not (isinstance(name, str) and name in table):
        raise ValueError(
            f"{where} asks for the {what} {shorten(name)}, which is not known here (known are {', '.join(table)}); "
            "a newer statespace may have written it"
        )
    return table[name]


def _line(error: Exception) -> str:
    """The text of an error on one short line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 150 else text[:149] + "…"


def _end_of(path: Any) -> str:
    """The path in quotes, the beginning cut off where it is long: the name tells most."""
    text = repr(os.fspath(path))
    return text if len(text) <= 60 else "'…" + text[-58:]
