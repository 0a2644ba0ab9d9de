"""Data & jobs in the browser: scores of one's own are uploaded, judged and seen in Debug; a bad file leaves nothing."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from attribution import Workspace
from tests.browser import serving

IMPORTED = 120_000  # ms: a command starts, reads, checks and measures LDS


@pytest.fixture(autouse=True)
def patience():
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def demo(tmp_path):
    """A server of the demo for one test: what it imports is nobody else's."""
    with serving.server(tmp_path / "data") as running:
        yield running


def upload(page, file):
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    expect(page.get_by_role("heading", name="Required file details")).to_be_visible(timeout=30_000)


def choose(page, label: str, option: str):
    page.get_by_role("combobox", name=re.compile(label)).click()
    page.get_by_role("option", name=re.compile(option)).click()


def uploads_left(running) -> list:
    return [file for folder in running.data.rglob("uploads") for file in folder.rglob("*") if file.is_file()]


def test_own_scores_are_compared_with_the_bundled_ones(page, demo, tmp_path):
    scores = np.stack(list(Workspace.open().ranking("trak-10").all_scores()))
    np.save(tmp_path / "mine.npy", scores.astype(np.float32))
    page.set_viewport_size({"width": 1280, "height": 900})
    serving.open_page(page, f"{demo.url}/data?part=import")
    upload(page, tmp_path / "mine.npy")
    button = page.get_by_role("button", name="Import and compare")
    expect(button).to_be_disabled()
    expect(page.get_by_text("Choose what a positive score means.")).to_be_visible()
    expect(button).to_be_in_viewport()
    choose(page, "A positive score means", "^helpful")
    expect(button).to_be_enabled()
    button.click()
    done = page.locator(".st-key-import-done")
    expect(done).to_contain_text("Imported mine for 1,000 targets.", timeout=IMPORTED)
    expect(done).to_contain_text(re.compile(r"LDS 0\.\d\d \(95% interval 0\.\d\d to 0\.\d\d\)"))
    expect(done).to_contain_text(re.compile(r"For comparison: .*trak-10 0\.\d\d"))
    expect(done).to_be_in_viewport()
    assert not uploads_left(demo)
    page.get_by_role("link", name="Show it in Debug").click()
    expect(page).to_have_url(re.compile("rankings=mine"))
    expect(page.locator("[data-part=row]").first.or_(page.get_by_text("mine").first)).to_be_visible()
    expect(page.get_by_text("mine", exact=True).first).to_be_visible()


def test_a_bad_file_is_one_sentence_beside_the_button_and_leaves_nothing(page, demo, tmp_path):
    np.save(tmp_path / "other.npy", np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32))
    page.set_viewport_size({"width": 1280, "height": 900})
    serving.open_page(page, f"{demo.url}/data?part=import")
    upload(page, tmp_path / "other.npy")
    choose(page, "A positive score means", "^helpful")
    page.get_by_role("button", name="Import and compare").click()
    said = page.get_by_test_id("stAlert")
    expect(said).to_contain_text("Not imported: other.npy is 30 x 40, and", timeout=IMPORTED)
    expect(said).to_have_count(1)
    expect(said).to_be_in_viewport()
    assert "--" not in said.inner_text() and "/uploads/" not in said.inner_text()
    assert not uploads_left(demo) and not list(demo.data.rglob("parts.json"))

    # The same file again, with other answers: it need not be sent anew.
    choose(page, "The first axis is", "^training images")
    page.get_by_role("button", name="Import and compare").click()
    expect(said).to_have_count(0)
    expect(said).to_contain_text("Not imported: other.npy is 30 x 40", timeout=IMPORTED)
    assert not uploads_left(demo)
