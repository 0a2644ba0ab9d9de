"""Takes decisions along from one data set to another: those about images that both have, byte for byte.

Whoever mends, adds or removes images has another data set, whose results are its own: whatever was computed depends on
all images. What people decided about the label of an image depends on that image alone.
"""

from collections import defaultdict

from attribution.audit.corrections import CONFLICT, Correction, append_corrections
from attribution.audit.decision_log import FILE, DecisionLog
from attribution.errors import UserError
from attribution.store.results import ResultStore
from attribution.workspace.fingerprint import each_digest
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace


def carry_over(earlier: Workspace, ws: Workspace, who: str, progress: Progress | None = None) -> dict:
    """Appends the decisions of `earlier` about training images that `ws` has, too, to the log of `ws`.

    Images are the same where their bytes and their given class are; of copies of one image, the first belongs to the
    first. Returns how many were taken along ("imported"), were there already ("same"), are of images that have changed
    or are not there ("changed"), give a class that there is not ("unknown"), were in conflict ("skipped") and are now
    ("conflicts"). progress(text, done, total). Raises UserError where both are one data set, where nothing was decided,
    and where it is not known what the images of `earlier` were.
    """
    if earlier.fingerprint == ws.fingerprint:
        raise UserError(f"{ws.name} is the same data set as {earlier.name}; they share their decisions already")
    if not (ResultStore.folder_of(earlier) / FILE).exists():
        raise UserError(f"nothing was decided in {earlier.name}; there is nothing to take along")
    with DecisionLog.of(earlier) as log:
        current = log.current_decisions()
    if not current:
        raise UserError(f"nothing was decided in {earlier.name}; there is nothing to take along")
    places = _match_images(earlier, ws, progress)
    rows, changed, unknown = [], 0, 0
    for item, decision in sorted(current.items()):
        label = earlier.classes[decision.label] if decision.action == "relabel" else None
        if item not in places:
            changed += 1
        elif label is not None and label not in ws.classes:
            unknown += 1
        else:
            action = CONFLICT if decision.conflict else decision.action
            rows.append(
                Correction(
                    places[item], action, None if label is None else ws.classes.index(label), decision.reason or ""
                )
            )
    with DecisionLog.of(ws) as log:
        client = f"carry-over {earlier.fingerprint[:12]}"
        answer = append_corrections(log, rows, who, client, earlier.name)
    return {"workspace": ws.name, "from": earlier.name, **answer, "changed": changed, "unknown": unknown}


def _match_images(earlier: Workspace, ws: Workspace, progress: Progress | None) -> dict[int, int]:
    """Training image of `earlier` -> the same one of `ws`."""
    found: dict[tuple, list[int]] = defaultdict(list)
    for i, key in reversed(list(enumerate(_keys(ws, progress)))):
        found[key].append(i)
    return {i: found[key].pop() for i, key in enumerate(_keys(earlier, progress)) if found.get(key)}


def _keys(workspace: Workspace, progress: Progress | None) -> list[tuple]:
    """What each training image is known by: its bytes and its class."""
    digests = workspace.image_digests("train")
    if digests is None:
        if workspace.manifest["dataset"].get("images"):
            workspace.check_images()  # they can be read now only if they are those of then
        digests = each_digest(workspace.read_images("train"), progress=progress)
    given = [workspace.classes[label] for label in workspace.train_labels]
    return [(digest.tobytes(), name) for digest, name in zip(digests, given)]
