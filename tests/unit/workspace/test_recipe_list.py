"""What is known of each recipe, and of the versions of one that was edited."""

import numpy as np

from attribution.training import own
from attribution.training.edits import no_edit
from attribution.workspace.recipe_list import describe_recipes, older_results

TEXT = "class A:\n    name, version = 'a', 1\n    def setup(self, *a): ...\n    fit = logits = setup\n"


def test_recipes_and_what_they_left(ws, store, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(TEXT)
    before = own.add(f"{file}:A")
    result = {"predicted": np.zeros(ws.n_val, np.uint8), "margins": np.zeros(ws.n_val), "seconds": 2.0}
    store.put(before.hash, no_edit(), 0, **result, device="cpu", library="numpy", threads=1)
    rows = {row["recipe"]: row for row in describe_recipes(ws, store)}
    assert rows["a"]["results"] == 1 and rows["a"]["place"] == f"{file}:A" and rows["a"]["note"] == ""
    assert rows["head-moco"]["kind"] == "head" and rows["head-moco"]["accuracy"] is None
    assert rows["demo-cnn"]["results"] == 0
    ws.head("moco")
    file.write_text(TEXT.replace("1\n", "2\n"))
    rows = {row["recipe"]: row for row in describe_recipes(ws, store)}
    assert rows["head-moco"]["accuracy"] > 0.8
    assert rows["a"]["results"] == 0
    assert rows["a"]["note"].startswith("recipe changed; 1 results belong to the version of 20")
    assert older_results("demo-cnn", "x", {}) == ""
    file.write_text("class A(")
    assert "SyntaxError" in {row["recipe"]: row for row in describe_recipes(ws, store)}["a"]["note"]
