"""workspace.json: whatever stands in it, a workspace opens and works, or is refused with one sentence.

The manifests of the tiny workspace and of the demo are changed LINEUP_FUZZ x 3 times (here 36), the same way in
every run, and what opens is used: no other error, nothing made outside the data folder.
"""

import copy
import json
import os
import random
import shlex
import shutil

import pytest

from attribution import UserError, Workspace
from attribution.files import ROOT
from attribution.workspace import manifest
from tests import tiny

TIMES = 3 * int(os.environ.get("LINEUP_FUZZ", 12))
DEMO = ROOT / "assets" / "demo"
STRANGE = (
    None, True, 0, 60.0, -1, 1, 3, 2**31, 10**30, 1.5, 1e308, float("nan"), "", "x", "../x", "/etc", "a\0b", "=1+1",
    "\ud800", "0" * 64, "é" * 5000, [], [None], [[]], {}, {"x": None}, {"a": {"b": []}}, [0] * 300,
)  # fmt: skip
COMMANDS = (
    "info",
    "info --json",
    "rank --target 0 --ranking trak-10",
    "jobs list",
    "detectors list",
    "reach --image 3",
)


def places(content, at=()):
    """The paths to all values of a JSON document."""
    yield at
    if isinstance(content, (dict, list)):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from places(value, (*at, key))


def mutated(content: dict, draw: random.Random) -> dict:
    """A copy with one to three values replaced, taken out, doubled, or put elsewhere."""
    content = copy.deepcopy(content)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        known = list(places(content))
        *path, last = draw.choice([one for one in known if one] or [("x",)])
        parent = content
        for key in path:
            parent = parent[key]
        kind = draw.randrange(5)
        if kind == 0 and (isinstance(parent, dict) or len(parent) > 1):
            del parent[last]
        elif kind == 1 and isinstance(parent, dict):
            parent[draw.choice(["x", "../x", "", "rankings/../x", "files", "\0", "features/pixels"])] = copy.deepcopy(
                parent[last]
            )
        elif kind == 2:
            other = content
            for key in draw.choice(known):
                other = other[key]
            parent[last] = copy.deepcopy(other)
        else:
            parent[last] = copy.deepcopy(draw.choice(STRANGE))
    return content


@pytest.fixture(params=["tiny", "demo"])
def folder(request, tmp_path):
    """A workspace whose manifest may be changed."""
    folder = tmp_path / "above" / "w"
    if request.param == "tiny":
        return tiny.write(folder).path
    return shutil.copytree(DEMO, folder)


def test_whatever_stands_in_it(folder, run, tmp_path):
    original = json.loads((folder / "workspace.json").read_text())
    before = sorted(folder.rglob("*"))
    counts = {"refused": 0, "used": 0}
    for number in range(TIMES):
        draw = random.Random(f"{folder.name} {number}")
        content = mutated(original, draw)
        (folder / "workspace.json").write_text(json.dumps(content))
        command = draw.choice(COMMANDS)
        try:
            done = run(*shlex.split(command), "--workspace", folder, LINEUP_DATA=tmp_path / "d" / "data")
        except BaseException as error:
            error.add_note(f"number {number}, {command}")
            raise
        assert done.code in (0, 2), (number, command, done)
        assert done.code == 0 or len(done.err.strip().splitlines()) == 1 or "Usage" in done.err, (number, done.err)
        counts["used" if done.code == 0 else "refused"] += 1
        made = {path.name for path in (*(tmp_path / "d").glob("*"), *folder.parent.iterdir())}
        assert made <= {"data", "w"}, (number, made)
    assert sorted(folder.rglob("*")) == before
    assert counts["refused"] > counts["used"] * 0.2 and counts["used"], counts
    print(f"{counts['used']} used, {counts['refused']} refused")


@pytest.mark.parametrize("value", ["../x", "/etc", "0" * 63, "G" * 64, "A" * 64, "0" * 64 + "\n", 0, None, ["0" * 64]])
def test_a_fingerprint_is_64_hex_digits(ws, value):
    content = json.loads((ws.path / "workspace.json").read_text())
    content["dataset"]["fingerprint"] = value
    (ws.path / "workspace.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="dataset / fingerprint: .* copy the workspace again"):
        Workspace.open(ws.path)


def test_user_parts_are_checked_as_well(tmp_path):
    file = tmp_path / "parts.json"
    assert manifest.read_user_parts(file) == {}
    for text in ('{"rankings/a": 3}', "[]", "{", '{"rankings/../a": {}}', '{"rankings/a": {"signed": "yes"}}'):
        file.write_text(text)
        with pytest.raises(UserError, match="remove it|take the workspace from where it was made"):
            manifest.read_user_parts(file)
