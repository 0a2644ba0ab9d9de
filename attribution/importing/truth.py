"""True labels of a person's own, for detectors to be judged by. They are written here and read by `Workspace.truth`
alone: nothing that ranks, trains or detects may see them (a test holds that)."""

from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import write_table
from attribution.importing.agreement import check_agreement
from attribution.importing.importing import staged_folder

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

PART, FILE = "truth", "truth.parquet"


def import_truth(
    workspace: "Workspace",
    labels: np.ndarray,
    source: str,
    provenance: dict | None = None,
    *,
    matched: bool = False,
    force: bool = False,
) -> dict:
    """Keeps the true class of each training image, int64 [n_train], among the user's parts; returns its provenance.

    source: the file's name, for people; matched: whether it names its images. Raises UserError where the workspace
    brings a truth of its own, where no label is wrong by it and, without `force`, where it goes with the given labels
    no more than chance. What was imported before is replaced.
    """
    import pandas as pd

    if (workspace.path / FILE).exists() or not workspace.can_add(PART):
        raise UserError(f"{workspace.name} brings the true labels of its images, which cannot be replaced")
    given = workspace.train_labels
    wrong = labels != given
    if not wrong.any():
        raise UserError(
            f"{source} gives each image the label that it has, so that there is no error to find; bring the true labels"
        )
    if not force:
        about = {"what": "training", "verb": "agrees with the given labels on", "columns": False}
        check_agreement(source, labels, given, workspace.classes, matched=matched, **about)
    with staged_folder(workspace.new_folder(PART)) as folder:
        write_table(folder / FILE, pd.DataFrame({"original": labels, "planted": wrong}))
        workspace.drop_part(PART)
    record = {"imported": True, "errors": int(wrong.sum()), "source": source, **(provenance or {})}
    workspace.add_part(PART, record, [f"{PART}/{FILE}"])
    return record
