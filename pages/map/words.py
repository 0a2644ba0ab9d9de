"""What the map says of itself, and its points as a table."""

import csv
import io

import numpy as np

from attribution import Workspace
from attribution.projection import Projection
from pages.map import chart
from pages.ui import format as write


def made(ws: Workspace, found: Projection) -> str:
    """What near and far mean, how far neighbours are kept, what is drawn, and how it was made."""
    about, text = found.about, "Principal components of the features, scaled to length 1: far apart is unlike, as far "
    if about["method"] == "tsne":
        text = (
            "t-SNE of the features, scaled to length 1: near is alike; how far groups lie apart, their sizes and "
            "the axes mean nothing."
        )
    else:
        text += "as two of many dimensions show."
    trust = about.get("trustworthiness")
    if trust:
        text += (
            f" Trustworthiness {trust['mean']:.3f} (1 where neighbours on the map are neighbours in the features)"
            + (
                f", of the first two principal components {about['trustworthiness_pca']['mean']:.3f}"
                if about["method"] == "tsne"
                else ""
            )
            + f": {about['neighbours']} neighbours, {about['draws']} random samples of "
            f"{write.count(about['sample'])} training images."
        )
    if not chart.by_class(ws):
        text += f" {write.count(len(ws.classes))} classes are too many for colours: one is highlighted."
    for split, n, what in (("train", ws.n_train, "training"), ("val", ws.n_val, "validation")):
        if n > chart.DRAWN[split]:
            text += (
                f" Drawn are {write.count(chart.DRAWN[split])} of {write.count(n)} {what} images, at random; a "
                "lasso takes all that lie in it."
            )
    planted = f" Labels are as given, with {ws.planted} planted errors." if ws.planted else ""
    return f"{text}{planted} Made {about.get('made', '')} by {about.get('command', '')}."


def to_csv(ws: Workspace, found: Projection) -> str:
    """A row an image, of both splits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["features", "method", "split", "image", "label", "x", "y"])
    for split, places, labels in (("train", found.train, ws.train_labels), ("val", found.val, ws.val_labels)):
        for image, ((x, y), label) in enumerate(zip(np.asarray(places, float).tolist(), labels.tolist())):
            writer.writerow(
                [found.features, found.about["method"], split, image, ws.classes[label], round(x, 4), round(y, 4)]
            )
    return out.getvalue()
