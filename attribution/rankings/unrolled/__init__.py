"""Unrolled: how a target's margin after training changes with the weight of each training image in the loss, by going
back through the last epochs of a training (after Maclaurin et al., arXiv 1502.03492, and SOURCE, Bae et al., arXiv
2405.12186).

`trajectory` keeps a training's steps, `gradients` has derivatives of logits image by image, `final` the derivative of
margins by the trained weights, and `reverse` goes back.
"""
