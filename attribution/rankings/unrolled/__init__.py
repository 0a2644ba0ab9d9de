"""Unrolled: how a target's margin after training changes with the weight of each training image in the loss, by going
back through the last epochs of a training (after Maclaurin et al., arXiv 1502.03492, and SOURCE, Bae et al., arXiv
2405.12186).

`trajectory` keeps a training's steps, `gradients` has derivatives of logits image by image, `final` the derivative of
margins by the trained weights, and `reverse` goes back. `exact` does it for one target, and `on_demand` is the ranking
of what was computed so, target by target. Neither this nor `on_demand` imports torch.
"""

from attribution.training.recipes import Recipe

FIRST_SEED = 300  # of the trainings: none is a base model's or a retraining's
MAX_KEPT_BYTES = 4 << 30  # of weights that are kept on disk
EPOCHS, WINDOWS = 3, 3  # the last epochs gone back through, and the windows of each; see docs/protocol.md


def recipe_problem(recipe) -> str:
    """Why a recipe's trainings cannot be gone back through, a sentence without a full stop; "" where they can."""
    if isinstance(recipe, Recipe) or recipe.kind == "predictions only":
        return recipe.problem
    what = "refitted without steps" if recipe.kind == "head" else "your own, whose steps Lineup does not know"
    return (
        f"unrolled goes back through the steps of stochastic gradient descent with momentum, as built-in recipes take "
        f"them, and {recipe.name} is {what}"
    )
