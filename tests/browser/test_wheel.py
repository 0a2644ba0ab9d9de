"""A wheel in an environment of its own, outside the checkout and without torch: what `pip install` gives a person."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from tests.browser import serving

MAX_BYTES = 60 * 10**6


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel's file, and the folder with the programs of an environment that holds it and what it asks for."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=serving.ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / "bin"
    done = subprocess.run(
        [programs / "python", "-m", "pip", "install", "--disable-pip-version-check", "--quiet", str(wheel)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(wheel=wheel, programs=programs, data=folder / "data", folder=folder)


def lineup(installed, *words) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LINEUP_WORKSPACE")}
    return subprocess.run(
        [installed.programs / "lineup", *words],
        cwd=installed.folder,
        env={**environment, "LINEUP_DATA": str(installed.data)},
        capture_output=True,
        text=True,
    )


def test_a_wheel_has_one_package_and_all_that_a_page_needs(installed):
    assert installed.wheel.stat().st_size < MAX_BYTES
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"attribution"}
    inside = {name.removeprefix("attribution/app/") for name in names}
    listed = subprocess.run(["git", "ls-files"], cwd=serving.ROOT, capture_output=True, text=True, check=True).stdout
    needed = [
        name for name in listed.splitlines() if name.startswith(("pages/", "assets/demo/", ".streamlit/", "app.py"))
    ]
    assert set(needed) <= inside


def test_commands_work_and_what_trains_a_network_says_how_to_have_torch(installed):
    info = json.loads(lineup(installed, "info", "--json").stdout)
    assert info["dataset"]["n_train"] == 5000
    assert subprocess.run([installed.programs / "python", "-c", "import torch"], capture_output=True).returncode == 1
    edit = ["retrain", "--target", "5", "--remove-top", "3"]
    head = lineup(installed, *edit, "--ranking", "influence-moco", "--model", "head-moco", "--json")
    assert json.loads(head.stdout)["complete"], head.stderr
    network = lineup(installed, *edit, "--ranking", "trak-10")
    assert network.returncode == 2 and installed.wheel.name in network.stderr
    assert "this needs torch; install it with: python -m pip install" in network.stderr


def test_it_serves_its_first_picture(installed, page):
    with serving.server(installed.data, python=installed.programs / "python") as running:
        serving.open_page(page, f"{running.url}/?target=5&k=4")
        expect(page.locator("[data-part=cut]")).to_be_visible(timeout=60_000)
