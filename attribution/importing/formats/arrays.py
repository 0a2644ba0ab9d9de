"""Array files of any library: opened lazily, read by blocks, and never more than the block in memory.

Numbers are read as float32 where that holds all that their kind can say, else as float64: nothing is rounded before it
is checked and ranked.
"""

import json
import math
import mmap
import os
import pickle
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.data.foreign import check_file, open_file, open_zip, read_npy_header
from attribution.errors import UserError
from attribution.files import read_bytes
from attribution.files.libraries import install_command

SUFFIXES = (".npy", ".npz", ".mmap", ".pt", ".pth", ".safetensors")
#: training images whose scores are transposed at a time: few enough to stay in the processor's cache
TILE = 1024
#: bytes of a pickle and of JSON: in memory they can take thirty times that
MAX_PICKLE, MAX_JSON = 8 << 20, 16 << 20
OLD_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number that begins what torch.save wrote before torch 1.6
MAX_BRACKETS = 100_000  # in JSON: five million empty lists take ten seconds
MAX_UNPACKED = 20  # times its size that an archive may unpack to
MAX_NAMES = 1000  # arrays of an archive that are looked at


@dataclass(frozen=True)
class FileArray:
    """An array in a file, memory-mapped. bits: its numbers, or their uint16 bit patterns where bfloat16 is True."""

    path: Path
    bits: np.ndarray
    bfloat16: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.bits.shape

    @property
    def dtype(self) -> str:
        """The type of its numbers, for people."""
        return "bfloat16" if self.bfloat16 else str(self.bits.dtype)

    @property
    def precision(self) -> np.dtype:
        """What its numbers are read as, float32 or float64."""
        return np.dtype(np.float32 if self.bfloat16 else float_type(self.bits.dtype))

    def read_block(self, rows: slice, columns: slice = slice(None), transpose: bool = False) -> np.ndarray:
        """A copy of these rows and columns, contiguous `precision` of their shape, or of its transpose."""
        part = self.bits[rows, columns]
        if not transpose:
            return self._float(part, np.empty(part.shape, self.precision))
        whole = np.empty(part.shape[::-1], self.precision)
        for at in range(0, len(part), TILE):
            self._float(part[at : at + TILE].T, whole[:, at : at + TILE])
        return whole

    def _float(self, part: np.ndarray, out: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # what float64 cannot hold becomes infinite, and is refused as that
            if self.bfloat16:
                np.left_shift(part, 16, out=out.view(np.uint32), dtype=np.uint32)
            else:
                out[...] = part
        return out


def float_type(dtype) -> type:
    """float32 where that holds every number of the kind `dtype`, else float64."""
    return np.float32 if np.can_cast(dtype, np.float32) else np.float64


@dataclass(frozen=True)
class ConcatenatedArrays:
    """Arrays one after another along `axis`: the batches and partitions that some libraries write."""

    parts: Sequence
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        shape = list(self.parts[0].shape)
        shape[self.axis] = sum(part.shape[self.axis] for part in self.parts)
        return tuple(shape)

    @property
    def dtype(self) -> str:
        """The type of its numbers, for people."""
        return self.parts[0].dtype

    @property
    def precision(self) -> np.dtype:
        """As `FileArray.precision`."""
        return np.result_type(*(part.precision for part in self.parts))

    def read_block(self, rows: slice, columns: slice = slice(None), transpose: bool = False) -> np.ndarray:
        """As `FileArray.read_block`."""
        ranges = [rows, columns]
        start, stop, _ = ranges[self.axis].indices(self.shape[self.axis])
        blocks, at = [], 0
        for part in self.parts:
            here = slice(max(start - at, 0), max(min(stop - at, part.shape[self.axis]), 0))
            at += part.shape[self.axis]
            if here.start < here.stop:
                ranges[self.axis] = here
                blocks.append(part.read_block(*ranges, transpose))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, self.axis ^ transpose)


@dataclass(frozen=True)
class SummedArrays:
    """Arrays of one shape, added: the scores of a network's modules."""

    parts: Sequence

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.parts[0].shape

    @property
    def dtype(self) -> str:
        """The type of its numbers, for people."""
        return self.parts[0].dtype

    @property
    def precision(self) -> np.dtype:
        """As `FileArray.precision`."""
        return np.result_type(*(part.precision for part in self.parts))

    def read_block(self, rows: slice, columns: slice = slice(None), transpose: bool = False) -> np.ndarray:
        """As `FileArray.read_block`."""
        total = self.parts[0].read_block(rows, columns, transpose).astype(self.precision, copy=False)
        for part in self.parts[1:]:
            total += part.read_block(rows, columns, transpose)
        return total


def open_array(path: Path, part: str | None = None) -> FileArray:
    """The array in a `.npy`, `.pt` or `.safetensors` file; `part` says which of several.

    Raises UserError where there is none, several and no `part`, or the file cannot be read.
    """
    arrays = open_arrays(path)
    if part is None and len(arrays) == 1:
        return next(iter(arrays.values()))
    if part not in arrays:
        problem = "several arrays" if part is None else f"no array {part!r}"
        raise UserError(f"{path} has {problem}; say --part with one of {names_text(arrays)}")
    return arrays[part]


def open_arrays(path: Path) -> dict[str, FileArray]:
    """All arrays of numbers in a file, by name; "" is the name in files that hold one without a name.

    Nothing in the file is executed, and nothing of its numbers is read. Raises UserError for what is no array file, is
    cut short, claims more numbers than it has, or holds objects, text or complex numbers.
    """
    path = Path(path)
    with open_file(path) as stream:
        head = stream.read(64)
    if head.startswith(b"\x93NUMPY"):
        read = _npy
    elif path.suffix == ".safetensors":
        read = _safetensors
    elif head.startswith(b"PK"):
        read = _npz if path.suffix == ".npz" else _torch
    elif head.startswith(b"\x80") and OLD_TORCH in head:
        read = _old_torch
    else:
        raise UserError(f"{path} is no array file; save the scores as .npy, .npz, .pt (torch.save) or .safetensors")
    try:
        with warnings.catch_warnings(action="ignore"):  # of a damaged header, or a kind that is refused below
            arrays = read(path)
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"reading {path} needs {error.name}; install it with: {install_command('train')}") from None
    except Exception as error:  # numpy, torch and safetensors meet a broken file with errors of many types
        raise UserError(
            f"{path} cannot be read ({_error_text(error)}); it is cut short, damaged or of another kind: save or copy "
            "it again"
        ) from None
    if not arrays:
        raise UserError(f"{path} holds no array of numbers; save the scores as one tensor")
    size = check_file(path) * (MAX_UNPACKED if read is _npz else 1)
    for array in arrays.values():
        if array.bits.nbytes > size:  # one number that torch repeats
            raise UserError(f"{path} has fewer numbers than {shape_text(array.shape)}; save a copy of the whole tensor")
    return arrays


def _npy(path: Path) -> dict[str, FileArray]:
    with open_file(path) as stream:
        read_npy_header(stream)
    bits = np.load(path, mmap_mode="r", allow_pickle=False)
    if bits.dtype.kind not in "biuf":
        raise UserError(f"{path} holds {bits.dtype} and not numbers; save it as float32, float16 or whole numbers")
    return {"": FileArray(path, bits)}


def _npz(path: Path) -> dict[str, FileArray]:
    """Unpacked into memory: numbers compress little, and what unpacks to far more than it has is refused before."""
    check_unpacked(path)
    return {name: FileArray(path, npz_array(path, name, *shape)) for name, shape in npz_shapes(path).items()}


def check_unpacked(path: Path) -> None:
    """Raises UserError where an `.npz` archive says that it unpacks to far more than it has."""
    with open_zip(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED * check_file(path):
            raise UserError(f"{path} unpacks to far more than it has; save the numbers with numpy.savez")


def _torch(path: Path) -> dict[str, FileArray]:
    _check_torch(path)  # before torch is loaded, which takes seconds
    return _load_torch(path, mmap=True)


def _old_torch(path: Path) -> dict[str, FileArray]:
    """What torch.save wrote before torch 1.6: one pickle after another, and the numbers after them."""
    with open_file(path) as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _check_pickle(path, content)
    return _load_torch(path)


def _load_torch(path: Path, **options) -> dict[str, FileArray]:
    import torch

    try:
        saved = torch.load(path, map_location="cpu", weights_only=True, **options)
    except pickle.UnpicklingError as error:
        raise (_other_than_tensors(path) if "global" in str(error).lower() else error) from None
    tensors = saved if isinstance(saved, dict) else {"": saved}
    return {str(name): _from_torch(path, tensor) for name, tensor in tensors.items() if torch.is_tensor(tensor)}


def _check_torch(path: Path) -> None:
    """Raises UserError where torch would unpack more than the file has: torch.save compresses nothing, and of what it
    loads without running code two types can make much of little."""
    with open_zip(path) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type or entry.file_size > entry.compress_size for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > check_file(path):
            raise UserError(f"{path} is compressed; save the scores with torch.save, which does not compress them")
        for entry in entries:
            if not entry.filename.endswith(".pkl"):
                continue
            text = archive.read(entry) if entry.file_size <= MAX_PICKLE else b""
            if not text:
                raise _other_than_tensors(path)
            _check_pickle(path, text)


def _check_pickle(path: Path, text) -> None:
    """Raises UserError where a pickle, bytes or a map of its file, has what torch would unpack to much more."""
    if text.find(b"multiarray") >= 0 and text.find(b"ndarray") >= 0:
        raise UserError(
            f"{path} holds a numpy array; save it with numpy.save as .npy, or torch.from_numpy(array) with torch.save"
        )
    if text.find(b"bytearray") >= 0 or text.find(b"_codecs") >= 0:
        raise _other_than_tensors(path)


def _other_than_tensors(path: Path) -> UserError:
    return UserError(
        f"{path} holds more than tensors and their names; save the tensors alone, torch.save(scores, FILE)"
    )


def _safetensors(path: Path) -> dict[str, FileArray]:
    with open_file(path) as stream:
        if int.from_bytes(stream.read(8), "little") > MAX_JSON:
            raise ValueError("its header is too long")
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as stream:
        return {name: _from_torch(path, stream.get_tensor(name)) for name in stream.keys()}


def _from_torch(path: Path, tensor) -> FileArray:
    import torch

    for unfit, kind, remedy in (
        (tensor.device.type != "cpu", "a tensor without its numbers", "the tensor of a device that has them"),
        (tensor.layout != torch.strided, "a sparse tensor", "scores.to_dense()"),
        (tensor.is_quantized, "a quantized tensor", "scores.dequantize()"),
        (tensor.is_complex(), "a complex tensor", "scores.real or scores.abs()"),
        (tensor.is_floating_point() and tensor.dtype.itemsize < 2, f"a tensor of {tensor.dtype}", "scores.float()"),
    ):
        if unfit:
            raise UserError(f"{path} holds {kind}; save {remedy} with torch.save")
    tensor = tensor.detach().resolve_neg()
    if tensor.dtype == torch.bfloat16:  # which numpy does not know
        return FileArray(path, tensor.view(torch.int16).numpy().view(np.uint16), bfloat16=True)
    return FileArray(path, tensor.numpy())


def npz_array(path: Path, name: str, *shape: int | None) -> np.ndarray:
    """The array `name` of an `.npz` archive; shape: its lengths, None where any will do.

    The lengths are compared before anything is unpacked, so that an archive cannot ask for more memory than the data
    set's size calls for. Raises UserError if it is missing, damaged, of another shape, or not of numbers.
    """
    try:
        with open_zip(path) as archive, archive.open(f"{name}.npy") as stream:
            lengths, _, dtype = read_npy_header(stream)
            if len(lengths) != len(shape) or any(n not in (None, length) for n, length in zip(shape, lengths)):
                raise UserError(
                    f"{name} in {path} is {shape_text(lengths)}, and {shape_text(shape)} is expected; take the file "
                    "that was made for this data set"
                )
            if (
                dtype.kind not in "biuf"
                or math.prod(lengths) * dtype.itemsize > archive.getinfo(f"{name}.npy").file_size
            ):
                raise ValueError("no whole array of numbers")
        with open_zip(path) as archive, archive.open(f"{name}.npy") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    except UserError:
        raise
    except KeyError:
        raise UserError(f"{path} has no array {name}; take the file as it was released") from None
    except Exception as error:  # zipfile, zlib and numpy meet a broken file with errors of many types
        raise UserError(f"{path} cannot be read ({_error_text(error)}); copy or download it again") from None


def npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The arrays of an `.npz` archive and their shapes; nothing of their numbers is read. Raises UserError where it
    cannot be read."""
    try:
        shapes = {}
        with open_zip(path) as archive:
            for entry in archive.namelist()[:MAX_NAMES]:
                if entry.endswith(".npy"):
                    with archive.open(entry) as stream:
                        shapes[entry.removesuffix(".npy")] = read_npy_header(stream)[0]
        return shapes
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib and numpy meet a broken file with errors of many types
        raise UserError(f"{path} cannot be read ({_error_text(error)}); copy or download it again") from None


def read_json(file: Path) -> dict:
    """The JSON object in a file; {} where there is no file. Raises UserError where it is something else, or long."""
    if not os.path.lexists(file):
        return {}
    check_file(file, MAX_JSON)
    try:
        text = read_bytes(file, MAX_JSON)
        flat = text.count(b"[") + text.count(b"{") < MAX_BRACKETS
        content = json.loads(text.decode()) if flat else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{file} holds no JSON object; copy the folder again")
    return content


def shape_text(shape: Sequence[int | None]) -> str:
    """(3, None) -> "3 x any"."""
    return " x ".join("any" if n is None else f"{n}" for n in shape) or "a single number"


def names_text(items) -> str:
    """At most eight of the names `items`, in words."""
    names = sorted(map(str, items))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _error_text(error: Exception) -> str:
    """The first few words of an error, without a line break or a full stop in it."""
    first = re.split(r"[\n;]|\.\s", str(error).strip())[0].strip(" .:")
    return first[:80] or type(error).__name__
