"""torchvision's ResNet-18 for images of 224 pixels; not measured here."""

from attribution.training.recipes import Recipe, check_side


def network(shape, classes):
    """The published network (arXiv 1512.03385); for grey images with a first layer of one channel."""
    from torch import nn
    from torchvision.models import resnet18

    check_side("resnet18", shape, 64)
    model = resnet18(num_classes=classes)
    if shape[0] != 3:
        model.conv1 = nn.Conv2d(shape[0], 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    return model


RECIPE = Recipe(
    name="resnet18",
    network=network,
    epochs=16,
    batch_size=256,
    learning_rate=0.4,
    momentum=0.9,
    weight_decay=5e-5,
    label_smoothing=0.1,
    peak=0.2,
    average=0,
    translate=16,
)
