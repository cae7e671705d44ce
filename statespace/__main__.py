"""python -m statespace: what can be asked from a terminal."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Answer one command; 0, or 1 with a line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m statespace", description="Systems with a state, in NumPy.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("inspect", help="layers, shapes and number of parameters of a Mamba checkpoint")
    command.add_argument("folder", help="with config.json and model.safetensors")
    commands.add_parser("doctor", help="versions, threads, the cache of compiled loops, the GPU, and what is missing")
    asked = parser.parse_args(arguments)
    return _doctor() if asked.command == "doctor" else _inspect(asked.folder)


def _doctor() -> int:
    """1 where the engine of the CPU does not work; a GPU may be missing."""
    from statespace.doctor import examine, table

    found, well = examine()
    sys.stdout.write(table(found) + "\n")
    return 0 if well else 1


def _inspect(folder: str) -> int:
    from statespace.mamba import inspect

    try:
        sys.stdout.write(inspect(folder) + "\n")
    except (OSError, ImportError, TypeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
