"""The line that heads the page of a target: its image, one sentence, and the short facts.

The sentence follows the cut: it says what the models predict without the images left of it, where that is known. In
HTML, text from the workspace is escaped."""

import numpy as np

from attribution import Workspace
from attribution.training.head.recipe import is_head
from pages.debug.verdict_text import control_text, majority, top_images
from pages.ui import format as write

SIDE = 72  # of the target's image, in pixels


def line_html(ws: Workspace, target: int, supports: dict, picture: str, ranking: str, k: int, answer: dict | None):
    """The whole line. picture: an address; supports: kind -> ranking -> support (retraining.py); answer: of the cut
    after `k` images of `ranking` (`RetrainSpec.answer`), None where it is not complete."""
    said = write.escape(sentence(ws, target, supports, ranking, k, answer))
    name = write.escape(ws.classes[ws.val_labels[target]])
    return (
        f'<div class="lu-target"><img src="{picture}" width="{SIDE}" height="{SIDE}" alt="validation image {target}, '
        f'{name}, enlarged"><div><h1 title="{said}">{said}</h1><p>{facts_html(ws, target, answer)}</p></div></div>'
    )


def sentence(
    ws: Workspace, target: int, supports: dict[str, dict[str, dict]], ranking: str, k: int, answer: dict | None
) -> str:
    """What the models predict, and what they predict without the images left of the cut; where that is not known, the
    smallest removal that was found to flip the prediction."""
    true = ws.classes[ws.val_labels[target]]
    if not ws.has_base:
        return f"{_class_first(true)}. No model has been trained here yet."
    predicted = ws.base.prediction[target]
    fact = predicts(ws, target)
    removals = supports.get("remove", {})
    if answer:
        return f"{fact} {_of_answer(ws, answer, removals.get(ranking))}"
    if ws.classes[predicted] != true:
        return f"{fact} Its label is {true}."
    if (searched := removals.get(ranking)) and searched.get("k") == k:
        return f"{fact} {_of_support(ws, ranking, searched)}"
    if smallest := _smallest(removals):
        return f"{fact} {_of_support(ws, *smallest)}"
    if smallest := _smallest(supports.get("mislabel", {})):
        new_label = ws.classes[ws.base.likeliest_wrong_class[target]]
        start = "No removal tested changes that; with" if removals else "With"
        name, support = smallest
        return f"{fact} {start} {top_images(name, support['k'])} relabelled {new_label}, {_flips(ws, support)}."
    return f"{fact} No edit tested changes that." if supports else fact


def predicts(ws: Workspace, target: int) -> str:
    """ "All 10 models predict T-shirt." """
    base, predicted = ws.base, ws.base.prediction[target]
    name, votes = ws.classes[predicted], int((base.predicted[:, target] == predicted).sum())
    if ws.get_recipe().deterministic or base.n_models == 1:
        return f"The model predicts {name}."
    return (
        f"All {votes} models predict {name}."
        if votes == base.n_models
        else (f"{votes} of {base.n_models} models predict {name}.")
    )


def facts_html(ws: Workspace, target: int, answer: dict | None) -> str:
    """True label, prediction with its confidence and the runner-up, how many models are right, and the control."""
    label = int(ws.val_labels[target])
    facts = [f"true label <b>{write.escape(ws.classes[label])}</b>"]
    if ws.has_base:
        base, mean = ws.base, ws.base.mean_probabilities[target]
        first, second = (int(c) for c in np.argsort(-mean)[:2])
        facts.append(
            f"prediction <b>{write.escape(ws.classes[first])}</b> {mean[first]:.2f}, "
            f"then {write.escape(ws.classes[second])} {mean[second]:.2f}"
        )
        whose = write.escape(ws.recipe)
        one = ws.get_recipe().deterministic or base.n_models == 1
        verdict = "correct" if base.n_right[target] else "wrong"
        facts.append(
            f"{whose} is {verdict}" if one else f"{base.n_right[target]} of {base.n_models} {whose} models correct"
        )
    facts.append(f"validation image {target}")
    if answer and answer["controls"]["random"]["of"]:
        facts.append(write.escape(f"control: {control_text(ws, answer)}"))
    return " · ".join(facts)


def _of_answer(ws: Workspace, answer: dict, support: dict | None) -> str:
    """What a complete retraining says of the edit."""
    images = top_images(answer["ranking"], answer["k"], answer.get("end") == "harmful")
    changed = bool(answer["flipped"]) != (answer.get("end") == "harmful")
    said = f"Without {images}, {majority(ws, answer, changed)}"
    begins = (
        support and changed and answer.get("end") is None and support["support"] and support["support"] < answer["k"]
    )
    return f"{said}; flips begin near {support['support']}." if begins else f"{said}."


def _of_support(ws: Workspace, ranking: str, support: dict) -> str:
    begins = f"; flips begin near {support['support']}" if support["k"] > support["support"] else ""
    close = " (a close call: fresh seeds changed the verdict)" if support["close"] and not begins else ""
    return f"Without {top_images(ranking, support['k'])}, {_flips(ws, support)}{begins}{close}."


def _flips(ws: Workspace, support: dict) -> str:
    if support["seeds"] == 1:
        return f"it predicts {support['becomes']}" + (" (exact)" if is_head(ws.recipe) else "")
    if support["wrong"] > support["votes"]:
        return f"{support['wrong']} of {support['seeds']} are wrong, mostly {support['becomes']}"
    verb = "predicts" if support["votes"] == 1 else "predict"
    return f"{support['votes']} of {support['seeds']} {verb} {support['becomes']}"


def _class_first(name: str) -> str:
    """A class name at the head of a sentence; one that is no word, such as n01440764, stays as it is."""
    return name if any(map(str.isdigit, name)) else write.capitalised(name)


def _smallest(supports: dict[str, dict]) -> tuple[str, dict] | None:
    """(ranking, its support) that clearly flips with the fewest images, first where no seed tried resists, as the
    opening has it; else the smallest close call."""
    return min(
        (item for item in supports.items() if item[1]["support"]),
        default=None,
        key=lambda item: (item[1]["close"], item[1]["wrong"] < item[1]["seeds"], item[1]["k"], -item[1]["votes"]),
    )
