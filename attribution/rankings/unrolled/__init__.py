"""Unrolled: how a target's margin after training changes with the weight of each training image in the loss, by going
back through the last epochs of a training (after Maclaurin et al., arXiv 1502.03492, and SOURCE, Bae et al., arXiv
2405.12186).

`trajectory` keeps a training's steps, `own` those of a user's recipe, `training` says what is asked of either;
`gradients` has derivatives of logits image by image, `final` the derivative of margins by the trained weights, and
`reverse` goes back.
"""

MAX_KEPT_BYTES = 4 << 30  # of weights that are kept on disk
STATE = 6  # vectors as long as the weights that a target takes: its derivatives, and what is computed from them


def kept_too_large(name: str, size: int, steps: int, kept: int, limit: int) -> str:
    """The sentence about a network of `size` weights, of which so many steps take more bytes than the limit."""
    return (
        f"the network of {name} has {size:,} weights, and those of {steps:,} steps take {kept / 2**30:.1f} GiB, more "
        f"than {limit >> 30} GiB; give fewer --epochs, or choose a smaller network with --recipe"
    )
