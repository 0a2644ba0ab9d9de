"""ResNet-9 as Singla et al. (arXiv 2311.03386) trained it: cutout 8, no flip at test time; not measured here."""

from attribution.training.recipes import Recipe, check_side


def network(shape, classes):
    """2,274,880 parameters for three channels and ten classes. The final maximum is amax, whose gradient is repeatable
    on CUDA, where adaptive max-pooling's is not."""
    from torch import nn

    check_side("resnet9", shape, 11)

    class Residual(nn.Sequential):
        def forward(self, images):
            return images + super().forward(images)

    class Head(nn.Module):
        """The largest value of each channel to logits, x 0.2."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(128, classes, bias=False)

        def forward(self, images):
            return 0.2 * self.linear(images.amax((2, 3)))

    def conv(inputs, outputs, kernel=3, stride=1, padding=1):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )

    return nn.Sequential(
        conv(shape[0], 64),
        conv(64, 128, kernel=5, stride=2, padding=2),
        Residual(conv(128, 128), conv(128, 128)),
        conv(128, 256),
        nn.MaxPool2d(2),
        Residual(conv(256, 256), conv(256, 256)),
        conv(256, 128, padding=0),
        Head(),
    )


RECIPE = Recipe(
    name="resnet9",
    network=network,
    epochs=24,
    batch_size=512,
    learning_rate=0.5,
    momentum=0.9,
    weight_decay=5e-4,
    label_smoothing=0.1,
    peak=5 / 24,
    average=0,
    nesterov=False,
    translate=2,
    cutout=8,
    test="none",
)
