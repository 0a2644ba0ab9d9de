"""All recipes that can be asked for on this machine: built in, and the user's own."""

from attribution.errors import UserError
from attribution.training import own, recipes
from attribution.training.own import OwnRecipe
from attribution.training.recipes import Recipe

AnyRecipe = Recipe | OwnRecipe


def names() -> list[str]:
    """The names of all recipes: built in, and those that a person added on this machine."""
    return [*recipes.NAMES, *own.names()]


def get_recipe(name: str, recipe_hash: str | None = None) -> AnyRecipe:
    """The recipe `name`, of the user's own as its files are now, or as they were under `recipe_hash`. Raises UserError
    naming the known ones.

    >>> get_recipe("demo-cnn").hash
    'c5aeb1565251'
    """
    if name in recipes.NAMES:
        return recipes.get_recipe(name)
    if recipe_hash:
        return own.at(name, recipe_hash)
    if (found := own.get(name)) is None:
        raise UserError(f"no recipe {name!r}; there is {', '.join(names())}")
    return found
