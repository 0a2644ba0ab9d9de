import io
import zipfile

import numpy as np
import pytest

from attribution.data import npz
from attribution.errors import UserError
from tests.conftest import fuzz_times

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 8, 6), np.uint8)
COLOUR = RNG.integers(0, 256, (20, 8, 6, 3), np.uint8)
LABELS = np.arange(20) % 2
VAL = COLOUR[:4] // 2


def save(file, compressed=False, **arrays):
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "y_train", "X_val", "y_val"),
        ("xtrain", "ytrain", "xvalid", "yvalid"),
        ("trainX", "trainY", "testX", "testY"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("images_train", "labels_train", "images_validation", "labels_validation"),
        ("train_data", "train_targets", "test_data", "test_targets"),
    ],
)
def test_names_as_people_give_them(tmp_path, names, folder, compressed):
    arrays = dict(zip(names, (COLOUR, LABELS[:, None], VAL, LABELS[:4])))
    file = save(tmp_path / "set.npz", compressed, **arrays)
    if folder:
        file.unlink()
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
    for root in [tmp_path] + [file] * (not folder):
        found = npz.load(root)
        assert (np.asarray(found.train.images) == COLOUR).all() and (np.asarray(found.val.images) == VAL).all()
        assert found.train.labels.tolist() == LABELS.tolist() and found.val.labels.tolist() == [0, 1, 0, 1]
        assert found.classes == ["0", "1"] and found.skipped == found.notes == () and found.train.source is None


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": COLOUR, "labels": LABELS},
        {"data": COLOUR.transpose(0, 3, 1, 2), "target": np.eye(2)[LABELS]},
        {"x": COLOUR / 255, "y": LABELS.astype(str)},
        {"arr_0": COLOUR.astype(np.float32), "arr_1": LABELS.astype(np.float32)},
        {"images": np.asfortranarray(COLOUR), "labels": LABELS},
        {"images": COLOUR.astype(">i8"), "labels": LABELS, "meta": np.zeros(3)},
    ],
)
def test_images_alone_lend_a_share(tmp_path, arrays):
    found = npz.load(save(tmp_path / "a.npz", **arrays), val_share=0.2)
    for split, n in ((found.train, 16), (found.val, 4)):
        assert len(split.labels) == n and (np.asarray(split.images) == COLOUR[split.index]).all()
        assert (split.labels == LABELS[split.index]).all()
    assert len(found.notes) == (arrays.get("x") is not None)
    assert found.skipped == ("the array meta (neither training nor validation images)",) * ("meta" in arrays)


def test_validation_goes_before_test_and_what_is_left_out_is_said(tmp_path):
    """As the archives of MedMNIST are."""
    arrays = {}
    for split, n in (("train", 20), ("val", 6), ("test", 4)):
        arrays |= {f"{split}_images": GREY[:n], f"{split}_labels": LABELS[:n, None].astype(np.uint8)}
    found = npz.load(save(tmp_path / "breastmnist.npz", True, **arrays))
    assert len(found.val.labels) == 6 and found.train.images.shape == (20, 8, 6)
    assert [line.split()[2] for line in found.skipped] == ["test_images", "test_labels"]


def test_class_names_may_lie_beside(tmp_path):
    names = np.array(["cat", "dog"])
    for key in ("classes", "class_names", "label_names"):
        found = npz.load(save(tmp_path / "a.npz", images=COLOUR, labels=LABELS, **{key: names}))
        assert found.classes == ["cat", "dog"] and found.skipped == ()


def test_images_larger_than_a_block_and_of_another_size(tmp_path, monkeypatch):
    monkeypatch.setattr("attribution.data.objects.BLOCK", 7)
    monkeypatch.setattr("attribution.data.npz.BLOCK_BYTES", 5)
    found = npz.load(save(tmp_path / "a.npz", x=COLOUR / 255, y=LABELS), side=16)
    assert found.train.images.shape == (18, 16, 16, 3) and found.sizes["count"] == 1


@pytest.mark.parametrize(
    "arrays, why",
    [
        ({}, "holds no arrays; call the images x_train"),
        ({"scores": np.zeros((4, 3))}, r"holds scores \[4, 3\]; call the images x_train"),
        ({"x_train": COLOUR}, r"holds x_train \[20, 8, 6, 3\]; call the images"),
        ({"x_train": COLOUR, "images_train": COLOUR, "y_train": LABELS}, "has x_train and images_train, and does not"),
        ({"x": COLOUR, "y": LABELS, "label": LABELS}, "does not say which are the labels; call the one to use y_train"),
        ({"x_test": COLOUR, "y_test": LABELS}, "call the images x_train and the labels y_train"),
        ({"x": COLOUR, "y": LABELS[:3]}, "20 training images and 3 labels"),
        ({"x": COLOUR.reshape(20, -1), "y": LABELS}, r"have the shape \[20, 144\]"),
        ({"x": COLOUR / 100, "y": LABELS}, "before any normalisation"),
        ({"x": np.zeros((2, 0, 3)), "y": LABELS[:2]}, "have the shape"),
        ({"x": COLOUR, "y": np.array([{}] * 20, object)}, "y in .* holds Python objects, which are never read"),
        ({"x": COLOUR.astype(str), "y": LABELS}, "x in .*holds <U3; save it as an array of numbers"),
        ({"x": COLOUR, "y": RNG.random((20, 4))}, "several numbers; one class an image"),
        ({"x": COLOUR, "y": LABELS, "classes": np.array(["one"])}, "label 1 in a is none of its 1 classes"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(tmp_path, arrays, why):
    with pytest.raises(UserError, match=why) as raised:
        npz.load(save(tmp_path / "a.npz", **arrays))
    assert "\n" not in str(raised.value)


def test_folders_that_leave_it_open(tmp_path):
    with pytest.raises(UserError, match="there are no arrays in"):
        npz.load(tmp_path)
    for name in "ab":
        save(tmp_path / f"{name}.npz", x=COLOUR, y=LABELS)
    with pytest.raises(UserError, match="has several archives, a.npz, b.npz; name one with --root"):
        npz.load(tmp_path)
    np.save(tmp_path / "x.npy", COLOUR)
    with pytest.raises(UserError, match="x.npy is one array; name the folder"):
        npz.load(tmp_path / "x.npy")


def test_arrays_of_many_bytes(tmp_path):
    images = RNG.integers(0, 256, (3000, 64, 64, 3), np.uint8)
    found = npz.load(save(tmp_path / "a.npz", x=images, y=np.arange(3000) % 2))
    assert (found.train.images[-1] == images[found.train.index[-1]]).all()


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    save(tmp_path / "a.npz", True, x=np.zeros((20_000, 64, 64), np.uint8), y=np.zeros(20_000, int))
    with pytest.raises(UserError, match="unpacks to 82,.* bytes, far more than its size"):
        npz.load(tmp_path)


def test_broken_archives_are_sentences(tmp_path):
    rng = np.random.default_rng(0)
    for compressed in (False, True):
        good = save(tmp_path / "a.npz", compressed, x_train=COLOUR, y_train=LABELS, x_val=VAL, y_val=LABELS[:4])
        good = good.read_bytes()
        for trial in range(fuzz_times(60)):
            content = bytearray(good)
            for at in rng.integers(0, len(content), 4):
                content[at] = rng.integers(0, 256)
            end = len(content) if trial % 2 else rng.integers(1, len(content))
            (tmp_path / "a.npz").write_bytes(content[:end])
            try:
                npz.load(tmp_path)
            except UserError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize(
    "header, why",
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 6)}", "a length below 0"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000, 8, 6)}", "cut short"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (20, 8, 6)}", "Python objects"),
        ("__import__('os').abort()", "cannot be read"),
    ],
)
def test_headers_that_say_what_is_not(tmp_path, header, why):
    np.save(content := io.BytesIO(), LABELS)
    text = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(960))
        archive.writestr("y.npy", content.getvalue())
    with pytest.raises(UserError, match=why):
        npz.load(tmp_path)


def test_images_that_are_no_numbers_are_left_out(tmp_path):
    images = np.random.default_rng(0).random((20, 6, 6)).astype(np.float32)
    images[3] = np.nan
    file = save(tmp_path / "a.npz", x_train=images, y_train=[0, 1] * 10, x_val=images[4:8], y_val=[0, 1] * 2)
    with pytest.raises(UserError, match="NaN or infinity"):
        npz.load(file)
    found = npz.load(file, skip_corrupt=True)
    assert found.skipped == ("training image 3 (NaN or infinity)",)
    assert found.train.index.tolist() == [i for i in range(20) if i != 3]
