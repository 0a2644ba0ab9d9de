"""What scripts rely on: the `--json` output of these commands on the demo keeps its keys and its figures.

Keys may be added. Where a change is meant, make the files anew with `python -m tests.unit.cli.test_json_outputs` and
say so in CHANGELOG.md.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent / "json_outputs"
COMMANDS = {
    "info": "info",
    "rank_trak": "rank --target 44 --ranking trak-10 --top 10",
    "rank_esvm": "rank --target 44 --ranking esvm-moco --top 10",
    "supports": "evaluate supports",
    "mislabels": "evaluate mislabels",
    "inspection": "evaluate inspection --model head-moco --draws 2",
    "jobs": "jobs list",
    "detectors": "detectors list",
    "reach": "reach --image 1797",
    "loo": "evaluate loo --model head-moco --images 30 --rankings influence-moco,l2-moco,trak-10",
    "subclass": "evaluate subclass --merge Shirt+T-shirt,Coat+Pullover --rankings influence-moco,l2-moco --targets 60",
    "removal": "evaluate removal --model head-moco --rankings influence-moco,trak-10 --targets 10 --draws 2",
    "group": "group wrong:Shirt --ranking influence-moco --k 40 --model head-moco --draws 2 --top 5",
}
#: What depends on the machine or the checkout, not on the code.
PRIVATE = {"path", "workspace"}


def differences(expected, actual, where="") -> list[str]:
    """Where `actual` lacks a key of `expected` or differs from it; floats are compared to 4 digits."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        rows = [f"{where}.{key} is missing" for key in expected if key not in actual]
        for key in expected.keys() & actual.keys() - PRIVATE:
            rows += differences(expected[key], actual[key], f"{where}.{key}")
        return rows
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [row for at, pair in enumerate(zip(expected, actual)) for row in differences(*pair, f"{where}[{at}]")]
    if isinstance(expected, float) or isinstance(actual, float):
        return [] if actual == pytest.approx(expected, rel=1e-4, abs=1e-6) else [f"{where}: {expected} -> {actual}"]
    return [] if expected == actual else [f"{where}: {expected} -> {actual}"]


@pytest.mark.parametrize("name", COMMANDS)
def test_json_output_keeps_its_keys_and_figures(name, run, tmp_path):
    done = run(*shlex.split(COMMANDS[name]), "--json", LINEUP_DATA=str(tmp_path))
    assert done.code == 0, done.err
    assert not differences(json.loads((FOLDER / f"{name}.json").read_text()), json.loads(done.out))


def test_a_lost_key_and_a_changed_figure_are_seen():
    assert differences({"a": {"b": 1}}, {"a": {}}) == [".a.b is missing"]
    assert differences([{"a": 1.0}], [{"a": 1.1}]) == ["[0].a: 1.0 -> 1.1"]
    assert not differences({"a": 1}, {"a": 1, "new": 2})


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        for file, command in COMMANDS.items():
            arguments = [sys.executable, "-m", "attribution", *shlex.split(command), "--json"]
            made = subprocess.run(arguments, check=True, capture_output=True, env={**os.environ, "LINEUP_DATA": data})
            (FOLDER / f"{file}.json").write_bytes(made.stdout)
