"""Files that a browser sent to be imported: kept beside the user's data until an import has read them."""

import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from attribution.errors import UserError
from attribution.files import write_atomically

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

#: MB that a browser may send: the server holds them in memory on the way
MAX_MB = 500
#: endings of what may hold scores
KINDS = ("npy", "npz", "pt", "pth", "safetensors", "csv", "parquet")
FOLDER = "uploads"
KEPT_SECONDS = 24 * 3600  # of a file that no import has read: its page was closed
BLOCK = 8 << 20


def save(workspace: "Workspace", name: str, stream: BinaryIO) -> Path:
    """Writes what was sent as `name` beside the workspace's user data, in a folder of its own, and returns its path.
    Nothing in it is looked at. Older files that nobody has read are removed.

    Raises UserError for another kind of file, for one that is too large, and where it cannot be written."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).name).lstrip(".-")[-80:]
    if "." not in name or name.rpartition(".")[2].lower() not in KINDS:
        raise UserError(f"{name} is no file of scores that can be read; give one of .{', .'.join(KINDS)}")
    home = workspace.user_folder / FOLDER
    remove_old(home)
    file = home / secrets.token_hex(8) / name

    def write(target: BinaryIO) -> None:
        written = 0
        while block := stream.read(BLOCK):
            written += len(block)
            if written > MAX_MB * 10**6:
                raise UserError(f"{name} has more than {MAX_MB} MB; give its path on this machine instead")
            target.write(block)

    try:
        write_atomically(file, write)
    except OSError as error:
        remove(file)
        raise UserError(f"{home} cannot be written ({error.strerror or error}); make room and try again") from None
    except UserError:
        remove(file)
        raise
    return file


def remove(file: Path) -> None:
    """Removes an uploaded file and the folder that is its own. Does nothing to any other file."""
    if file.parent.parent.name == FOLDER:
        shutil.rmtree(file.parent, ignore_errors=True)
        with suppress(OSError):  # others wait there
            file.parent.parent.rmdir()


def remove_old(home: Path) -> None:
    """Removes the files in `home` that have waited too long for an import."""
    with suppress(OSError):
        for folder in home.iterdir():
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
