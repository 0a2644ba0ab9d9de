"""What a data set is known by covers every image and label, and their order."""

import numpy as np
import pytest

from attribution.workspace.fingerprint import data_fingerprint, image_digest, sampled_fingerprint


def full_fingerprint(images, labels, val_images, val_labels):
    return data_fingerprint({"train": image_digest(images), "val": image_digest(val_images)}, labels, val_labels)


@pytest.mark.parametrize("fingerprint", [full_fingerprint, sampled_fingerprint])
def test_it_sees_pixels_labels_and_their_order(fingerprint):
    images, labels = np.arange(64, dtype=np.uint8).reshape(4, 4, 4), np.array([0, 1, 0, 1])
    other = images.copy()
    other[2, 0, 0] += 1
    prints = {
        fingerprint(*parts)
        for parts in [
            (images, labels, images, labels),
            (other, labels, images, labels),
            (images, labels, other, labels),
            (images, labels[::-1], images, labels),
            (images[::-1], labels, images, labels),
            (images.reshape(4, 2, 8), labels, images, labels),
            (images, labels, images, 1 - labels),
        ]
    }
    assert len(prints) == 7
    assert fingerprint(images, labels, images, labels) == fingerprint(images.copy(), list(labels), images, labels)


@pytest.mark.parametrize("image", [0, 1, 1999, 4998, 4999])
def test_it_covers_every_image_of_many(image):
    images, labels = np.zeros((5000, 2, 2), np.uint8), np.zeros(5000, int)
    changed = images.copy()
    changed[image, 1, 1] = 1
    same = (images[:3], labels[:3])
    assert full_fingerprint(images, labels, *same) != full_fingerprint(changed, labels, *same)
    assert full_fingerprint(*same, images, labels) != full_fingerprint(*same, changed, labels)
