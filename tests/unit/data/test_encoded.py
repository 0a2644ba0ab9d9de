import numpy as np
import pytest

from attribution.data.encoded import EncodedImages, PictureSource, common_shape, draw_validation, sizes_of, split_data
from attribution.errors import UserError
from tests.unit.data.test_decoding import Image, deep_png, encoded


class Given(PictureSource):
    def __init__(self, pictures, numbers=None):
        self.pictures = pictures
        self.numbers = np.arange(len(pictures)) if numbers is None else numbers
        self.source = {"kind": "given"}

    @property
    def locations(self):
        return {"at": self.numbers}

    def read(self, i):
        return self.pictures[i]

    def describe(self, i):
        return f"picture {self.numbers[i]}"

    def paths(self):
        return []

    def select(self, ids):
        return Given([self.pictures[i] for i in ids], self.numbers[ids])


def grey(value, size=(4, 4)):
    return encoded(Image.new("L", size, value))


def split(pictures, labels, val=None, side=None, val_share=None, skip_corrupt=False, progress=None):
    return split_data((Given(pictures), np.array(labels)), val, side, val_share, skip_corrupt, progress)[:3]


@pytest.mark.parametrize(
    "looks, side, shape",
    [
        ([(28, 20, True)] * 2, None, (20, 28)),
        ([(28, 20, True), (28, 20, False)], None, (20, 28, 3)),
        ([(64, 64, False)] * 2, None, (64, 64, 3)),
        ([(65, 65, True)] * 2, None, (64, 64, 3)),
        ([(28, 28, True), (28, 27, True)], None, (64, 64, 3)),
        ([(28, 28, True)] * 2, 32, (32, 32, 3)),
    ],
)
def test_small_images_of_one_size_keep_it_and_others_get_a_fixed_one(looks, side, shape):
    assert common_shape(np.array(looks), side) == shape


def test_the_sizes_of_pictures_that_are_resized():
    looks = np.array([(640, 480, True), (24, 31, True), (24, 31, False), (30, 30, True)])
    assert sizes_of(looks, (64, 64, 3)) == {"count": 3, "smallest": [24, 31], "largest": [640, 480], "cropped": True}
    assert sizes_of(looks[3:], (15, 15)) == {"count": 1, "smallest": [30, 30], "largest": [30, 30], "cropped": False}
    assert sizes_of(looks[:1], (480, 640)) is None  # height first
    assert sizes_of(looks[:1], (640, 480))["cropped"]


def test_the_share_is_taken_of_each_class_and_leaves_some():
    labels = np.repeat([0, 1, 2, 3], [100, 20, 2, 1])
    chosen = draw_validation(labels, 0.1)
    assert np.bincount(labels[chosen], minlength=4).tolist() == [10, 2, 1, 0]
    assert (chosen == draw_validation(labels, 0.1)).all()
    assert np.bincount(labels[draw_validation(labels, 0.99)], minlength=4).tolist() == [99, 19, 1, 0]


def test_a_share_of_the_training_images_becomes_the_validation_images():
    train, val, left_out = split([grey(i) for i in range(20)], [0, 1] * 10, val_share=0.2)
    assert (len(train.labels), len(val.labels), left_out) == (16, 4, [])
    assert sorted([*train.index, *val.index]) == list(range(20))
    for part in (train, val):
        assert part.labels.tolist() == (part.index % 2).tolist() and (part.locations["at"] == part.index).all()
        assert np.asarray(part.images)[:, 0, 0].tolist() == part.index.tolist()
    assert train.source == {"kind": "given", "shape": [4, 4]}


def test_images_answer_as_an_array_does():
    images = split([grey(i) for i in range(20)], [0] * 20, (Given([grey(200)]), np.array([0])))[0].images
    array = np.asarray(images)
    assert images.shape == array.shape == (20, 4, 4) and images.dtype == array.dtype and images.ndim == 3
    for which in (3, -1, np.int64(4), [5, 2, 5], [], slice(2, 9, 3), np.arange(20) > 17):
        assert (images[which] == array[which]).all() and images[which].shape == array[which].shape
    with pytest.raises(IndexError):
        images[20]


def test_what_cannot_be_read_is_listed_or_left_out():
    pictures = [grey(i) if i % 3 else b"no picture" for i in range(24)]
    with pytest.raises(UserError, match=r"^8 of 25 .*picture 0 \(is not .*picture 12 .* and 3 more; .*--skip"):
        split(pictures, [0] * 24, (Given([grey(0)]), np.array([0])))
    train, val, left_out = split(pictures, range(24), (Given([grey(0), b""]), np.array([0, 1])), skip_corrupt=True)
    assert len(left_out) == 9 and left_out[-1] == "picture 1 (is empty)"
    assert train.labels.tolist() == train.index.tolist() == [i for i in range(24) if i % 3]
    assert train.images.shape == (16, 4, 4) and val.images.shape == (1, 4, 4)
    with pytest.raises(UserError, match="no image that can be read"):
        split([b""], [0], skip_corrupt=True)


def test_what_is_left_out_has_no_say_in_the_shape():
    train, _, _ = split([grey(1), grey(2), grey(3, (9, 9))[:-30]], [0, 0, 0], skip_corrupt=True)
    assert train.images.shape[1:] == (4, 4)


def deep(value, size=(4, 4)):
    return encoded(Image.fromarray(np.full(size[::-1], value, np.uint16)))


@pytest.mark.parametrize(
    "values, bits, shown",
    [
        ([0, 110, 220], 8, [0, 110, 220]),
        ([0, 1760, 3520], 12, [0, 110, 220]),
        ([0, 3, 255], 8, [0, 3, 255]),
        ([0, 200, 1000], 10, [0, 50, 250]),
        ([0, 30_000, 65_535], 16, [0, 117, 255]),
    ],
)
def test_grey_of_16_bits_has_one_scale_for_the_whole_set(values, bits, shown):
    pictures = [deep(value) for value in values]
    train, val, _ = split(pictures[:2], [0, 1], (Given(pictures[2:]), np.array([0])))  # val has the largest value
    assert train.source["bits"] == val.source["bits"] == bits
    assert [*np.asarray(train.images)[:, 0, 0], *np.asarray(val.images)[:, 0, 0]] == shown
    again = EncodedImages.reopened(train.images.contents, train.source)
    assert (np.asarray(again) == np.asarray(train.images)).all()
    before = EncodedImages.reopened(train.images.contents, {"shape": [4, 4]})  # a workspace of an older Lineup
    assert np.asarray(before)[:, 0, 0].tolist() == [value >> 8 for value in values[:2]]
    alike = before.fingerprint_bytes(np.arange(2)) == train.images.fingerprint_bytes(np.arange(2))
    assert alike == (bits == 16), "other pixels are another data set"


def test_pictures_of_8_bits_beside_16_stay_as_they_are():
    train, _, _ = split([grey(77), deep(3000)], [0, 1], (Given([grey(1)]), np.array([0])))
    assert np.asarray(train.images)[:, 0, 0].tolist() == [77, 3000 >> 4] and train.source["bits"] == 12
    assert "bits" not in split([grey(77)], [0], (Given([grey(1)]), np.array([0])))[0].source


def test_what_is_left_out_has_no_say_in_the_depth():
    train, _, _ = split([deep(200), deep(300), deep(60_000)[:50]], [0, 0, 0], skip_corrupt=True)
    assert train.source["bits"] == 9


@pytest.mark.parametrize("bits", [7, 17, "12", None, 12.0, True, [12]])
def test_bits_that_cannot_be_are_refused(bits):
    with pytest.raises(ValueError, match="grey values of"):
        EncodedImages.reopened(Given([grey(1)]), {"shape": [4, 4], "bits": bits})


def test_colours_of_16_bits_that_would_be_dark_are_refused():
    dark, bright = (deep_png(np.full((4, 4, 3), value)) for value in (4000, 40_000))
    with pytest.raises(UserError, match="2 of 3 images have colours of 16 bits, all below 4,096 of 65,536, .* 8 bits"):
        split([dark, dark, grey(255)], [0, 1, 1])
    train, _, _ = split([dark, bright, dark], [0, 1, 1])
    assert "bits" not in train.source


def test_what_the_look_accepts_can_be_decoded():
    """Kinds of pictures that a decoder is known to stumble on: left out by the look, or read."""
    exif = Image.Exif()
    exif[0x0112] = 8
    kinds = {
        "float": encoded(Image.new("F", (6, 4), 0.5), "TIFF"),
        "negative": encoded(Image.new("I", (6, 4), -5), "TIFF"),
        "lab": encoded(Image.new("LAB", (6, 4)), "TIFF"),
        "turned": encoded(Image.new("RGB", (6, 4)), "JPEG", exif=exif),
        "print": encoded(Image.new("CMYK", (6, 4)), "TIFF"),
        "one bit": encoded(Image.new("1", (6, 4)), "TIFF"),
        "palette": encoded(Image.new("P", (6, 4), 3), "PNG", transparency=b"\0\1\2\3"),
        "grey and alpha": encoded(Image.new("LA", (6, 4), (9, 99))),
        "long": encoded(Image.new("L", (3000, 1))),
        "deep": deep(4000),
    }
    train, _, left_out = split(
        list(kinds.values()), [0] * len(kinds), (Given([grey(1)]), np.array([0])), skip_corrupt=True
    )
    read = [name for i, name in enumerate(kinds) if i in train.index]
    assert np.asarray(train.images).shape == (len(read), 64, 64, 3) and len(left_out) == len(kinds) - len(read)
    assert set(kinds) - set(read) <= {"float", "negative", "lab"} and {"float", "negative"} <= set(kinds) - set(read)


def test_progress_counts_both_splits():
    told = []
    split([grey(1)] * 2, [0, 0], (Given([grey(0)]), np.array([0])), progress=lambda *at: told.append(at))
    assert told == [("reading images", 3, 3)]


@pytest.mark.parametrize(
    "options, why",
    [
        ({"side": 4}, "8 to 512"),
        ({"side": 1000}, "8 to 512"),
        ({"val_share": 0.0}, "between 0 and 1"),
        ({"val_share": 1.0}, "between 0 and 1"),
        ({"val_share": 0.1, "val": (Given([grey(0)]), np.array([0]))}, "its own"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, why):
    with pytest.raises(UserError, match=why):
        split([grey(1)] * 2, [0, 0], **options)


def test_the_sample_sees_the_bytes_and_their_order():
    images = split([grey(1), grey(2), grey(1)], [0, 0, 0], (Given([grey(0)]), np.array([0])))[0].images
    sample = [images.fingerprint_bytes(np.array(ids)) for ids in ([0, 1], [1, 0], [2, 1])]
    assert sample[0] == sample[2] != sample[1]


def test_a_picture_that_goes_bad_later_is_named():
    train, _, _ = split([grey(1)] * 2, [0, 0], (Given([grey(0)]), np.array([0])))
    train.images.contents.pictures[1] = b"gone"
    with pytest.raises(UserError, match="picture 1 cannot be read"):
        train.images[1]
