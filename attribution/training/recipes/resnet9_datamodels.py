"""ResNet-9 as Datamodels (arXiv 2202.00622) trained it: cutout 4, flip at test time; not measured here."""

from dataclasses import replace

from attribution.training.recipes import resnet9

RECIPE = replace(resnet9.RECIPE, name="resnet9-datamodels", cutout=4, test="flip")
