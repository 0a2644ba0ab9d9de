"""Classes from a file beside labels that are known: what chance would give is refused, with what it may be."""

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.agreement import check_agreement

CLASSES = ["Bar", "Box", "Dot"]
LABELS = np.arange(60) % 3


def refused(found, match, labels=LABELS, **more):
    with pytest.raises(UserError, match=match) as error:
        check_agreement("a.npy", found, labels, CLASSES, **more)
    assert len(str(error.value).splitlines()) == 1 and not str(error.value).endswith(".")


def test_the_share_that_agrees():
    found = LABELS.copy()
    found[:6] = (found[:6] + 1) % 3
    assert check_agreement("a.npy", found, LABELS, CLASSES) == 0.9
    assert check_agreement("a.npy", LABELS, LABELS, CLASSES) == 1


def test_rows_in_another_order():
    shuffled = np.random.default_rng(1).permutation(LABELS)
    refused(
        shuffled, "a.npy is right on .* the validation images, and chance alone on 33.3%; .*, or a table that names"
    )
    refused(shuffled, "in the order of the training images, or keep it", what="training", matched=True)


def test_classes_in_another_order():
    turned = (LABELS + 1) % 3
    refused(
        turned, "with its columns in another order it would be right on 100.0%: bring them in the order Bar, Box, Dot"
    )
    refused(turned, "with other numbers for its classes it would agree on 100.0%: number them", columns=False)
    refused(turned, "a.npy agrees on 0.0% of", verb="agrees on")


def test_too_few_images_to_tell():
    refused(np.array([0, 1]), "2 of 2 validation images, too few", np.array([0, 1]))
    refused(np.zeros(60, int), "too much of one class", np.zeros(60, int))
