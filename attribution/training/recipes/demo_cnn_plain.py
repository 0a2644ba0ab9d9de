"""demo-cnn without augmentation, in training or at test time: another learning algorithm on the same network."""

from dataclasses import replace

from attribution.training.recipes import demo_cnn

RECIPE = replace(demo_cnn.RECIPE, name="demo-cnn-plain", flip="none", test="none")
