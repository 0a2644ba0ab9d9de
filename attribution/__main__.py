"""The command line: `python -m attribution COMMAND ...`; attribution/cli/app.py lists its commands."""

import io
import sqlite3
import sys

from attribution.cli.app import app
from attribution.errors import UserError
from attribution.store.database import store_error


def main() -> None:
    """Runs the command line and turns a UserError into one sentence and exit status 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a "?" for what its encoding lacks, once all the work is done
    try:
        app()
    except UserError as error:
        print(str(error), file=sys.stderr)
        sys.exit(2)
    except sqlite3.Error as error:
        print(store_error(error), file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that may not be entered: nothing that a traceback would explain
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror or error}; check the path, its rights and the room there", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
