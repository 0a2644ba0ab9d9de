"""Faults of pictures: what cleanvision finds of each kind, what is kept of it, and the queues made of it."""

import numpy as np
import pytest
from PIL import Image

from attribution import UserError, Workspace
from attribution.audit import detectors, faults, review_queue
from attribution.audit.detectors import combined
from attribution.workspace.create import create

KINDS = ("dark", "blurry", "exact_duplicates")


def made(n=60, **images):
    """Faults of KINDS: kind -> {image: its score}, of n images."""
    scores, found = np.ones((n, 3), np.float32), np.zeros((n, 3), bool)
    for kind, rows in images.items():
        for image, score in rows.items():
            scores[image, KINDS.index(kind)], found[image, KINDS.index(kind)] = score, True
    return faults.Faults(KINDS, scores, found)


SOME = made(dark={4: 0.2, 9: 0.1}, blurry={9: 0.25, 30: 0.05, 31: 0.06}, exact_duplicates={2: 0.5, 50: 0.5})


@pytest.fixture
def stored(ws):
    faults.save(ws, SOME, {})
    return Workspace.open(ws.path)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Training images of 64 x 64 pixels of noise; of class a some have a fault each."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)

    def noise(height=64, width=64):
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))

    for split, n in (("train", 12), ("val", 2)):
        for name in "ab":
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                noise().save(folder / f"{i:02}.png")
    folder = tmp_path / "photos" / "train" / "a"
    noise().point(lambda value: value // 16).save(folder / "00.png")
    noise().point(lambda value: 255 - value // 32).save(folder / "01.png")
    wave = np.sin(np.linspace(0, 2 * np.pi, 64))
    smooth = 100 + 90 * np.outer(wave, wave)  # as out of focus
    Image.fromarray(smooth.astype(np.uint8)).convert("RGB").save(folder / "02.png")
    Image.new("RGB", (64, 64), (90, 120, 60)).save(folder / "03.png")
    noise(400, 400).save(folder / "04.png")
    noise(24, 96).save(folder / "05.png")
    (folder / "06.png").write_bytes((folder / "07.png").read_bytes())
    return tmp_path / "photos"


def test_each_kind_is_found_in_pictures_at_their_own_size(photos, tmp_path):
    ws = create(tmp_path / "made", "image-folder", photos)
    calls = []
    found = faults.compute(ws, lambda *at: calls.append(at))
    has = {kind: np.flatnonzero(found.found[:, at]).tolist() for at, kind in enumerate(found.kinds)}
    assert 0 in has["dark"] and not set(has["dark"]) - {0, 3}
    assert has["light"] == [1]
    assert 2 in has["blurry"] and not set(has["blurry"]) - {0, 1, 2, 3}
    assert 3 in has["low_information"] and not set(has["low_information"]) - {0, 1, 2, 3}
    assert has["odd_size"] == [4, 5] and has["odd_aspect_ratio"] == [5] and has["exact_duplicates"] == [6, 7]
    assert calls[-1] == ("looking at images", 48, 48) and found.scores.dtype == np.float32
    faults.save(ws, found, {})
    again = faults.load(Workspace.open(ws.path))
    assert again.kinds == found.kinds and np.array_equal(again.found, found.found)
    assert faults.STORED.provenance(ws)["library"].startswith("cleanvision ")


def test_pictures_that_a_workspace_holds_are_looked_at_as_they_are_shown(ws):
    images = np.full((60, 8, 8), 250, np.uint8)  # white on black here, and shown black on white
    images[:, ::2] = np.random.default_rng(0).integers(0, 256, (60, 4, 8))
    images[5] = 250
    images[5, 0] = 245
    np.save(ws.path / "images" / "train.npy", images)
    found = faults.compute(Workspace.open(ws.path))
    assert found.counts()["dark"] == 1 and found.of_image(5)[0][0] == "dark"


def test_without_the_library_a_sentence_says_how_to_have_it(ws, monkeypatch):
    assert faults.missing_requirement() == ""
    monkeypatch.setattr(faults, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"found by cleanvision; install it with: python -m pip install .*\[faults\]"):
        faults.compute(ws)


def test_the_worst_of_each_kind_come_first():
    assert SOME.order().tolist() == [2, 9, 30, 4, 31, 50]
    assert SOME.order("blurry").tolist() == [30, 31, 9]
    assert SOME.of_image(9) == [("dark", pytest.approx(0.1)), ("blurry", 0.25)] and SOME.of_image(0) == []


def test_what_most_images_have_is_no_fault_of_one():
    found = made(10, dark=dict.fromkeys(range(6), 0.1), blurry={7: 0.1})
    assert found.telling() == ["blurry"] and found.order().tolist() == [7] and found.of_image(0) == []
    assert found.counts() == {"dark": 6, "blurry": 1, "exact_duplicates": 0}
    assert made(10).order().tolist() == []


def test_a_queue_of_faults(stored):
    items = review_queue.build_items(stored, faults.queue_spec(stored, None, 4))
    assert items.images.tolist() == [2, 9, 30, 4] and items.scores.tolist() == pytest.approx([0.5, 0.9, 0.95, 0.8])
    assert np.array_equal(items.suggestions, stored.train_labels[items.images]) and not items.controls.any()
    assert review_queue.build_items(stored, faults.queue_spec(stored, "dark", 50)).images.tolist() == [9, 4]


def test_queues_that_cannot_be(ws):
    with pytest.raises(UserError, match="nobody has looked for faults yet; look with: python -m attribution faults"):
        faults.queue_spec(ws, None, 5)
    faults.save(ws, made(dark={1: 0.1}), {})
    for kind, said in (("blurry", "finds no blurred fault"), ("ugly", "no fault is called ugly; choose from dark")):
        with pytest.raises(UserError, match=said):
            faults.queue_spec(ws, kind, 5)
    faults.save(ws, made(), {})
    with pytest.raises(UserError, match="finds no fault in these images"):
        faults.queue_spec(ws, None, 5)


def test_no_detector_knows_of_them(stored):
    """They say nothing of labels: `combined` and the opening queue are what they were."""
    before = dict(detectors.available(stored))
    assert faults.STORED.name not in before and detectors.names(stored) == []
    assert combined.source_digests(stored, "combined") == {}


def test_they_are_of_the_data_set_whichever_model_looks(stored):
    assert faults.load(stored.with_model("head-moco")).counts() == SOME.counts()


@pytest.mark.parametrize(
    ("kinds", "arrays"),
    [
        ([], {}),
        (["dark", "dark", "blurry"], {}),
        (["dark", "blurry", "ugly"], {}),
        (["dark", "blurry"], {}),
        (KINDS, {"scores": np.full((60, 3), np.nan, np.float32)}),
        (KINDS, {"scores": np.zeros((60, 3), "U3")}),
        (KINDS, {"found": np.zeros((59, 3), bool)}),
    ],
)
def test_what_cannot_be_is_refused(ws, kinds, arrays):
    content = {"scores": SOME.scores, "found": SOME.found, **arrays}
    faults.STORED.save(ws, content, {"kinds": list(kinds)})
    with pytest.raises(UserError):
        faults.load(Workspace.open(ws.path))
