"""Files that others wrote: what is looked at before one is read, so that none can be waited for, never end, or unpack
to far more than it takes on the disk.

Every file that a person names, or that lies in a folder that a person names, is opened through one of these.
"""

import csv
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.lib import format as npy

from attribution.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: bytes of the directory of a zip archive and of the description at the end of a Parquet file: in memory they take
#: many times that
MAX_DIRECTORY, MAX_FOOTER = 8 * 2**20, 16 * 2**20
#: bytes of what describes an array in a `.npy` file: in memory they can take thirty times that
MAX_HEADER = 1 << 16
#: what a Parquet file may unpack to: this many times its size, and a few bytes more, since small ones pack better
MAX_UNPACKED, FREE_UNPACKED = 32, 32 * 2**20
#: rows of a Parquet file, with as many bytes as it has: one takes at least two bits, or they say nothing
ROWS_A_BYTE, FREE_ROWS = 4, 2**20
#: a value of a dictionary is copied into each row that has it: rows that are unpacked before they are weighed, and
#: what a row group may weigh beyond the size that the file says
ROWS_AT_ONCE, FREE_GROUP = 16, 256 * 2**20


def check_file(path: Path | str, at_most: int | None = None) -> int:
    """The size in bytes of the file that `path` is or leads to. Raises UserError where there is none, where it is no
    regular file (a pipe would be waited for, and a device never ends), and where it has more than `at_most` bytes."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be opened ({getattr(error, 'strerror', error)}); check the path") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise UserError(f"{path} is {kind} where a file is expected; put the file itself there")
    if at_most is not None and status.st_size > at_most:
        raise UserError(
            f"{path} has {status.st_size:,} bytes, more than the {at_most:,} that such a file may have; check that it "
            "is the right one"
        )
    return status.st_size


def printable(name: str) -> str:
    r"""A name as it can be written anywhere: bytes that are no UTF-8, as old archives leave them, as escapes.

    >>> printable("caf\udce9.png")
    'caf\\udce9.png'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def check_name(path: Path | str) -> None:
    """Raises UserError where the path holds bytes that are no UTF-8, which no table of ours can hold."""
    if printable(str(path)) != str(path):
        raise UserError(f"{printable(str(path))} has a name that is no UTF-8, as of an old archive; rename it")


def split_csv_line(path: Path | str, line: str, delimiter: str = ",") -> list[str]:
    """The cells of one line of the file at `path`; none of an empty one. Raises UserError where it is no CSV."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise UserError(
            f"{path} has a first line that is no CSV ({str(error).split(' - ')[0][:100]}); save the table as CSV again"
        ) from None


def open_file(path: Path | str, at_most: int | None = None) -> BinaryIO:
    """That file, open for reading. Raises UserError as `check_file`, and where it may not be read."""
    check_file(path, at_most)
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror}); check the path") from None


class Pieces(io.BufferedReader):
    """The file at `path`, of which no more than `at_most` bytes are read at once: what a damaged file says of the size
    of its parts is not believed. Raises UserError as `open_file`; read raises ValueError for more."""

    def __init__(self, path: Path, at_most: int):
        super().__init__(open_file(path).detach())
        self._at_most = at_most

    def read(self, size=-1):
        """Bytes, as a file's."""
        if size is None or not 0 <= size <= self._at_most:
            raise ValueError(f"a piece of {size} bytes")
        return super().read(size)


class _Weighed(io.BufferedReader):
    """A file of which no more than MAX_DIRECTORY is read at once, as zipfile reads an archive's directory."""

    def read(self, size=-1):
        text = super().read(MAX_DIRECTORY + 1 if size is None or size < 0 else min(size, MAX_DIRECTORY + 1))
        if len(text) > MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too long")
        return text


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A context manager: the zip archive at `path`. Raises UserError as `check_file`, and BadZipFile, also where its
    directory is longer than any that numpy or torch write."""
    check_file(path)
    with _Weighed(open(path, "rb", buffering=0)) as stream, zipfile.ZipFile(stream) as archive:
        yield archive


def read_npy_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is stored by columns, and type of the array in a `.npy` file, of which the numbers follow next
    in `stream`. Raises ValueError where it is none, and where its header is longer than any that numpy writes."""
    version = npy.read_magic(stream)
    start = stream.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(start, "little")
    if length > MAX_HEADER:
        raise ValueError(f"a header of {length} bytes")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(io.BytesIO(start + stream.read(length)))


def open_parquet(path: Path, **options) -> "pq.ParquetFile":
    """The Parquet file at `path`; options: of `pyarrow.parquet.ParquetFile`. Raises UserError as `check_file`, and for
    more rows than its bytes can hold; OSError or ArrowException where it is no Parquet."""
    import pyarrow.parquet as pq

    size = check_file(path)
    with open_file(path) as stream:
        stream.seek(-min(size, 8), os.SEEK_END)
        if int.from_bytes(stream.read(8)[:4], "little") > MAX_FOOTER:
            raise UserError(f"{path} cannot be read as Parquet (its description is too long); write or copy it again")
    try:
        file = pq.ParquetFile(path, **options)
    except UnicodeDecodeError:
        raise UserError(
            f"{path} cannot be read as Parquet (a name in it is no UTF-8); write or copy it again"
        ) from None
    rows = file.metadata.num_rows
    if rows > max(ROWS_A_BYTE * size, FREE_ROWS):
        file.close()
        raise UserError(f"{path} claims {rows:,} rows, and has {size:,} bytes for them; write or copy it again")
    return file


def check_unpacked(file: "pq.ParquetFile", path: Path) -> None:
    """Raises UserError where the file at `path` says that it unpacks to more than such a file can hold. By row groups:
    what is said of their columns, pyarrow cannot look at in a damaged file without ending this process."""
    sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups)]
    if min(sizes, default=0) < 0 or sum(sizes) > MAX_UNPACKED * check_file(path) + FREE_UNPACKED:
        raise _bomb_error(path)


def read_group(file: "pq.ParquetFile", path: Path, group: int, column: str) -> "pa.Table":
    """One column of a row group of the file at `path`. Raises UserError where it unpacks to more than such a file can
    hold: a value that stands once in the file may be said of thousands of rows."""
    import pyarrow as pa

    described = file.metadata.row_group(group)
    allowed, batches = described.total_byte_size + 8 * described.num_rows + FREE_GROUP, []
    for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[column], use_threads=False):
        allowed -= batch.nbytes
        if allowed < 0:
            raise _bomb_error(path)
        batches.append(batch)
    return pa.Table.from_batches(batches) if batches else file.read_row_group(group, columns=[column])


def _bomb_error(path: Path) -> UserError:
    return UserError(f"{path} unpacks to far more than its size; write it again, with each row's own values")
