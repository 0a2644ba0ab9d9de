"""The runner's lock on a store's folder: whoever holds it is the one who trains, or changes the schema."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def runner_alive(folder: Path) -> bool:
    """True while a runner holds the store in `folder`."""
    return is_locked(folder)


def is_locked(folder: Path) -> bool:
    """True while a process holds the lock on `folder`."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: askers must not take each other for a runner
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def acquire_runner_lock(folder: Path, patience: float = 0.5) -> int | None:
    """Takes the runner's lock on the store in `folder`: a file descriptor to keep open, or None where it is taken.

    It is on the folder itself: a file in it could be deleted and made anew, and then two would hold it. The kernel
    frees it however the holder ends. patience: seconds; those who ask `runner_alive` hold it for a moment.
    """
    handle = os.open(folder, os.O_RDONLY)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(handle)
                return None
        time.sleep(0.02)


@contextmanager
def runner_lock(folder: Path, patience: float) -> Iterator[bool]:
    """Holds the runner's lock for a `with` block; gives False, at once, where it is taken for longer than `patience`
    seconds."""
    handle = acquire_runner_lock(folder, patience)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)
