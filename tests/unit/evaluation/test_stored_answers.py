"""What the demo stores of each evaluation: loading and saving it again gives the same files and manifest."""

import json

import numpy as np
import pytest

from attribution.evaluation import (
    agreement,
    backdoor,
    calibration,
    candidate_sets,
    cost,
    lds_report,
    lds_vs_compute,
    lds_vs_support,
    model_diff,
    sanity_checks,
)
from attribution.workspace.workspace import DEMO, Workspace

JSON_FILES = {
    candidate_sets: "conditioning/conditioning.json",
    cost: "cost/cost.json",
    lds_vs_compute: "compute/compute.json",
    sanity_checks: "sanity/sanity.json",
}
ARRAYS = {
    agreement: ("agreement", {"targets", "values", "same"}),
    calibration: ("calibration", {"target", "k", "source", "seeds", "paired", "measured", "predicted"}),
    lds_vs_support: ("lds_supports", {"targets", "values"}),
    model_diff: ("algorithms", {"ids", "scores", "change", "noise"}),
}
#: keys of a part's provenance that the command or `Workspace.record` adds
ADDED_KEYS = {"command", "made", "device", "digest", "files"}


@pytest.fixture(scope="module")
def demo():
    return Workspace.open(DEMO)


def short_name(module) -> str:
    return module.__name__.rpartition(".")[2]


def saved_again(module, ws) -> list:
    """What `save` hands to its recorder of what `load` returns."""
    recorded = []
    module.save(ws, module.load(ws), {}, lambda *args: recorded.extend(args))
    return recorded


def without_added(ws, part: str, saved: dict) -> dict:
    """The manifest's entry of a part without what `save` does not know; versions of libraries where it gives none."""
    entry = ws.manifest["parts"][part]
    return {key: value for key, value in entry.items() if key not in ADDED_KEYS and (key != "versions" or key in saved)}


@pytest.mark.parametrize("module", JSON_FILES, ids=short_name)
def test_json_is_loaded_and_saved_as_it_stands(demo, module):
    file = JSON_FILES[module]
    stored = json.loads((demo.path / file).read_text())
    added = {"made": demo.manifest["parts"]["cost"]["made"]} if module is cost else {}
    assert module.load(demo) == {**stored, **added}
    part, name, answer, provenance = saved_again(module, demo)
    assert (f"{part}/{name}", answer) == (file, {**stored, **added})
    entry = without_added(demo, part, provenance)
    if module is candidate_sets:
        assert entry.pop("rankings") == list(answer["rankings"])  # given by the command
    assert provenance == entry


@pytest.mark.parametrize("module", ARRAYS, ids=short_name)
def test_arrays_are_loaded_and_saved_as_they_stand(demo, module):
    part, arrays, provenance = saved_again(module, demo)
    assert (part, set(arrays)) == ARRAYS[module]
    assert {f"{part}/{name}.npy" for name in arrays} == set(demo.manifest["parts"][part]["files"])
    for name, array in arrays.items():
        stored = np.load(demo.path / part / f"{name}.npy")
        assert array.dtype == stored.dtype
        np.testing.assert_array_equal(array, stored)
    assert provenance == without_added(demo, part, provenance)


def test_answers_that_are_no_part_of_their_own(demo):
    assert lds_report.load(demo) == json.loads((demo.path / "lds" / "lds.json").read_text())
    bundled = json.loads((DEMO.parent / "results" / "demo" / "backdoor.json").read_text())
    assert backdoor.load(demo) == bundled
    assert backdoor.STORED.name == "backdoor" and lds_report.STORED.name == "lds"
