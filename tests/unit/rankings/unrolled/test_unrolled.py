"""Which recipes' trainings can be gone back through."""

from types import SimpleNamespace

from attribution.rankings.unrolled import recipe_problem
from attribution.training import recipes


def test_built_in_recipes_descend_with_momentum():
    assert recipe_problem(recipes.get_recipe("demo-cnn")) == ""


def test_what_takes_no_known_steps_says_so():
    head = recipe_problem(SimpleNamespace(kind="head", name="head-moco"))
    assert head.endswith("head-moco is refitted without steps")
    own = recipe_problem(SimpleNamespace(kind="own", name="mine"))
    assert own.endswith("mine is your own, whose steps Lineup does not know")
    absent = SimpleNamespace(kind="predictions only", name="theirs", problem="its code is not here")
    assert recipe_problem(absent) == "its code is not here"
