"""A figure, a chart or a report as a file of the user's."""

from collections.abc import Callable
from pathlib import Path

from attribution.errors import UserError
from attribution.files import write_atomically


def save_file(path: str | Path, endings: tuple[str, ...], encode: Callable[[str], bytes]) -> Path:
    """Writes what `encode` returns for the ending of `path`, in lower case. Returns the path. Where it cannot be
    written, on a full disk say, a file that is there stays as it is.

    Raises UserError for an ending that is none of `endings`, and where the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise UserError(f"{path.name} is none of {', '.join(endings)}; end the file's name in one of them")
    content = encode(path.suffix.lower())
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, say
            path.write_bytes(content)
        elif not path.parent.is_dir():
            raise UserError(f"{path} cannot be written (no such folder); choose another folder")
        else:
            write_atomically(path.resolve(), lambda stream: stream.write(content))
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another folder") from None
    return path
