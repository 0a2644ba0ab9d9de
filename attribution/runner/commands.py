"""Commands that a page starts: detached processes of the command line that outlive the server.

Imports and builds load torch or take long, so the server never runs them itself. Each is a folder under
`<data folder>/<data set>/commands/<number>`: what was asked, what it prints, how far it is, and how it ended.

They stand beside the job queue, which the runner works off: a job is trainings that the runner shares among its workers
and keeps in the store, a command is any other program, and several build steps queue jobs themselves and wait for them.
Were commands jobs, such a build would hold a worker while it waits for one.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from attribution.errors import UserError
from attribution.files import ROOT, make_folder, open_private, read_json, write_json
from attribution.importing import uploads
from attribution.store.lock import is_locked
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

MAX_COMMANDS = 20
#: set for a command started here: the file it writes its progress to, {"text", "done", "total"}
PROGRESS_VARIABLE = "LINEUP_PROGRESS"


@dataclass(frozen=True)
class Command:
    """A command as it stands. words: of the command line, after `python -m attribution`. state: "running", "done",
    "failed", "cancelled" or "lost" (gone without a word, as after a power cut). message: the last line it printed.
    progress: (text, done, total), or None."""

    number: int
    words: list[str]
    state: str
    started: float
    seconds: float
    message: str
    progress: tuple[str, int, int] | None

    @property
    def is_open(self) -> bool:
        """Whether it is still running."""
        return self.state == "running"


def start_command(workspace: Workspace, words: list[str], reads: Path | None = None) -> int:
    """Starts `python -m attribution` with `words` for the workspace and returns its number. reads: a file that was
    uploaded for it, which is removed when it has ended, however that is. Raises UserError where the data folder cannot
    be written to."""
    home = _commands_folder(workspace)
    try:
        make_folder(home)
        number = max(_numbers(home), default=0) + 1
        folder = home / str(number)
        folder.mkdir()
    except OSError as error:
        raise UserError(
            f"{home} cannot be written to ({error.strerror}); set LINEUP_DATA to a folder that can"
        ) from None
    for old in _numbers(home)[MAX_COMMANDS:]:
        shutil.rmtree(home / str(old), ignore_errors=True)
    words = [*map(str, words), "--workspace", str(Path(workspace.path).resolve())]
    # the process inherits it and holds it until it ends, however that is: a pid is given again, and clocks are set
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-m", "attribution.runner.commands", str(folder), str(reads or ""), *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "LINEUP_DATA": str(home.parent.parent)},
            pass_fds=[lock],
        )
    finally:
        os.close(lock)
    write_json(folder / "asked.json", {"words": words, "pid": process.pid, "started": time.time()})
    return number


def list_commands(workspace: Workspace) -> list[Command]:
    """The last MAX_COMMANDS commands, newest first."""
    home = _commands_folder(workspace)
    return [command for number in _numbers(home) if (command := _read_command(home / str(number)))]


def running_commands(workspace: Workspace) -> list[Command]:
    """The commands that are still running, newest first. Of those that ended no more is read than that they did."""
    home = _commands_folder(workspace)
    open_ones = (home / str(number) for number in _numbers(home) if not (home / str(number) / "ended.json").exists())
    return [command for folder in open_ones if (command := _read_command(folder)) and command.is_open]


def find_command(workspace: Workspace, number: int) -> Command | None:
    """A command by its number, or None."""
    return _read_command(_commands_folder(workspace) / str(number))


def answer_of(workspace: Workspace, command: Command) -> dict | None:
    """The JSON object that a command printed with --json; None where it printed none."""
    try:
        lines = (_commands_folder(workspace) / str(command.number) / "out").read_text(errors="replace").splitlines()
        answer = json.loads(lines[-1])
    except (OSError, IndexError, ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def cancel_command(workspace: Workspace, number: int) -> None:
    """Stops a command and all it started; what it had not finished leaves nothing."""
    folder = _commands_folder(workspace) / str(number)
    command = _read_command(folder)
    if command is None or not command.is_open:
        return
    write_json(folder / "ended.json", {"state": "cancelled", "at": time.time()})
    try:
        os.killpg(read_json(folder / "asked.json")["pid"], signal.SIGINT)
    except ProcessLookupError:
        pass


def _commands_folder(workspace: Workspace) -> Path:
    return ResultStore.folder_of(workspace).resolve() / "commands"


def _numbers(home: Path) -> list[int]:
    """The numbers of the commands that have a folder, newest first."""
    names = (folder.name for folder in home.glob("*"))
    return sorted((int(name) for name in names if re.fullmatch("[0-9]{1,18}", name)), reverse=True)


def _read_command(folder: Path) -> Command | None:
    request = _read_json(folder / "asked.json")
    if request is None:
        return None  # being started this moment
    alive = is_locked(folder)  # asked first: one that ends says how, and then lets go
    ended = _read_json(folder / "ended.json")
    state = ended["state"] if ended else "running" if alive else "lost"
    until = ended["at"] if ended else time.time()
    lines = [
        line
        for name in ("out", "err")
        if (folder / name).exists()
        for line in (folder / name).read_text(errors="replace").splitlines()
        if line.strip()
    ]
    progress = _read_json(folder / "progress.json")
    return Command(
        int(folder.name),
        request["words"],
        state,
        request["started"],
        max(0.0, until - request["started"]),  # clocks are set back
        lines[-1] if lines else "",
        (progress["text"], progress["done"], progress["total"]) if progress else None,
    )


def _read_json(file: Path) -> dict | None:
    try:
        return read_json(file)
    except (OSError, UserError):
        return None


def main() -> None:
    """The process that `start_command` detaches: runs the command and writes down how it ended."""
    folder, reads, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # `cancel_command` is for the command, which this process waits for
    with open_private(folder / "out", "w") as out, open_private(folder / "err", "w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "attribution", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, PROGRESS_VARIABLE: str(folder / "progress.json")},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        code = process.wait()
    if reads:
        uploads.remove(Path(reads))
    if not (folder / "ended.json").exists():
        write_json(folder / "ended.json", {"state": "done" if code == 0 else "failed", "at": time.time()})


if __name__ == "__main__":
    main()
