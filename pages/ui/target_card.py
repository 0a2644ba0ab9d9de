"""Validation images as pages show them: many targets as a strip or a wall."""

from attribution import Workspace
from pages.ui.tile_strip import image_row, strip_data


def wall_data(ws: Workspace, ids, atlas: dict, target: int | None, wall: bool, scale: int) -> dict:
    """Data of the tile strip for the targets `ids`, in the order of the sprite sheet; `target` is selected."""
    true = ws.val_labels[ids]
    predicted = ws.base.prediction[ids] if ws.has_base else true
    captions = [ws.classes[t] if p == t else f"{ws.classes[t]} → {ws.classes[p]}" for t, p in zip(true, predicted)]
    texts = [f"validation image {i}, {ws.classes[t]}" for i, t in zip(ids, true)]
    if ws.has_base:
        texts = [
            f"{text}, predicted {ws.classes[p]} with {confidence:.2f}"
            for text, p, confidence in zip(texts, predicted, ws.base.confidence[ids])
        ]
    wrong = [caption if p != t else None for caption, t, p in zip(captions, true, predicted)]
    row = image_row("targets", "validation images", ids, texts, caption=captions, mark=wrong)
    return strip_data("wall" if wall else "line", [row], atlas, scale, pitch=84, selected=target)
