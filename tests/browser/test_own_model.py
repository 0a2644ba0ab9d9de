"""A model of one's own in the browser: training code is named, checked, trained, asked; a head answers at the cut."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import expect

from attribution.workspace.create import create
from tests.browser import serving

TRAINED = 180_000  # ms: a first training starts a runner and a worker
RECIPE = '''"""Softmax regression on pixels: only what docs/own_model.md names."""

import time
from pathlib import Path

import numpy as np

SLOW = Path("<slow>")


class Mine:
    name, version, threads = "mine", 1, 1

    def setup(self, data, device):
        self.classes = len(data.classes)
        self.pixels = {split: np.asarray(data.images(split)) / 255 for split in ("train", "val")}
        self.pixels = {split: images.reshape(len(images), -1) for split, images in self.pixels.items()}
        assert len(data.paths("train")) == len(self.pixels["train"])

    def fit(self, keep, labels, seed, report):
        x, y = self.pixels["train"][keep], labels[keep]
        weights = np.random.default_rng(seed).normal(0, 0.01, (x.shape[1], self.classes))
        for step in range(30):
            while SLOW.exists():  # a training that takes as long as the test wants
                time.sleep(0.1)
            powers = np.exp(x @ weights)
            error = powers / powers.sum(1, keepdims=True) - np.eye(self.classes)[y]
            weights -= 0.1 * x.T @ error / len(y)
            report(step + 1, 30)
        return weights

    def logits(self, model, split, ids):
        return self.pixels[split][ids] @ model
'''


@pytest.fixture(autouse=True)
def patience():
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def folder(tmp_path):
    """A server of an image folder: stripes that lie and stripes that stand; and the file with the recipe."""
    draw = np.random.default_rng(0)
    for split, n in (("train", 30), ("val", 8)):
        for name in ("lying", "standing"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(n):
                pixels = draw.integers(0, 80, (12, 12, 3))
                pixels[::3] += 150
                pixels = pixels if name == "lying" else pixels.transpose(1, 0, 2)
                file = tmp_path / "images" / split / name / f"{number:02}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(file)
    (tmp_path / "train.py").write_text(RECIPE.replace("<slow>", str(tmp_path / "slow")))
    create(tmp_path / "made", "image-folder", tmp_path / "images")
    with serving.server(tmp_path / "data", tmp_path / "made") as running:
        yield running


def command(running, *words) -> str:
    """What a command prints that is about the server's workspace and data."""
    done = subprocess.run(
        [sys.executable, "-m", "attribution", *words, "--workspace", str(running.data.parent / "made")],
        env={**os.environ, "LINEUP_DATA": str(running.data)},
        cwd=serving.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def workers(running) -> list[psutil.Process]:
    """The processes that run a user's recipe for this server's data."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("LINEUP_DATA") == str(running.data)
            if mine and "attribution.runner.executors.worker" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(condition, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.2)
    return value


def add_recipe(page, place: str):
    """Names training code in Data & jobs; the button belongs to the place that the command beside it shows."""
    box = page.get_by_label("Your training code")
    box.fill(place)
    box.press("Enter")
    expect(page.get_by_test_id("stCode").filter(has_text=f"recipe check {place}")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Add this recipe").click()


def visible(page, text, **more):
    return expect(page.get_by_text(text).first).to_be_visible(**more)


def test_training_code_is_named_checked_trained_and_asked(page, folder, tmp_path):
    serving.open_page(page, f"{folder.url}/data?part=models")
    add_recipe(page, f"{tmp_path / 'train.py'}:Nothing")
    visible(page, re.compile("has no class Nothing; it has Mine"))
    add_recipe(page, f"{tmp_path / 'train.py'}:Mine")
    page.get_by_role("button", name="Check it").click()
    jobs = serving.open_page(page.context.new_page(), f"{folder.url}/data?part=jobs")
    visible(jobs, "Check the recipe mine", timeout=TRAINED)
    page.get_by_role("button", name="Train its base models").click()
    visible(jobs, re.compile("10 base models of made"), timeout=TRAINED)
    jobs.close()

    # It is a model now, which the pages speak about.
    serving.open_page(page, f"{folder.url}/?model=mine")
    visible(page, re.compile(r"models predict"))
    page.get_by_role("button", name=re.compile("Remove top .* and retrain")).click()
    verdict = page.locator(".st-key-drawer .lu-verdict")
    expect(verdict).to_contain_text(re.compile(r"\d of 5 (still )?predict"), timeout=TRAINED)

    # Edited, it is another recipe, and the page says what the old one left.
    file = tmp_path / "train.py"
    file.write_text(file.read_text().replace("range(30)", "range(20)"))
    serving.open_page(page, f"{folder.url}/workspace?part=models")  # as old links have it
    visible(page, re.compile("recipe changed; .* results belong to the version of"))


def test_training_code_is_cancelled_killed_and_studied(page, folder, tmp_path):
    slow = tmp_path / "slow"
    command(folder, "base", "train", "--models", "3", "--recipe", f"{tmp_path / 'train.py'}:Mine")
    address = f"{folder.url}/brittleness?model=mine&target=3&ranking=random&k=5"

    # Cancelled while it trains: the processes of the recipe end within 5 s.
    slow.touch()
    serving.open_page(page, address)
    page.locator(".st-key-run button").click()
    until(lambda: workers(folder), 120)
    visible(page, re.compile("Running for"))
    page.locator(".st-key-cancel").get_by_role("button").click()
    asked = time.monotonic()
    until(lambda: not workers(folder), 30)
    assert time.monotonic() - asked < 5
    visible(page, re.compile(r"Job \d+ was cancelled"))

    # Asked again, and its process killed: it is trained anew, and the verdict comes.
    serving.open_page(page, address)
    page.locator(".st-key-run button").click()
    until(lambda: workers(folder), 120)[0].kill()
    slow.unlink()
    visible(page, re.compile(r"Job \d+: done in"), timeout=TRAINED)
    edit = ["--target", "3", "--ranking", "random", "--remove-top", "5", "--model", "mine", "--json"]
    assert json.loads(command(folder, "retrain", *edit))["complete"]

    # A study of it, asked for on the command line, and the same one in the page.
    asked = ["--targets", "2", "--rankings", "random", "--kinds", "remove", "--model", "mine"]
    found = json.loads(command(folder, "study", *asked, "--json"))
    assert found
    serving.open_page(page, f"{folder.url}/brittleness?view=studies&model=mine")
    visible(page, re.compile("recipe mine"))
    visible(page, re.compile("2 of 2 searches answered"))


def test_a_head_answers_while_the_cut_is_moved(page, server):
    serving.open_page(page, f"{server.url}/?model=head-moco&target=5&k=4")
    said = page.locator(".live").first
    expect(said).to_contain_text("without 4:", timeout=TRAINED)
    expect(page.locator(".curve svg").first).to_be_visible(timeout=TRAINED)
    page.locator("[data-part=cut]").focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("without 5:")
    rows = page.locator(".live")
    expect(rows).to_have_count(page.locator(".curve").count())
    serving.open_page(page, f"{server.url}/?target=5&k=4")  # a model that is no head has none
    expect(page.locator("[data-part=cut]")).to_be_visible()
    expect(page.locator(".live")).to_have_count(0)
