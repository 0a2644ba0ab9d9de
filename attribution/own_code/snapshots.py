"""What belongs to a user's code: the place that a person named, the bytes of its files, and a copy of them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from attribution.errors import UserError
from attribution.files import read_bytes, write_atomically

MAX_SOURCE = 2**30  # bytes of one file that a hash covers


def is_place(name: str) -> bool:
    """Whether a name that a person gave on the command line means an object in a file."""
    return ":" in name or name.endswith(".py")


def split_place(place: str, noun: str = "class", example: str = "train.py:Mine") -> tuple[Path, str]:
    """ "~/train.py:Mine" -> the file's resolved path and "Mine". noun, example: what an error calls for. Raises
    UserError where it is not of that form."""
    text, _, object_ = place.rpartition(":")
    file = Path(text or place).expanduser()
    if not text or not object_.isidentifier():
        raise UserError(f"{place} names no {noun} in a file; write it as FILE:{noun.upper()}, such as {example}")
    if not file.is_file():
        raise UserError(f"there is no file {file}; check the path")
    return file.resolve(), object_


def check_source_names(sources, folder: Path, noun: str = "recipe") -> list[str]:
    """`sources`, names of files in `folder`, without doubles. Raises UserError where one is not in it."""
    if not isinstance(sources, (list, tuple)) or not all(isinstance(name, str) for name in sources):
        raise UserError('sources is no list of file names; write it as ["model.py", "config.yaml"]')
    checked = []
    for name in sources:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UserError(f"{name!r} of the {noun}'s sources is not in its folder {folder}; move it there")
        if not (folder / path).is_file():
            raise UserError(f"{name!r} of the {noun}'s sources is not in {folder}; check the name")
        checked.append(str(path))
    return list(dict.fromkeys(checked))


def digests(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """name -> SHA-256 of each of `files` in `folder`, in hex. Raises UserError where one cannot be read."""
    return {name: _file_digest(folder / name) for name in files}


def read_files(folder: Path, files: Iterable[str]) -> dict[str, bytes]:
    """name -> what it holds, of each of `files` in `folder`."""
    return {name: read_bytes(folder / name, MAX_SOURCE) for name in files}


def hash_of(identity: Mapping, contents: Mapping[str, bytes]) -> tuple[str, dict[str, str]]:
    """(the first 12 hex digits of the SHA-256 over `identity` and the files' digests, name -> digest)."""
    covered = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    whole = hashlib.sha256(json.dumps({**identity, "files": covered}, sort_keys=True).encode())
    return whole.hexdigest()[:12], covered


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes the files of a snapshot into `folder`."""
    for name, body in contents.items():
        write_atomically(folder / name, lambda stream, body=body: stream.write(body))


def _file_digest(file: Path) -> str:
    try:
        state = file.stat()
    except OSError as error:
        raise UserError(
            f"{file} cannot be read ({error.strerror}); put it back, or name another in its place"
        ) from None
    return _digest_of(file, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


@lru_cache(maxsize=10_000)
def _digest_of(file: Path, *state) -> str:
    return hashlib.sha256(read_bytes(file, MAX_SOURCE)).hexdigest()
