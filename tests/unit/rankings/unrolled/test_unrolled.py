"""Which recipes' trainings can be gone back through."""

from dataclasses import replace
from types import SimpleNamespace

from attribution.rankings.unrolled import recipe_problem
from attribution.training import recipes
from attribution.training.own import OwnRecipe


def test_built_in_recipes_descend_with_momentum():
    assert recipe_problem(recipes.get_recipe("demo-cnn")) == ""


def test_what_takes_no_known_steps_says_so():
    head = recipe_problem(SimpleNamespace(kind="head", name="head-moco"))
    assert head.endswith("head-moco is refitted without steps")
    own = OwnRecipe("mine", "0" * 12, "file")
    assert recipe_problem(own) == "mine has no method trajectory, which yields its steps; see docs/own_model.md"
    assert recipe_problem(replace(own, optional=("module", "trajectory"))) == ""
    absent = SimpleNamespace(kind="predictions only", name="theirs", problem="its code is not here")
    assert recipe_problem(absent) == "its code is not here"
