"""The token that lets a browser in, and codes that stand for it once. They are kept in the data folder, in a folder
that its owner alone may look into, even where the data folder is shared."""

import os
import re
import secrets
import stat
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from attribution.errors import UserError
from attribution.files import locked, make_folder, read_bytes, write_atomically

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes
CODE_LASTS, MOST_LASTS = 60, 600  # seconds that a code lasts, and may be asked to


def access_folder(data: Path) -> Path:
    """Where the data folder `data` keeps what lets this user in: each user of a shared one has a token of their own."""
    return data / f"access-{os.getuid()}"


def prepare_token(data: Path) -> str:
    """The token of this user and data folder: 32 random bytes, URL-safe; the one that is there, so that links and
    cookies outlive the server.

    One that others may read is replaced. Raises UserError where it cannot be kept to its owner.
    """
    folder = access_folder(data)
    file = folder / "token"
    try:
        make_folder(data)
        with suppress(FileExistsError):
            folder.mkdir(0o700)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise UserError(f"{folder} is not a folder of yours; delete it, or set LINEUP_DATA to another folder")
        folder.chmod(0o700)
        with locked(folder):  # two servers that start at once print the same link
            if not (token := _read(file)) or file.stat().st_mode & 0o077:
                token = secrets.token_urlsafe(32)
                _write_private(file, token.encode())
    except OSError as error:
        raise UserError(f"the token cannot be kept in {folder} ({error.strerror}); see to it, or delete it") from None
    return token


def read_token(data: Path) -> str:
    """The token that `prepare_token` left. Raises UserError where there is none."""
    if not (token := _read(access_folder(data) / "token")):
        raise UserError(f"there is no token in {access_folder(data)}; start with: python -m attribution.serve")
    return token


def new_code(data: Path, lasts: int = CODE_LASTS) -> str:
    """A code that is as good as the token once, within a minute, or `lasts` seconds, MOST_LASTS at most: for the link
    that a browser is started with, since every user of a machine sees the arguments of its processes; and for one in a
    notebook, whose file is handed on. Only its digest is kept."""
    folder = access_folder(data)
    for file in folder.glob("*.once"):
        with suppress(OSError):  # another has just removed it
            if time.time() - file.stat().st_mtime > _seconds(file):
                file.unlink()
    code = secrets.token_urlsafe(32)
    file = _code_file(folder, code.encode())
    file.touch(0o600, exist_ok=False)
    if lasts != CODE_LASTS:
        file.write_text(str(lasts))
    return code


def spend_code(data: Path, code: bytes) -> bool:
    """Whether `code` is one that `new_code` gave not longer ago than it lasts, and that nobody has spent; now it is
    spent."""
    file = _code_file(access_folder(data), code)
    try:
        age, lasts = time.time() - file.stat().st_mtime, _seconds(file)
        file.unlink()  # of two at once, one succeeds
    except OSError:
        return False
    return abs(age) <= lasts


def add_parameter(url: str, name: str, value: str) -> str:
    """`url` with a query parameter more."""
    return f"{url}{'&' if '?' in url else '?'}{name}={quote(value)}"


def _code_file(folder: Path, code: bytes) -> Path:
    return folder / f"{sha256(code).hexdigest()}.once"


def _seconds(file: Path) -> int:
    """How long the code of that file lasts."""
    text = file.read_text("ascii", "replace")[:10]
    return min(int(text), MOST_LASTS) if text.isascii() and text.isdigit() else CODE_LASTS


def _read(file: Path) -> str:
    """What is in the file, or nothing where that is no token: an empty one would let everyone in."""
    try:
        text = read_bytes(file, 1000).decode("ascii", "replace").strip()
    except (OSError, UserError):
        return ""
    return text if TOKEN.fullmatch(text) else ""


def _write_private(file: Path, content: bytes) -> None:
    def write(stream):
        os.fchmod(stream.fileno(), 0o600)  # before there is anything to read
        stream.write(content)

    write_atomically(file, write)
