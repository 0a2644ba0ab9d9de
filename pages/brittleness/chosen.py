"""Training images named by hand."""

import re

from attribution import UserError, Workspace


def ids(ws: Workspace, target: int, kind: str, text: str) -> list[int]:
    """The images that `text` names and an edit of this kind can change: one that already carries the new label cannot.

    Raises UserError where `text` cannot be read (see `parse`), and where no image is left.
    """
    named = parse(text, ws.n_train)
    new = int(ws.base.runner_up[target])
    left = [i for i in named if kind == "remove" or ws.train_labels[i] != new]
    if not left:
        raise UserError(f"all of these images are labelled {ws.classes[new]} already, which is what they would be "
                        "relabelled; name others")
    return left


def parse(text: str, n_train: int) -> list[int]:
    """"3, 7 10-12" -> [3, 7, 10, 11, 12], in the order given, each once.

    Raises UserError for anything else than whole numbers and ranges within 0 .. n_train - 1, and for none at all.
    """
    found: dict[int, None] = {}
    for part in re.split(r"[\s,;]+", text.strip()):
        if not part:
            continue
        match = re.fullmatch(r"(\d+)(?:[-–](\d+))?", part)
        if not match:
            raise UserError(f"{part!r} is not a training image; write numbers and ranges such as 3, 7, 10-12")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < n_train:
            raise UserError(f"{part} is out of range; training images are 0 to {n_train - 1}, and a range goes upwards")
        found |= dict.fromkeys(range(first, last + 1))
    if not found:
        raise UserError("no training image is named; write their numbers, such as 3, 7, 10-12")
    return list(found)
