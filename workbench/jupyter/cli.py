"""The command line: ``jupyter workbench …`` and ``python -m workbench …``.

Every command ends with 0 when it did its work, 1 when it found or met a problem, and 2 when it was
asked wrongly; then one sentence on stderr says what would be right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from workbench._version import __version__
from workbench.errors import ConfigurationError, InvalidRequest, NotFound, WorkbenchError
from workbench.jupyter import app, care, lab, providers, worker

_EPILOG = """\
examples:
  jupyter workbench lab              a notebook that makes pictures at once
  jupyter workbench app              the same as a page, for people who do not code
  jupyter workbench worker --once    finish what is queued, then end
  jupyter workbench doctor           check a workspace

Each command has its own --help.
"""


class _AskedWrongly(Exception):
    """What argparse would print before it ends the process."""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        # A shortened option would change its meaning when a new one is added.
        super().__init__(**{**options, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        sentence = message[:1].upper() + message[1:].rstrip(".")
        raise _AskedWrongly(f"{sentence}. Try: {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = _Parser(
        prog="jupyter workbench",
        description="Generate, watch, compare and keep AI images inside notebooks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"image-workbench {__version__}")
    commands: Any = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    lab.add_parser(commands)
    app.add_parser(commands)
    worker.add_parser(commands)
    care.add_parsers(commands)
    providers.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv:
        Arguments without the program's name; None: those of this process.

    Returns
    -------
    int
        The exit code.

    Example
    -------
    ``main(["doctor", "--json"])``
    """
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = build_parser()
    try:
        arguments = parser.parse_args(words[:cut])
        if words[cut + 1 :] and arguments.command not in ("lab", "app"):
            raise _AskedWrongly("Only lab and app take arguments after --.")  # noqa: TRY301
        arguments.server_arguments = words[cut + 1 :]
        if arguments.command is None:
            parser.print_help()
            return 2
        code: int = arguments.run(arguments)
    except SystemExit as end:  # --help and --version
        return end.code if isinstance(end.code, int) else 0
    except _AskedWrongly as error:
        return _complain(str(error), 2)
    except InvalidRequest as error:
        field = "--workspace" if error.field == "location" else error.field
        return _complain(f"{field}: {error.message}", 2)
    except (ConfigurationError, NotFound) as error:
        return _complain(str(error), 2)
    except WorkbenchError as error:
        return _complain(str(error), 1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _complain(f"{error.strerror or error}{where}.", 1)
    except KeyboardInterrupt:
        return 130
    return code


def _complain(sentence: str, code: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
