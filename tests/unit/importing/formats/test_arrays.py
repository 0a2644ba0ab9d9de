"""Array files: every kind of number, by blocks and turned; and what is refused instead of being loaded."""

import io
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from attribution import UserError
from attribution.importing.formats.arrays import (
    ConcatenatedArrays,
    SummedArrays,
    npz_array,
    open_array,
    open_arrays,
    read_json,
)

ALL = slice(None)


@pytest.fixture
def numbers():
    """float32 [2050, 7], whole numbers that all types hold; more rows than are turned at a time."""
    return (np.arange(2050 * 7).reshape(2050, 7) % 127).astype(np.float32)


@pytest.mark.parametrize(
    "suffix, kind",
    [
        *(
            (suffix, kind)
            for kind in ("float16", "float32", "float64", "int64", "uint8")
            for suffix in ("npy", "pt", "safetensors")
        ),
        ("pt", "bfloat16"),
        ("safetensors", "bfloat16"),
    ],
)
def test_blocks(tmp_path, numbers, suffix, kind):
    file = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(file, numbers.astype(kind))
    else:
        tensor = torch.from_numpy(numbers).to(getattr(torch, kind))
        torch.save(tensor, file) if suffix == "pt" else save_file({"x": tensor}, file)
    array = open_array(file)
    assert (array.shape, array.dtype) == ((2050, 7), kind)
    for rows, columns in ((ALL, slice(2, 5)), (slice(3, 2040), ALL)):
        for transpose in (False, True):
            block = array.read_block(rows, columns, transpose)
            wanted = numbers[rows, columns]
            assert block.dtype == (np.float64 if kind in ("float64", "int64") else np.float32)
            assert block.flags.c_contiguous and block.flags.writeable
            assert np.array_equal(block, wanted.T if transpose else wanted)


def test_a_block_is_a_copy(tmp_path, numbers):
    torch.save(torch.from_numpy(numbers), tmp_path / "x.pt")
    array = open_array(tmp_path / "x.pt")
    array.read_block(ALL)[:] = -1
    assert np.array_equal(array.read_block(ALL), numbers)


def test_fortran_order_and_views(tmp_path, numbers):
    np.save(tmp_path / "x.npy", np.asfortranarray(numbers))
    torch.save(torch.from_numpy(numbers).T, tmp_path / "x.pt")
    assert np.array_equal(open_array(tmp_path / "x.npy").read_block(slice(5, 9)), numbers[5:9])
    assert np.array_equal(open_array(tmp_path / "x.pt").read_block(ALL, slice(5, 9)), numbers[5:9].T)


def test_several_arrays(tmp_path):
    torch.save({"a": torch.zeros(2, 3), "b": torch.ones(3), "text": "not a tensor"}, tmp_path / "x.pt")
    assert set(open_arrays(tmp_path / "x.pt")) == {"a", "b"}
    assert open_array(tmp_path / "x.pt", "b").shape == (3,)
    with pytest.raises(UserError, match="say --part with one of a, b"):
        open_array(tmp_path / "x.pt")
    with pytest.raises(UserError, match="no array 'c'"):
        open_array(tmp_path / "x.pt", "c")


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_joined_and_summed(tmp_path, numbers, axis, transpose):
    parts = []
    for number, part in enumerate(np.array_split(numbers, [2, 4], axis)):
        np.save(tmp_path / f"{number}.npy", part)
        parts.append(open_array(tmp_path / f"{number}.npy"))
    joined = ConcatenatedArrays(parts, axis)
    assert joined.shape == numbers.shape
    for rows, columns in ((ALL, slice(1, 6)), (slice(1, 3), ALL), (slice(3, 4), slice(2, 3))):
        wanted = numbers[rows, columns]
        assert np.array_equal(joined.read_block(rows, columns, transpose), wanted.T if transpose else wanted)
        assert np.array_equal(
            SummedArrays([joined] * 3).read_block(rows, columns, transpose), 3 * (wanted.T if transpose else wanted)
        )


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_text("0.1 0.2"),
        lambda file: np.save(file.with_suffix(".npy"), np.array([Evil()])),
        lambda file: np.save(file.with_suffix(".npy"), np.zeros((2, 2), complex)),
        lambda file: np.save(file.with_suffix(".npy"), np.array([["a", "b"]])),
        lambda file: np.save(file.with_suffix(".npy"), np.zeros(3, [("a", float)])),
        lambda file: file.with_suffix(".npy").write_bytes(pickle.dumps(Evil())),
        lambda file: np.savez(file.with_suffix(".npz"), x=np.array([Evil()])),
        lambda file: file.with_suffix(".pt").write_bytes(pickle.dumps(Evil())),
        lambda file: torch.save(Evil(), file.with_suffix(".pt")),
        lambda file: torch.save({"x": Evil(), "y": torch.zeros(3)}, file.with_suffix(".pt")),
        lambda file: torch.save(Evil(), file.with_suffix(".pt"), _use_new_zipfile_serialization=False),
        lambda file: torch.save(torch.zeros(2, 2).to_sparse(), file.with_suffix(".pt")),
        lambda file: torch.save(torch.zeros(2, 2, dtype=torch.complex64), file.with_suffix(".pt")),
        lambda file: torch.save({}, file.with_suffix(".pt")),
        lambda file: torch.save(torch.nn.Linear(2, 2), file.with_suffix(".pt")),
        lambda file: file.with_suffix(".safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}"),
        lambda file: file.with_suffix(".safetensors").write_bytes(struct.pack("<Q", 4) + b"{[}]"),
    ],
    ids=range(18),
)
def test_refused(tmp_path, write):
    write(tmp_path / "x.txt")
    (file,) = tmp_path.iterdir()
    with pytest.raises(UserError) as error:
        open_arrays(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value) and ";" in str(error.value)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64", "int64"])
def test_what_torch_wrote_before_1_6(tmp_path, numbers, kind):
    tensor = torch.from_numpy(numbers).to(getattr(torch, kind))
    torch.save(tensor, tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    torch.save({"a": tensor, "b": tensor[:3]}, tmp_path / "y.pt", _use_new_zipfile_serialization=False)
    assert np.array_equal(open_array(tmp_path / "x.pt").read_block(ALL), numbers)
    assert np.array_equal(open_array(tmp_path / "y.pt", "b").read_block(ALL), numbers[:3])
    (tmp_path / "x.pt").write_bytes((tmp_path / "x.pt").read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot be read"):
        open_array(tmp_path / "x.pt")


SQUARE = torch.arange(6.0).reshape(2, 3)
with warnings.catch_warnings(action="ignore"):  # of kinds that torch will change
    QUANTIZED, ROWS = torch.quantize_per_tensor(SQUARE, 1, 0, torch.qint8), SQUARE.to_sparse_csr()


@pytest.mark.parametrize(
    "content, advice, mended",
    [
        (SQUARE.numpy(), "holds a numpy array; save it with numpy.save", SQUARE),
        ({"scores": SQUARE.numpy()}, "holds a numpy array; .* torch.from_numpy", SQUARE),
        (
            {"scores": SQUARE, "rate": np.float64(3)},
            "holds more than tensors and their names; save the tensors",
            SQUARE,
        ),
        (SQUARE.to_sparse(), r"holds a sparse tensor; save scores.to_dense\(\)", SQUARE.to_sparse().to_dense()),
        (SQUARE.bfloat16().to_sparse(), "holds a sparse tensor", SQUARE.bfloat16().to_sparse().to_dense()),
        (ROWS, "holds a sparse tensor", ROWS.to_dense()),
        (SQUARE.to(torch.complex64), "holds a complex tensor; save scores.real", SQUARE.to(torch.complex64).real),
        (SQUARE.to(torch.float8_e4m3fn), r"float8_e4m3fn; save scores.float\(\)", SQUARE),
        (QUANTIZED, r"quantized tensor; save scores.dequantize\(\)", SQUARE),
        (SQUARE.to("meta"), "without its numbers", SQUARE),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("old", [False, True])
def test_advice_that_works(tmp_path, content, advice, mended, old):
    if old and "float8" in advice:
        return  # newer than the old format
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(UserError, match=advice):
        open_array(tmp_path / "x.pt")
    torch.save(mended, tmp_path / "x.pt")
    assert np.array_equal(open_array(tmp_path / "x.pt").read_block(ALL), SQUARE.numpy())


@pytest.mark.parametrize("suffix", ["npy", "pt", "safetensors"])
def test_cut_short(tmp_path, numbers, suffix):
    file = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(file, numbers)
    else:
        torch.save(torch.from_numpy(numbers), file) if suffix == "pt" else save_file(
            {"x": torch.from_numpy(numbers)}, file
        )
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="cut short"):
        open_arrays(file)


def test_a_header_that_claims_a_terabyte(tmp_path):
    """Refused by its size, and before any memory is asked for."""
    np.lib.format.write_array_header_1_0(
        stream := io.BytesIO(), {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 1 << 18)}
    )
    (tmp_path / "x.npy").write_bytes(stream.getvalue() + bytes(100))
    with pytest.raises(UserError, match="cannot be read"):
        open_array(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", stream.getvalue() + bytes(100))
    with pytest.raises(UserError, match="no whole array"):
        npz_array(tmp_path / "x.npz", "x", 1 << 20, 1 << 18)
    with pytest.raises(UserError, match="1048576 x 262144, and 3 x any is expected"):
        npz_array(tmp_path / "x.npz", "x", 3, None)


def test_npz(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.arange(6).reshape(2, 3), b=np.array([Evil()]))
    assert npz_array(tmp_path / "x.npz", "a", 2, None).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(UserError, match="has no array c"):
        npz_array(tmp_path / "x.npz", "c", 2)
    with pytest.raises(UserError, match="cannot be read"):
        npz_array(tmp_path / "x.npz", "b", 1)
    (tmp_path / "x.npz").write_bytes(b"PK garbage")
    with pytest.raises(UserError, match="cannot be read"):
        npz_array(tmp_path / "x.npz", "a", 2, 3)


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="cannot be opened .* check the path"):
        open_array(tmp_path / "x.npy")


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, "\xff\xfe{}"])
def test_json_that_is_no_object(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match="holds no JSON object"):
        read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "y.json") == {}
