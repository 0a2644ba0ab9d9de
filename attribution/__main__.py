"""The command line: `python -m attribution COMMAND ...`; attribution/cli/app.py lists its commands."""

import io
import sqlite3
import sys
from contextlib import suppress
from typing import NoReturn

import typer

from attribution.cli.app import app
from attribution.errors import UserError
from attribution.files.libraries import leave_out_grammar
from attribution.inputs import names
from attribution.store.database import store_error

#: what typer raises for words that are no command: a class of its own or click's, as its version is
USAGE_ERROR = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def end(sentence: object) -> NoReturn:
    """Says what is wrong and ends with status 2, also where it cannot be said: into a log on a full disk, say."""
    with suppress(OSError):
        print(names.sentence(sentence), file=sys.stderr, flush=True)
    sys.exit(2)


def lineup() -> None:
    """The console command `lineup`: alone, it serves the demo and opens the browser; else as `main`."""
    if len(sys.argv) == 1:
        sys.argv += ["serve", "--open"]
    main()


def main() -> None:
    """Runs the command line and turns a UserError into one sentence and exit status 2."""
    leave_out_grammar()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a "?" for what its encoding lacks, once all the work is done
    try:
        status = app(standalone_mode=False)  # so that what is wrong with the words of a command is one sentence, too
        sys.exit(status if isinstance(status, int) else 0)
    except USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # no mistake: the help was asked for
            error.show()
            sys.exit(error.exit_code)
        command = error.ctx.command_path if getattr(error, "ctx", None) else "python -m attribution"
        end(f"{error.format_message().rstrip('.')}; `{command} --help` says what there is")
    except typer.Abort:
        sys.exit(1)
    except UserError as error:
        end(str(error))
    except sqlite3.Error as error:
        end(store_error(error))
    except OSError as error:  # a full disk, a folder that may not be entered: nothing that a traceback would explain
        where = f"{error.filename}: " if error.filename else ""
        end(f"{where}{error.strerror or error}; check the path, its rights and the room there")


if __name__ == "__main__":
    main()
