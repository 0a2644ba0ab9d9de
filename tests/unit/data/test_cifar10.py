import hashlib
import pickle

import numpy as np
import pytest
import torchvision.datasets

from attribution.data import cifar10, cifar100
from attribution.errors import UserError


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def publish(monkeypatch, root, of, key, names):
    """Writes three images of each class as torchvision's class `of` wants them, and has it expect their checksums."""
    kind = getattr(torchvision.datasets, of)
    folder = root / kind.base_folder
    folder.mkdir(parents=True)

    def dump(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    labels = np.repeat(range(len(names)), 3).tolist()
    batch = {"data": np.arange(len(labels) * 3072).reshape(-1, 3072).astype(np.uint8), key: labels}
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(kind, part, [[name, dump(name, batch)] for name, _ in getattr(kind, part)])
    meta = kind.meta
    monkeypatch.setattr(kind, "meta", {**meta, "md5": dump(meta["filename"], {meta["key"]: names})})
    return folder


def test_images_labels_and_names(monkeypatch, tmp_path):
    folder = publish(monkeypatch, tmp_path, "CIFAR10", "labels", ["no", "yes"])
    for root in (tmp_path, folder):
        found = cifar10.load(root)
        assert (found.name, found.classes, found.train.source) == ("CIFAR-10", ["no", "yes"], None)
        assert found.train.images.shape == (30, 32, 32, 3) and found.train.images.dtype == np.uint8
        assert found.val.labels.tolist() == [0, 0, 0, 1, 1, 1] and found.val.labels.dtype == np.int64
        assert found.val.images[0, 0, 1].tolist() == [1, 1, 1]  # planes of 1,024 in the file


def test_cifar100_has_the_fine_labels(monkeypatch, tmp_path):
    publish(monkeypatch, tmp_path, "CIFAR100", "fine_labels", ["apple", "bear", "cup"])
    found = cifar100.load(tmp_path)
    assert (found.name, found.classes) == ("CIFAR-100", ["apple", "bear", "cup"])
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2] and found.val.images.shape == (9, 32, 32, 3)


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_an_altered_file_is_refused_before_it_is_unpickled(monkeypatch, tmp_path, name):
    folder = publish(monkeypatch, tmp_path, "CIFAR10", "labels", ["no", "yes"])
    (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(UserError, match="as it was published"):
        cifar10.load(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung"))).close()
    assert (tmp_path / "sprung").exists()


def test_without_files_or_network_it_says_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="does not hold cifar-100-python"):
        cifar100.load(tmp_path)

    def download(self):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", download)
    with pytest.raises(UserError, match=r"could not be downloaded \(no network\); fetch https://"):
        cifar10.load()
