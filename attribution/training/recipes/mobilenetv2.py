"""torchvision's MobileNetV2 at CIFAR's size: three halvings of the image in place of five; not measured here."""

from attribution.training.recipes import Recipe

#: expansion, channels, blocks and stride of each stage, as published (arXiv 1801.04381), but the first 2 is 1
STAGES = [[1, 16, 1, 1], [6, 24, 2, 1], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]


def network(shape, classes):
    """Depthwise convolutions and inverted residuals; no dropout, whose draws would not belong to the seed."""
    from torch import nn
    from torchvision.models import MobileNetV2

    model = MobileNetV2(num_classes=classes, inverted_residual_setting=STAGES, dropout=0)
    stem = model.features[0][0]
    model.features[0][0] = nn.Conv2d(shape[0], stem.out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(model.features[0][0].weight, mode="fan_out")
    return model


RECIPE = Recipe(
    name="mobilenetv2",
    network=network,
    epochs=30,
    batch_size=256,
    learning_rate=0.2,
    momentum=0.9,
    weight_decay=5e-4,
    label_smoothing=0.1,
    peak=0.2,
    average=0,
    translate=2,
)
