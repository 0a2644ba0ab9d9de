"""What training needs is installed beside the server: each step is told in a file, and a failure in one sentence."""

import json
import os
import subprocess
import sys

import pytest

from attribution.files import libraries
from attribution.files.libraries import INSTALL_VARIABLE, installing, missing
from attribution.install import Installation
from tests.conftest import ROOT


def install(tmp_path, requirement, *options):
    """Of what is there already, or nowhere: no network is asked."""
    (tmp_path / "needed.txt").write_text(f"{requirement}\n")
    return subprocess.run(
        [sys.executable, "-m", "attribution.install", tmp_path / "needed.txt", "--stamp", tmp_path / "stamp", *options],
        cwd=ROOT,
        env={**os.environ, INSTALL_VARIABLE: str(tmp_path / "told.json"), "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
    )


def test_it_ends_with_a_stamp(tmp_path, monkeypatch):
    done = install(tmp_path, "numpy")
    assert done.returncode == 0 and (tmp_path / "stamp").exists(), done.stderr
    monkeypatch.setenv(INSTALL_VARIABLE, str(tmp_path / "told.json"))
    assert installing().state == "done" and missing("numpy") == ""


@pytest.mark.parametrize("options", [(), ("--torch", "cpu")])
def test_what_cannot_be_installed_is_one_sentence(tmp_path, options, monkeypatch):
    done = install(tmp_path, "./not-there", *options)
    assert done.returncode == 1 and not (tmp_path / "stamp").exists()
    monkeypatch.setenv(INSTALL_VARIABLE, str(tmp_path / "told.json"))
    now = installing()
    assert now.state == "failed" and "could not be installed" in now.text and "make run" in now.text
    assert ("CPU build of torch cannot be reached" in done.stdout) == bool(options)


def test_its_steps_are_told_as_pip_prints_them(tmp_path):
    steps = Installation(tmp_path / "needed.txt", tmp_path / "told.json", tmp_path / "log")
    lines = [
        "  Downloading torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl (812.5 MB)",
        "Downloading https://example.org/x/nvidia_cudnn-9.1-py3-none-any.whl (1.2 GB)",
        "  Downloading six-1.16.0-py2.py3-none-any.whl (11 kB)",
        "Installing collected packages: a, b, c",
        "Collecting torch",
    ]
    assert [steps._step(line) for line in lines] == [
        "downloading torch (812 MB; 812 MB so far)",
        "downloading nvidia_cudnn (1,200 MB; 2,012 MB so far)",
        "",
        "unpacking 3 packages; this takes some minutes",
        "",
    ]


def test_what_is_being_installed_is_asked_for_later(tmp_path, monkeypatch):
    told = {"state": "running", "text": "downloading torch", "pid": os.getpid(), "started": 0}
    monkeypatch.setenv(INSTALL_VARIABLE, str(tmp_path / "told.json"))
    assert installing() is None, "nothing is told yet"
    (tmp_path / "told.json").write_text(json.dumps(told))
    assert "numpy, which is being installed (downloading torch); try again" in missing("numpy")
    assert missing("numpy", "cluster") == "", "of another extra"
    monkeypatch.setattr(libraries, "_runs", lambda pid: False)
    assert installing().state == "failed" and "interrupted" in installing().text and missing("numpy") == ""
    (tmp_path / "told.json").write_text("{")
    assert installing() is None
