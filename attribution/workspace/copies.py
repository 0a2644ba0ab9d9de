"""Copies of validation images among the training images: a model is then judged on what it was trained on.

Exact copies are found when a workspace is created; near-copies, which are alike in a feature set, when somebody asks
(`attribution.features.near_duplicates.find_copies`). Both are one part of the workspace.
"""

from collections.abc import Callable

import numpy as np

from attribution.errors import UserError
from attribution.workspace import fingerprint
from attribution.workspace.parts import Part
from attribution.workspace.workspace import Workspace

WORDS = ["duplicates", "--between", "train-val"]
COPIES = Part("copies", "copies.json", command=" ".join(WORDS))
KEPT = 10  # copies that are listed of each validation image


def find_exact(train: np.ndarray, val: np.ndarray) -> dict:
    """The training images that are the same as a validation image: {"images" (validation images with one), "pairs",
    "kept" [[validation image, training image], ...], the first KEPT of each}. train, val: `fingerprint.each_digest`."""
    same: dict[bytes, list[int]] = {digest.tobytes(): [] for digest in val}
    for image, digest in enumerate(train):
        if (known := same.get(digest.tobytes())) is not None:
            known.append(image)
    copies = [(image, same[digest.tobytes()]) for image, digest in enumerate(val)]
    return {
        "images": sum(bool(found) for _, found in copies),
        "pairs": sum(len(found) for _, found in copies),
        "kept": [[image, other] for image, found in copies for other in found[:KEPT]],
    }


def exact_copies(workspace: Workspace, progress: Callable[[str, int, int], None] | None = None) -> dict:
    """`find_exact` of a workspace: of the bytes of its files where images are read in place, else of the pixels. Raises
    UserError where they cannot be read."""
    digests = {}
    for split in ("train", "val"):
        known = workspace.image_digests(split)
        images = workspace.read_images(split)
        digests[split] = fingerprint.each_digest(images, progress=progress) if known is None else known
    return find_exact(digests["train"], digests["val"])


def save(workspace: Workspace, exact: dict, near: dict | None, provenance: dict) -> None:
    """Stores what is known. exact: of `find_exact`; near: of `near_duplicates.find_copies`, None where nobody has
    looked."""
    COPIES.save(workspace, {"exact": exact, "near": near}, provenance)


def load(workspace: Workspace) -> dict | None:
    """What `save` stored; None where nothing is. "near" is None, too, where the features have changed since. Raises
    UserError where it cannot be read."""
    content = COPIES.load(workspace)
    if content is None:
        return None
    try:
        exact, near = content["exact"], content["near"]
        checked = _checked(workspace, exact, ("images", "pairs"), 2)
        if near is not None:
            made = workspace.manifest["parts"].get(f"features/{near['features']}")
            counts = ("images", "pairs", "sample", "sample_images")
            near = _checked(workspace, near, counts, 3) | {
                "features": str(near["features"]),
                "cosine": float(near["cosine"]),
                "whole": bool(near["whole"]),
            }
            if made is None or made.get("digest") != content["near"]["version"]:
                near = None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise COPIES.unreadable(workspace, error) from None
    return {"exact": checked, "near": near}


def _checked(workspace: Workspace, found: dict, counts: tuple[str, ...], columns: int) -> dict:
    """The numbers of one kind of copies. Raises ValueError where they are not of this workspace."""
    kept = np.array(found["kept"], float).reshape(-1, columns)
    limits = (workspace.n_val, workspace.n_train)
    numbers = {name: found[name] for name in counts}
    whole = all(isinstance(number, int) and 0 <= number < 2**53 for number in numbers.values())
    whole &= numbers.get("sample") != 0
    inside = (kept[:, :2] % 1 == 0) & (kept[:, :2] >= 0) & (kept[:, :2] < limits)
    if not (whole and inside.all() and np.isfinite(kept).all()):
        raise ValueError("numbers that cannot be")
    rows = [(int(row[0]), int(row[1]), *row[2:].tolist()) for row in kept]
    return {**numbers, "kept": rows}


def pairs(copies: dict) -> list[dict]:
    """The listed pairs, exact ones first, then the most alike: [{"val", "train", "cosine" (None where it is not
    known), "exact"}]. copies: of `load`."""
    cosines = {(val, train): cosine for val, train, cosine in (copies["near"] or {"kept": []})["kept"]}
    exact = {pair: cosines.pop(pair, None) for pair in copies["exact"]["kept"]}
    near = sorted(cosines.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"val": val, "train": train, "cosine": cosine, "exact": known}
        for rows, known in ((exact.items(), True), (near, False))
        for (val, train), cosine in rows
    ]


def exact_text(workspace: Workspace, exact: dict) -> str:
    """What was found of exact copies, and over how many pairs, without a full stop."""
    by = "the bytes of their files" if workspace.manifest["dataset"].get("images") else "their pixels"
    over = f"by {by} over {workspace.n_val * workspace.n_train:,} pairs"
    if not exact["pairs"]:
        return f"no exact copies found {over}"
    return f"{_of_images(workspace, exact)} an exact copy among the training images ({_pairs(exact)}), {over}"


def near_text(workspace: Workspace, near: dict) -> str:
    """What was found of near-copies, by which measure and over how many pairs, without a full stop."""
    by = f"by a cosine of at least {near['cosine']:g} in {near['features']} features"
    over = f"{by} over {workspace.n_val * workspace.n_train:,} pairs"
    usual = (
        f"of {near['sample']:,} training images {near['sample_images']:,} "
        f"({near['sample_images'] / near['sample']:.1%}) have one among the other training images"
    )
    if not near["pairs"]:
        return f"no near-copies found {over}; {usual}"
    pairs = f"{'' if near['whole'] else 'at least '}{_pairs(near)}"
    return f"{_of_images(workspace, near)} a near-copy among the training images ({pairs}), {over}; {usual}"


def _pairs(found: dict) -> str:
    return f"{found['pairs']:,} pair{'s' * (found['pairs'] != 1)}"


def _of_images(workspace: Workspace, found: dict) -> str:
    n = found["images"]
    share = f"{n:,} of {workspace.n_val:,} validation images ({n / workspace.n_val:.1%})"
    return f"{share} {'has' if n == 1 else 'have'}"


def problem(workspace: Workspace) -> str:
    """Why near-copies cannot be looked for, a sentence without a full stop; "" where they can."""
    if workspace.features():
        return ""
    return (
        f"near-copies are found in features, and {workspace.name} has none yet; make some with: "
        f"python -m attribution features train moco{workspace.options()}"
    )


def check_between(text: str) -> None:
    """Raises UserError where `text` does not name the two splits."""
    if text not in ("train-val", "val-train"):
        raise UserError(f"--between {text} are no two splits; give train-val")
