from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image

from attribution.data.objects import from_objects
from attribution.errors import UserError
from tests.unit.data.test_encoded import grey

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (10, 8, 6), np.uint8)
COLOUR = RNG.integers(0, 256, (10, 8, 6, 3), np.uint8)
LABELS = [0, 1] * 5


class Items:
    """A Dataset as torch has them."""

    def __init__(self, items, **more):
        self.items = items
        self.__dict__.update(more)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Flipped(Items):
    def __getitem__(self, i):
        image, label = self.items[i]
        return (image[:, ::-1] if RNG.random() < 0.5 else image), label


def of(images, labels=LABELS):
    return Items(list(zip(images, labels)))


@pytest.mark.parametrize(
    "train",
    [
        (COLOUR, LABELS),
        [COLOUR, LABELS],
        {"images": COLOUR, "labels": np.array(LABELS)},
        (COLOUR.transpose(0, 3, 1, 2), np.array(LABELS)[:, None]),
        (torch.tensor(COLOUR.transpose(0, 3, 1, 2)), torch.tensor(LABELS)),
        (torch.tensor(COLOUR.transpose(0, 3, 1, 2) / 255).float(), torch.nn.functional.one_hot(torch.tensor(LABELS))),
        (COLOUR.astype(np.float64), [str(label) for label in LABELS]),
        (COLOUR.astype(np.int64), [float(label) for label in LABELS]),
        ([Image.fromarray(image) for image in COLOUR], LABELS),
        torch.utils.data.TensorDataset(torch.tensor(COLOUR.transpose(0, 3, 1, 2)), torch.tensor(LABELS)),
        of([Image.fromarray(image) for image in COLOUR]),
        of(COLOUR),
        of([torch.tensor(image.transpose(2, 0, 1) / 255, dtype=torch.float32) for image in COLOUR]),
        Items([{"img": image, "label": label} for image, label in zip(COLOUR, LABELS)]),
        list(zip(COLOUR, LABELS)),
        torch.utils.data.Subset(of(COLOUR), range(10)),
    ],
)
def test_whatever_holds_images_and_labels(train):
    found = from_objects(train, (COLOUR[:2], LABELS[:2]), name="mine")
    assert (found.name, found.classes, found.sizes) == ("mine", ["0", "1"], None)
    assert found.train.images.dtype == np.uint8 and (np.asarray(found.train.images) == COLOUR).all()
    assert found.train.labels.tolist() == LABELS and found.train.labels.dtype == np.int64
    assert (np.asarray(found.val.images) == COLOUR[:2]).all() and found.val.labels.tolist() == LABELS[:2]
    assert found.train.source is None


@pytest.mark.parametrize("images", [GREY, GREY[..., None], GREY[:, None], torch.tensor(GREY)[:, None], GREY / 255])
def test_grey_images_stay_grey(images):
    found = from_objects((images, LABELS), (images, LABELS))
    assert (np.asarray(found.train.images) == GREY).all() and found.val.images.shape == (10, 8, 6)
    assert len(found.notes) == 2 * (getattr(images, "dtype", None) == np.float64)


def test_a_dark_image_first_leaves_the_scale_open():
    dark = GREY.astype(np.float32)
    dark[0] = 0
    for images in ((dark, LABELS), of(dark)):
        assert (np.asarray(from_objects(images, images).train.images) == dark).all()
    dark[0] = 1
    assert (np.asarray(from_objects((dark, LABELS), (dark, LABELS)).train.images) == dark).all()


def test_without_validation_images_a_share_is_held_back():
    found = from_objects((GREY, LABELS), None)
    assert np.bincount(found.val.labels).tolist() == [1, 1] and len(found.train.labels) == 8
    assert (np.asarray(found.val.images) == GREY[found.val.index]).all()
    assert (np.asarray(found.train.images) == GREY[found.train.index]).all()
    assert len(from_objects((GREY, LABELS), val_share=0.4).val.labels) == 4
    with pytest.raises(UserError, match="leave out the share"):
        from_objects((GREY, LABELS), (GREY, LABELS), val_share=0.4)


def test_images_of_several_sizes_get_one_shape_whatever_comes_first():
    images = [GREY[0], COLOUR[1], RNG.integers(0, 256, (100, 90, 3), np.uint8), GREY[3]]
    for order in ([0, 1, 2, 3], [2, 0, 1, 3], [0, 3, 1, 2]):
        found = from_objects(([images[i] for i in order], [0] * 4), ([COLOUR[0]], [0]))
        assert found.train.images.shape == (4, 64, 64, 3) and found.sizes["count"] == 2 and found.sizes["cropped"]
        if order[0] == 0:
            expected = np.asarray(found.train.images)[0]
        assert (np.asarray(found.train.images)[order.index(0)] == expected).all()
    mixed = from_objects(([GREY[0], COLOUR[1]], [0, 0]), ([GREY[2]], [0]))
    assert mixed.train.images.shape == (2, 8, 6, 3) and (mixed.train.images[0] == GREY[0][..., None]).all()
    assert from_objects((GREY, LABELS), side=16).train.images.shape[1:] == (16, 16, 3)


def test_files_and_labels(tmp_path):
    for value in range(4):
        (tmp_path / f"{value}.png").write_bytes(grey(value))
    files = [str(tmp_path / f"{value}.png") for value in range(4)]
    for images in (files, np.array(files), np.array(files, object), [tmp_path / f"{value}.png" for value in range(4)]):
        found = from_objects((images, ["b", "a", "b", "a"]), (images[:1], ["a"]))
        assert np.asarray(found.train.images)[:, 0, 0].tolist() == [0, 1, 2, 3]
        assert found.classes == ["a", "b"] and found.train.labels.tolist() == [1, 0, 1, 0]
    with pytest.raises(UserError, match=r"none\.png cannot be opened"):
        from_objects(([str(tmp_path / "none.png")], [0]), (files, [0] * 4))


def test_grey_pictures_of_more_than_8_bits(tmp_path):
    for values, fits in ((GREY.astype(np.int32), True), (GREY.astype(np.uint16), True), (GREY * np.uint16(9), False)):
        pictures = [Image.fromarray(image) for image in values]
        assert pictures[0].mode.startswith("I")
        pictures[0].save(tmp_path / "0.tif")
        for images in (pictures, [tmp_path / "0.tif", *pictures[1:]]):
            if fits:
                assert (np.asarray(from_objects((images, LABELS), (GREY, LABELS)).train.images) == GREY).all()
            else:
                with pytest.raises(UserError, match="training images are from .*; divide them by the largest value"):
                    from_objects((images, LABELS), (GREY, LABELS))


@pytest.mark.parametrize("with_val", [True, False])
def test_corrupt_images_of_arrays_are_left_out(with_val):
    images = GREY / np.float32(255)
    images[[1, 7], 2, 3] = np.nan, np.inf
    given = ((images, LABELS), (GREY, LABELS)) if with_val else ((images, LABELS),)
    with pytest.raises(UserError, match="hold NaN or infinity"):
        from_objects(*given)
    found = from_objects(*given, skip_corrupt=True)
    assert found.skipped == ("training image 1 (NaN or infinity)", "training image 7 (NaN or infinity)")
    kept = [found.train.index] if with_val else [found.train.index, found.val.index]
    assert sorted(np.concatenate(kept)) == [0, 2, 3, 4, 5, 6, 8, 9]
    for split in (found.train, found.val):
        assert (np.asarray(split.images) == GREY[split.index]).all()
        assert split.labels.tolist() == [LABELS[i] for i in split.index]


def test_corrupt_items_are_left_out(tmp_path):
    class Broken(Items):
        def __getitem__(self, i):
            if i == 4:
                raise OSError("no disk")
            return super().__getitem__(i)

    (tmp_path / "bad.png").write_bytes(b"no picture")
    items = [(Image.fromarray(image), label) for image, label in zip(GREY, LABELS)]
    items[2], items[6] = (str(tmp_path / "bad.png"), LABELS[2]), (b"x", LABELS[6])
    found = from_objects(Broken(items), (GREY, LABELS), skip_corrupt=True)
    assert found.train.index.tolist() == [0, 1, 3, 5, 7, 8, 9] and found.val.index.tolist() == list(range(10))
    assert (np.asarray(found.train.images) == GREY[found.train.index]).all()
    assert [line.partition(" (")[0] for line in found.skipped] == [f"training image {i}" for i in (2, 4, 6)]
    assert "OSError: no disk" in found.skipped[1] and "bad.png" in found.skipped[0]
    with pytest.raises(UserError, match="no image can be read, training image 0"):
        from_objects(of([b"x"] * 3), skip_corrupt=True)
    with pytest.raises(UserError, match="training image 4 cannot be read"):
        from_objects(Broken(list(zip(GREY, LABELS))), (GREY, LABELS))


def test_what_the_objects_call_their_classes():
    named = Items(list(zip(GREY, LABELS)), classes=["cat", "dog"])
    assert from_objects(named, of(GREY)).classes == ["cat", "dog"]
    assert from_objects(torch.utils.data.Subset(named, [0, 1]), of(GREY)).classes == ["cat", "dog"]
    assert from_objects(torch.utils.data.ConcatDataset([named, of(GREY)]), of(GREY)).classes == ["cat", "dog"]
    assert from_objects(named, of(GREY), classes=["no", "yes"]).classes == ["no", "yes"]
    assert from_objects((GREY, ["no", "yes"] * 5), None, classes=["yes", "no"]).classes == ["yes", "no"]
    with pytest.raises(UserError, match="label 2 in data is none of its 2 classes"):
        from_objects((GREY[:3], [0, 1, 2]), named)


def test_columns_of_hugging_face():
    feature = namedtuple("ClassLabel", "names")(["cat", "dog"])
    image = namedtuple("Image", "decode")(True)
    rows = [{"picture_of": Image.fromarray(one), "kind": label, "n": 3} for one, label in zip(COLOUR, LABELS)]
    data = Items(rows, features={"n": 0, "picture_of": image, "kind": feature})
    found = from_objects({"train": data, "test": data})
    assert found.classes == ["cat", "dog"] and (np.asarray(found.val.images) == COLOUR).all()
    with pytest.raises(UserError, match="the data set has no column of images among n; rename it to image"):
        from_objects(Items(rows, features={"n": 0}), data)


@pytest.mark.parametrize(
    "train, why",
    [
        (GREY, "training images have no labels; give a pair"),
        ((GREY, LABELS[:4]), "10 training images and 4 labels"),
        ((GREY.reshape(10, 48), LABELS), r"have the shape \[10, 48\]; give \[n, height, width\]"),
        ((RNG.random((10, 8, 6, 2)), LABELS), r"have the shape \[.*with 1, 3 or 4 channels"),
        ((GREY / 100.0, LABELS), "fractions up to 2.5.*before any normalisation"),
        ((GREY / 255.0 - 0.5, LABELS), "from -0.5 to 0.5, as after a normalisation; take it out"),
        ((np.full((10, 8, 6), np.nan), LABELS), "hold NaN or infinity; mend those images"),
        ((GREY.astype(np.int64) * 256, LABELS), r"from 0 to 6\.5"),
        ((GREY.astype(np.complex64), LABELS), "no array of numbers"),
        ((GREY, [None] * 10), "10 of 20 labels are missing in data, the first of training image 0"),
        ((GREY, [0.5] * 10), "label 0.5 in data is no class"),
        ((GREY, [-1, *LABELS[1:]]), "label -1 stands"),
        ((GREY, RNG.random((10, 3))), "several numbers; one class an image"),
        (iter([(GREY[0], 0)]), "list_iterator, which has no length"),
        (torch.utils.data.DataLoader(of(GREY)), "give its .dataset"),
        (of([lambda: 0] * 10), "function is no array|images are no array"),
        (Items(list(GREY)), "training image 0 is ndarray; give a pair"),
        (Items([{"text": "a"}]), "dict of text; call the image image"),
        (Flipped([(GREY[1], 0)] * 16), "is another one each time it is read"),
        ({"a": GREY}, "dict of a; call the training images train"),
        ((GREY[:0], []), "no training images; give some"),
        (None, "no training images"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(train, why):
    with pytest.raises(UserError, match=why) as raised:
        from_objects(train, None if train is None or isinstance(train, dict) else (GREY, LABELS))
    assert "\n" not in str(raised.value)


def test_an_error_of_the_dataset_is_said():
    class Broken(Items):
        def __getitem__(self, i):
            raise OSError("no such file\nmore")

    with pytest.raises(UserError, match=r"training image 0 cannot be read \(OSError: no such file\); mend"):
        from_objects(Broken(LABELS), None)


def test_progress_is_said():
    said = []
    from_objects((GREY, LABELS), (GREY, LABELS), progress=lambda *words: said.append(words))
    assert said == [("reading images", 20, 20)]
