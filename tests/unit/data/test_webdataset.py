import gzip
import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest

from attribution import data
from attribution.data import webdataset
from attribution.errors import UserError
from tests.conftest import fuzz_times
from tests.unit.data.test_encoded import grey


def write(file, members, **options):
    """A tar of (name, bytes)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w", **options) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file


def samples(values, label=lambda value: ("cls", b"%d" % (value % 2)), picture="png", folder=""):
    """Members of a sample for each value: a grey picture full of it, and its label."""
    members = []
    for value in values:
        ending, content = label(value)
        members += [(f"{folder}{value:06}.{picture}", grey(value)), (f"{folder}{value:06}.{ending}", content)]
    return members


def values(split):
    return np.asarray(split.images)[:, 0, 0].tolist()


def test_shards_in_the_order_of_their_names(tmp_path):
    write(tmp_path / "cifar-train-000000.tar", samples(range(4)))
    write(tmp_path / "cifar-train-000001.tar", samples(range(4, 8)))
    write(tmp_path / "cifar-val-000000.tar", samples([50, 51]))
    write(tmp_path / "cifar-test-000000.tar", samples([60]))
    found = webdataset.load(tmp_path)
    assert values(found.train) == list(range(8)) and values(found.val) == [50, 51]
    assert found.classes == ["0", "1"] and found.train.labels.tolist() == [0, 1] * 4
    assert found.skipped == ("cifar-test-000000.tar (neither training nor validation images)",)
    assert found.notes[0].endswith("validation images from cifar-val-000000.tar")
    for split in (found.train, found.val):
        again = data.reopen_images(split.source, tmp_path, pd.DataFrame(split.locations))
        assert np.asarray(again)[:, 0, 0].tolist() == values(split)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "cifar-test-000000.tar",
        *(f"cifar-train-00000{i}.tar" for i in range(2)),
        "cifar-val-000000.tar",
    ]  # nothing was unpacked


@pytest.mark.parametrize(
    "options, classes",
    [
        ({"label": lambda value: ("cls", b" dog\n" if value % 2 else b"cat")}, ["cat", "dog"]),
        ({"label": lambda value: ("json", json.dumps({"label": "no" if value % 2 else "a"}).encode())}, ["a", "no"]),
        ({"label": lambda value: ("json", json.dumps({"x": 1, "cls": value % 2}).encode())}, ["0", "1"]),
        ({"label": lambda value: ("json", b"%d" % (value % 2))}, ["0", "1"]),
        ({"picture": "JPG", "folder": "train/deep.er/"}, ["0", "1"]),
        ({"picture": "image.webp", "label": lambda value: ("label.cls", b"%d" % (value % 2))}, ["0", "1"]),
    ],
)
def test_one_shard_lends_a_share(tmp_path, options, classes):
    more = [(f"{value:06}.txt", b"a caption") for value in range(20)] + [
        (f"{value:06}.depth.npy", b"x") for value in "a"
    ]
    file = write(tmp_path / "all.tar", samples(range(20), **options) + more)
    for root in (tmp_path, file):
        found = webdataset.load(root, val_share=0.3)
        assert len(found.val.labels) == 6 and found.classes == classes
        for split in (found.train, found.val):
            assert values(split) == split.index.tolist() and len(set(split.labels[split.index % 2 == 0])) == 1
            again = data.reopen_images(split.source, data.root_folder(root), pd.DataFrame(split.locations))
            assert np.asarray(again)[:, 0, 0].tolist() == values(split)


def test_a_mask_beside_the_image_is_left_alone(tmp_path):
    masks = [(f"{value:06}.mask.png", grey(99)) for value in range(8)]
    write(tmp_path / "all.tar", masks + samples(range(8)))
    assert sorted(values(webdataset.load(tmp_path).train) + values(webdataset.load(tmp_path).val)) == list(range(8))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_longer_than_a_header(tmp_path, format):
    write(tmp_path / "all.tar", samples(range(8), folder="é" * 60 + "/" + "x" * 30 + "/"), format=format)
    found = webdataset.load(tmp_path)
    assert values(found.train) == found.train.index.tolist()


def test_members_without_a_counterpart(tmp_path):
    members = [*samples(range(6)), ("a.png", grey(9)), ("b.cls", b"1"), ("c.mp4", b"x")]
    write(tmp_path / "all.tar", members)
    why = r"2 members have no counterpart: a.png in all.tar \(no label beside it\), b.cls in all.tar \(no image"
    with pytest.raises(UserError, match=why):
        webdataset.load(tmp_path)
    found = webdataset.load(tmp_path, skip_corrupt=True)
    assert len(found.train.labels) == 4 and len(found.skipped) == 2


def test_test_images_without_labels_are_left_out(tmp_path):
    write(tmp_path / "train-0.tar", samples(range(6)))
    write(tmp_path / "test-0.tar", [(f"{i}.png", grey(i)) for i in range(3)])
    found = webdataset.load(tmp_path)
    assert found.skipped == ("test-0.tar (images without labels)",) and len(found.val.labels) == 2


@pytest.mark.parametrize(
    "members, why",
    [
        ([], "holds no images, key.jpg"),
        ([("a.txt", b"x")], "holds no images"),
        ([*samples([1]), *samples([1])], "holds 000001.png twice; write each member once"),
        (
            samples([1], label=lambda value: ("cls", b"")),
            "1 of 1 labels are missing in .*, the first of 000001.png in a",
        ),
        (samples([1], label=lambda value: ("json", b'{"caption": 1}')), "1 of 1 labels are missing"),
        (samples([1], label=lambda value: ("json", b"{")), "000001.json in .* is neither text nor JSON"),
        (samples([1], label=lambda value: ("json", b"[" * 10**5)), "000001.json in .* is neither text nor JSON"),
        (samples([1], label=lambda value: ("cls", b"\xff\xfe")), "000001.cls in .* is neither text nor JSON"),
        (samples([1], label=lambda value: ("cls", b"x" * 2**21)), "too many for a label"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(tmp_path, members, why):
    write(tmp_path / "a.tar", members)
    with pytest.raises(UserError, match=why) as raised:
        webdataset.load(tmp_path)
    assert "\n" not in str(raised.value)


def test_what_is_no_plain_tar(tmp_path):
    with pytest.raises(UserError, match="there are no .tar files in"):
        webdataset.load(tmp_path)
    good = write(tmp_path / "a.tar", samples(range(8))).read_bytes()
    for content in (gzip.compress(good), b"", b"x" * 600, good[:700], good[:1600]):
        (tmp_path / "a.tar").write_bytes(content)
        with pytest.raises(UserError, match="a.tar (cannot be read as a tar .*; write or copy it|holds no images)"):
            webdataset.load(tmp_path)


def test_links_in_a_shard_are_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(grey(1))
    write(tmp_path / "a.tar", samples(range(4)))
    with tarfile.open(tmp_path / "a.tar", "a") as archive:
        for kind, name in (
            (tarfile.SYMTYPE, "link.png"),
            (tarfile.LNKTYPE, "hard.png"),
            (tarfile.FIFOTYPE, "pipe.png"),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, str(tmp_path / "secret.png")
            archive.addfile(entry)
    found = webdataset.load(tmp_path)
    assert len(found.train.labels) + len(found.val.labels) == 4


def test_broken_shards_are_sentences(tmp_path):
    good, rng = write(tmp_path / "a.tar", samples(range(10))).read_bytes(), np.random.default_rng(0)
    headers = np.arange(0, len(good) - 1024, 512)
    for trial in range(fuzz_times(100)):
        content = bytearray(good)
        for _ in range(3):
            content[rng.choice(headers) + rng.integers(0, 512)] = rng.integers(0, 256)
        (tmp_path / "a.tar").write_bytes(content[: len(content) if trial % 3 else rng.integers(1, len(content))])
        try:
            webdataset.load(tmp_path, skip_corrupt=True)
        except UserError as error:
            assert "\n" not in str(error)
