"""Validation images as pages show them: the card of one target, and many targets as a strip or a wall."""

import numpy as np

from attribution import Workspace
from attribution.training.head.recipe import is_head
from pages.ui import format as write
from pages.ui import model_choice
from pages.ui.tile_strip import image_row, strip_data


def card_html(ws: Workspace, target: int, supports: dict[str, dict[str, dict]], picture: str, scale: int) -> str:
    """The target: its picture, true label, prediction, confidence over the base models, and measured supports.

    supports: kind -> ranking -> support, as in pages/debug/retraining.py; picture: a data URL, drawn `scale` times
    as large. Text from the workspace is escaped.
    """
    name = write.escape(ws.classes[ws.val_labels[target]])
    prediction = _prediction_html(ws, target) if ws.has_base else '<div class="lu-faint later">no model here yet</div>'
    chips = _chips_html("Removal support", supports.get("remove", {}))
    if "mislabel" in supports:
        new_label = ws.classes[ws.base.likeliest_wrong_class[target]]
        chips += _chips_html(f"Mislabel support, as {new_label}", supports["mislabel"])
    return (
        f'<div class="lu-card"><img src="{picture}" width="{scale * ws.val_images.shape[2]}" '
        f'alt="validation image {target}, {name}, enlarged"><div class="name">{name}</div>'
        f'<div class="lu-faint">true label · validation image {target}</div>{prediction}{chips}</div>'
    )


def support_text(support: dict, shown: int = 10**9) -> str:
    """{"support": 24, ...} -> "support 24", with an arrow where that lies beyond the `shown` columns."""
    if support["support"]:
        doubt = " unstable" if support["status"] == "unstable" else ""
        return f"support {support['support']}{doubt}" + (" →" if support["support"] > shown else "")
    return f"none up to {support['k_max']}" if support["status"] == "censored" else support["status"].replace("_", " ")


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


def _prediction_html(ws: Workspace, target: int) -> str:
    """What the base models predict: the class, and the likeliest classes with the true one among them."""
    base, label, of = ws.base, int(ws.val_labels[target]), write.escape(model_choice.of_model(ws))
    mean = base.mean_probabilities[target]
    classes = list(np.argsort(-mean)[:3])
    if label not in classes:
        classes[-1] = label
    bars = "".join(
        f'<span class="{"true" if c == label else ""}">{write.escape(ws.classes[c])}</span>'
        f'<span class="bar {"true" if c == label else ""}"><span style="width:{100 * mean[c]:.0f}%"></span></span>'
        f'<span class="value">{mean[c]:.2f}</span>'
        for c in classes
    )
    right = f"right in {base.n_right[target]} of {base.n_models} base models{of} · "
    status = base.target_status(target).replace("_", " ")
    if is_head(ws.recipe):
        right, status = "", f"{'right' if base.n_right[target] else 'wrong'}, by {write.escape(ws.recipe)}"
    return (
        f"<div>predicted <b>{write.escape(ws.classes[base.prediction[target]])}</b></div>"
        f'<div class="lu-bars" role="group" aria-label="mean confidence of {base.n_models} base models">{bars}</div>'
        f'<div class="lu-faint">{right}{status}</div>'
    )


def _chips_html(title: str, supports: dict[str, dict]) -> str:
    """A chip for each ranking's support, smallest first; nothing where there is none."""
    if not supports:
        return ""
    ordered = sorted(supports.items(), key=lambda item: item[1]["support"] or 10**9)
    chips = "".join(
        f'<span class="{"best" if support is ordered[0][1] and support["support"] else ""}">'
        f"{write.escape(ranking)}: {write.escape(support_text(support).removeprefix('support '))}</span>"
        for ranking, support in ordered
    )
    return f'<div class="lu-faint later">{write.escape(title)}</div><div class="lu-chips">{chips}</div>'
