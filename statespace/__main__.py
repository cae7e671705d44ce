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
    asked = parser.parse_args(arguments)
    from statespace.mamba import inspect

    try:
        sys.stdout.write(inspect(asked.folder) + "\n")
    except (OSError, ImportError, TypeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
