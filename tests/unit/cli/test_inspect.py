"""Unrolled of one target from the command line: computed for real, known then, and refused in a sentence."""

import pytest

pytestmark = pytest.mark.usefixtures("home")

LINE = ("rank", "--target", 4, "--ranking", "unrolled-exact")


def test_a_target_is_computed_when_asked_and_known_then(run, answer):
    """Real: two trainings of 60 images."""
    code, _, err = run(*LINE)
    assert (
        code == 2 and "not yet for target 4; `rank --target 4 --ranking unrolled-exact --models 1` computes it" in err
    )
    code, out, err = run(*LINE, "--models", 2)
    assert code == 0 and "target 4: unrolled-exact by 2 models: about" in err
    assert "2 models; of the first 20 images two of them share" in out
    found = answer(*LINE, "--top", 5)
    assert found["models"] == 2 and 0 <= found["shared"] <= 20 and len(found["train"]) == 5
    assert [cost["seed"] for cost in found["costs"]] == [300, 301] and found["costs"][0]["processor_seconds"] > 0
    assert "about" not in run(*LINE, "--models", 2).err  # nothing is left to compute


def test_models_are_for_what_is_computed_target_by_target(run):
    code, _, err = run("rank", "--target", 4, "--ranking", "trak-10", "--models", 1)
    assert code == 2 and "--models is for unrolled-exact" in err
    code, _, err = run(*LINE, "--models", 1, "--model", "head-moco")
    assert code == 2 and "it is the row influence-moco" in err
    assert run(*LINE, "--models", 21).code == 2
