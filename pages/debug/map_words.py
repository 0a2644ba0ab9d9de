"""What the map says of itself, and its points as a table."""

import numpy as np
import pandas as pd

from attribution import Workspace
from attribution.export.tables import to_csv as to_csv_file
from attribution.features.projection import Projection
from pages.debug import map_points
from pages.ui import format as write


def provenance_text(ws: Workspace, points: Projection) -> str:
    """What near and far mean, how far neighbours are kept, what is drawn, and how it was made."""
    provenance, tsne = points.provenance, points.provenance["method"] == "tsne"
    if tsne:
        text = (
            "t-SNE of the features, scaled to length 1: near is alike; how far groups lie apart, their sizes and "
            "the axes mean nothing."
        )
    else:
        text = (
            "Principal components of the features, scaled to length 1: far apart is unlike, as far as two of many "
            "dimensions show."
        )
    trust = provenance.get("trustworthiness")
    if trust:
        pca = provenance["trustworthiness_pca"]["mean"] if tsne else None
        beside = f", of the first two principal components {pca:.3f}" if tsne else ""
        text += (
            f" Trustworthiness {trust['mean']:.3f} (1 where neighbours on the map are neighbours in the features)"
            f"{beside}: "
            f"{provenance['neighbours']} neighbours, {provenance['draws']} random samples of "
            f"{write.count(provenance['sample'])} training images."
        )
    if not map_points.has_class_colours(ws):
        text += f" {write.count(len(ws.classes))} classes are too many for colours: one is highlighted."
    for split, n, what in (("train", ws.n_train, "training"), ("val", ws.n_val, "validation")):
        if n > map_points.MAX_POINTS[split]:
            text += (
                f" Drawn are {write.count(map_points.MAX_POINTS[split])} of {write.count(n)} {what} images, at "
                "random; a lasso takes all that lie in it."
            )
    made = f"Made {provenance.get('made', '')} by {provenance.get('command', '')}."
    return f"{text}{write.planted_note(ws.planted)} {made}"


def to_csv(ws: Workspace, points: Projection) -> str:
    """A row an image, of both splits."""
    tables = []
    for split, places, labels in (("train", points.train, ws.train_labels), ("val", points.val, ws.val_labels)):
        x, y = np.asarray(places, float).round(4).T
        label = np.array(ws.classes)[labels]
        provenance = {"features": points.features, "method": points.provenance["method"], "split": split}
        tables.append(pd.DataFrame(provenance | {"image": np.arange(len(labels)), "label": label, "x": x, "y": y}))
    return to_csv_file(pd.concat(tables)).decode()
