"""Unrolled: how a target's margin after training changes with the weight of each training image in the loss, by going
back through the last epochs of a training (after Maclaurin et al., arXiv 1502.03492, and SOURCE, Bae et al., arXiv
2405.12186).

`trajectory` keeps a training's steps, `own` those of a user's recipe, `training` says what is asked of either;
`gradients` has derivatives of logits image by image, `final` the derivative of margins by the trained weights, and
`reverse` goes back. `exact` does it for one target, and `on_demand` is the ranking of what was computed so, target by
target. Neither this nor `on_demand` imports torch.
"""

from attribution.training.own import OwnRecipe
from attribution.training.recipes import Recipe

FIRST_SEED = 300  # of the trainings: none is a base model's or a retraining's
MAX_KEPT_BYTES = 4 << 30  # of weights that are kept on disk
STATE = 6  # vectors as long as the weights that a target takes: its derivatives, and what is computed from them
EPOCHS, WINDOWS = 3, 3  # the last epochs gone back through, and the windows of each; see docs/protocol.md


def recipe_problem(recipe) -> str:
    """Why a recipe's trainings cannot be gone back through, a sentence without a full stop; "" where they can."""
    if isinstance(recipe, Recipe) or recipe.kind == "predictions only":
        return recipe.problem
    if isinstance(recipe, OwnRecipe):
        return recipe.not_unrolled
    return (
        "unrolled goes back through the steps of stochastic gradient descent with momentum, and "
        f"{recipe.name} is refitted without steps"
    )


def kept_too_large(name: str, size: int, steps: int, kept: int, limit: int) -> str:
    """The sentence about a network of `size` weights, of which so many steps take more bytes than the limit."""
    return (
        f"the network of {name} has {size:,} weights, and those of {steps:,} steps take {kept / 2**30:.1f} GiB, more "
        f"than {limit >> 30} GiB; give fewer --epochs, or choose a smaller network with --recipe"
    )
