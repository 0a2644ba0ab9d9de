"""Jobs: queueing a spec, following, pausing and cancelling it, and the runner that does them.

A job is a spec (`attribution.experiments.spec`) in the store. The runner is another process, one a store: whoever holds
the lock on the store's folder.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attribution.errors import UserError
from attribution.experiments.spec import Spec
from attribution.files import ROOT, file_mode, open_private, read_bytes, read_json, write_atomically, write_json
from attribution.store.database import store_error
from attribution.store.lock import runner_alive, runner_lock
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

RUNNER_INFO = "runner.json"  # in the store's folder
TROUBLE, TROUBLE_BYTES = "trouble.txt", 1000  # the same
MIN_FREE = 2**18  # bytes below which a disk is called full
MAX_START_SECONDS = 20  # seconds a runner may take until it holds its lock
_started_runners: dict[Path, tuple[subprocess.Popen, float]] = {}  # those this process started, by store, and when


def submit(workspace: Workspace, spec: Spec) -> int:
    """Queues a spec, sees to it that a runner is there, and returns the job's number.

    Raises UserError where the data folder cannot be used, and where runners end as soon as they are started.
    """
    under = f", recipe {spec.recipe}" if spec.recipe != workspace.own_recipe else ""
    with ResultStore.for_workspace(workspace) as store:
        try:
            number = store.add_job(spec, spec.describe() + under)
        except sqlite3.Error as error:
            raise store_error(error, store.folder) from None
    ensure_runner(workspace)
    return number


def run_job(workspace: Workspace, spec: Spec, progress: Callable[[str, int, int | None], None]) -> Job:
    """Queues a spec and waits for its end; progress(text, done, total) on the way. Interrupted, it cancels the job.

    Raises UserError where the job is paused or ends as anything but done, and as `submit` does.
    """
    number = submit(workspace, spec)
    with ResultStore.for_workspace(workspace) as store:
        try:
            while (job := _find_job(store, number)).is_open:
                store.check_exists()
                why = trouble(store.folder)
                progress(why or job.what, job.done, job.total or None)
                try:
                    ensure_runner(workspace)
                except UserError:
                    if not why:
                        raise
                time.sleep(0.3)
        except KeyboardInterrupt:
            cancelled = store.cancel_job(number)
            kept = "what it trained is kept, and the same command goes on from there"
            raise UserError(
                f"job {number} was cancelled; {kept}" if cancelled else f"job {number} had ended by then; {kept}"
            ) from None
    if job.state == "paused":
        raise UserError(
            f"job {number} was paused by someone else, and what it trained is kept; "
            f"`jobs resume {number}` or the same command lets it go on"
        )
    if job.state != "done":
        raise UserError(f"job {number} ended as {job.state}: {job.message or 'cancelled by someone else'}")
    return job


def answered(workspace: Workspace, spec: Spec, run: Callable[[], object]) -> dict:
    """The answer to a spec, with "cached": whether it was known in full. Where it was not, run() sees to it that it is,
    by `run_job`."""
    with ResultStore.for_workspace(workspace) as store:
        answer = spec.answer(workspace, store)
        cached = answer is not None and answer.get("complete", True)
        if not cached:
            run()
            answer = spec.answer(workspace, store)
    return {**(answer or {}), "cached": cached}


def _find_job(store: ResultStore, number: int) -> Job:
    job = store.job(number)
    if job is None:
        raise UserError(f"job {number} is no longer in the store; ask again")
    return job


def cancel(workspace: Workspace, number: int) -> bool:
    """Asks for a job to be stopped and sees to it that a runner is there to do it. False when it is not open."""
    with ResultStore.for_workspace(workspace) as store:
        cancelled = store.cancel_job(number)
    if cancelled:
        ensure_runner(workspace)
    return cancelled


def pause(workspace: Workspace, number: int) -> bool:
    """Asks for nothing more of a job to be started until it is resumed; trainings under way are finished, and kept.
    False when it is not queued or running."""
    with ResultStore.for_workspace(workspace) as store:
        return store.pause_job(number)


def resume(workspace: Workspace, number: int) -> bool:
    """Lets a paused job go on, with a runner to do it. False when it is not paused."""
    with ResultStore.for_workspace(workspace) as store:
        resumed = store.resume_job(number)
    if resumed:
        ensure_runner(workspace)
    return resumed


def ensure_runner(workspace: Workspace) -> None:
    """Starts a detached runner for the workspace's store unless one is alive. Cheap: call it while waiting for a job.

    Raises UserError where the one started last ended by an error.
    """
    folder = ResultStore.folder_of(workspace).resolve()
    if runner_alive(folder):
        return
    log = folder / "runner.log"
    if folder in _started_runners:
        process, since = _started_runners[folder]
        if process.poll() is None and time.monotonic() - since < MAX_START_SECONDS:
            return
        del _started_runners[folder]
        if process.returncode and process.returncode > 0:  # killed ones, below 0, are simply replaced
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
            raise UserError(f"the background runner cannot work: {last[0]} (more in {log})")
    with open_private(log, "a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "attribution", "runner", "--workspace", str(Path(workspace.path).resolve())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "LINEUP_DATA": str(folder.parent)},
            cwd=ROOT,
        )
    _started_runners[folder] = process, time.monotonic()


def write_runner_info(folder: Path, info: dict) -> None:
    """Writes down what the runner that holds the store in `folder` works with, for `runner_info`."""
    with suppress(OSError):  # a full disk
        write_json(folder / RUNNER_INFO, info)


def runner_info(folder: Path) -> dict | None:
    """What the runner that holds the store in `folder` works with (`Executor.describe`); None where there is none."""
    if not runner_alive(folder):
        return None
    try:
        return read_json(folder / RUNNER_INFO)
    except (OSError, UserError):  # it has only just started
        return None


def write_trouble(folder: Path, text: str) -> None:
    """Notes why the runner that holds the store in `folder` cannot go on, "" where it can, for `trouble`. In place: a
    full disk has no room for a new file."""
    with suppress(OSError):
        handle = os.open(folder / TROUBLE, os.O_WRONLY | os.O_CREAT, file_mode(folder / TROUBLE))
        try:
            os.pwrite(handle, text.encode(errors="replace")[:TROUBLE_BYTES].ljust(TROUBLE_BYTES), 0)
        finally:
            os.close(handle)


def write_output(folder: Path, number: int, text: str) -> None:
    """Keeps what a recipe of the user's wrote last before it made job `number` fail, for `output_of`."""
    with suppress(OSError):  # a full disk: the job says why it failed all the same
        write_atomically(folder / "outputs" / f"{number}.txt", lambda stream: stream.write(text.encode()))


def output_of(folder: Path, number: int) -> str:
    """What a recipe wrote last before it made job `number` of the store in `folder` fail; "" where nothing is kept."""
    try:
        return read_bytes(folder / "outputs" / f"{int(number)}.txt").decode(errors="replace")
    except (OSError, UserError):
        return ""


def trouble(folder: Path) -> str:
    """Why the jobs of the store in `folder` do not go on at the moment, a sentence without a full stop; "" where they
    do."""
    try:
        text = (
            (folder / TROUBLE).read_bytes()[:TROUBLE_BYTES].decode(errors="replace").strip()
            if runner_alive(folder)
            else ""
        )
        if not text and shutil.disk_usage(folder).free < MIN_FREE:
            text = f"the disk with {folder} is full; make room there, and it goes on by itself"
    except OSError:
        text = ""
    return text


def settle(store: ResultStore) -> None:
    """Ends the jobs that a runner which was killed left all but ended, where none is at work now."""
    with runner_lock(store.folder, patience=0) as held:
        if held:
            store.settle_jobs()


def job_to_json(job: Job) -> dict:
    """A job as `jobs list --json` prints it."""
    return {
        "id": job.id,
        "state": job.state,
        "what": job.what,
        "done": job.done,
        "total": job.total,
        "seconds": round(job.seconds, 1),
        "message": job.message,
    }
