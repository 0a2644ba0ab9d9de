"""Detectors from files: out-of-fold probabilities of a person's own, and tables of issues that other tools wrote.

They are stored as any other, with "imported" in their provenance, and no command builds them.
"""

import numpy as np

from attribution.audit.detectors import out_of_sample, stored
from attribution.audit.detectors.families import family_by_name
from attribution.errors import UserError
from attribution.files import read_array
from attribution.importing.agreement import check_agreement
from attribution.importing.formats.issues import Issues
from attribution.importing.formats.predictions import Predictions
from attribution.importing.importing import check_part_name
from attribution.workspace.parts import save_part
from attribution.workspace.workspace import Workspace

FAMILY = "imported"  # of issues; probabilities are evidence of the same kind as `out_of_sample`
PROBABILITIES_NAME, ISSUES_NAME = "probabilities", "issues"
PROBABILITIES_FILE = "probabilities.npy"
#: the share of given labels that held-out predictions hardly ever reach: the models have probably seen the images
SUSPICIOUS = 0.995


def check_name(workspace: Workspace, name: str) -> str:
    """`name` for a detector from a file. Raises UserError where it is not one for files, or is that of a detector that
    is built."""
    check_part_name(workspace, name, "detectors")
    made = workspace.manifest["parts"].get(f"detectors/{name}")
    if name in (stored.COMBINED, *family_by_name(workspace)) or (made is not None and not made.get("imported")):
        raise UserError(f"{name} is the name of a detector that is built here; give another --name")
    return name


def import_probabilities(
    workspace: Workspace,
    name: str,
    predictions: Predictions,
    provenance: dict | None = None,
    force: bool = False,
) -> dict:
    """Keeps probabilities of models that did not see the image as the detector `name`; returns its provenance, with
    `agreement`, the share of images whose likeliest class is the given one, and `warning`, None where there is none.

    predictions: of the training images; of several models the mean counts. Suspicion: 1 - the probability of the given
    label; suggestion: the likeliest class. The probabilities are kept beside them, float32 [n_train, classes]. Raises
    UserError as `check_name` and, without `force`, where the likeliest classes go with the given labels no more than
    chance; then nothing has changed.
    """
    check_name(workspace, name)
    labels = np.asarray(workspace.train_labels)
    probabilities = predictions.probabilities.mean(0)
    suggestion = probabilities.argmax(1)
    agreement = float((suggestion == labels).mean())
    if not force:
        about = {"what": "training", "verb": "agrees with the given labels on", "matched": predictions.matched}
        check_agreement(predictions.files[0], suggestion, labels, workspace.classes, **about)
    warning = None
    if agreement >= SUSPICIOUS:
        warning = (
            f"they agree with {agreement:.1%} of the given labels: perhaps the models were trained on these very "
            "images, and then they find no errors; bring predictions for images that were held out (cross-validation)"
        )
    models = len(predictions.probabilities)
    description = "imported probabilities" + (f", the mean of {models} models" if models > 1 else "")
    record = {"agreement": round(agreement, 4), "warning": warning, **(provenance or {})}
    scores = 1 - probabilities[np.arange(len(labels)), labels]
    return _save(
        workspace, name, out_of_sample.FAMILY, description, scores, suggestion, record, {"probabilities": probabilities}
    )


def probability_names(workspace: Workspace) -> list[str]:
    """The detectors that imported probabilities made, in the order in which they came."""
    parts = workspace.manifest["parts"]
    names = (part.partition("/")[2] for part in parts if part.startswith("detectors/"))
    return [name for name in names if (workspace.folder(f"detectors/{name}") / PROBABILITIES_FILE).exists()]


def load_probabilities(workspace: Workspace, name: str) -> np.ndarray:
    """The probabilities of `import_probabilities`, float32 [n_train, classes]. Raises UserError where they cannot be
    read."""
    file = workspace.folder(f"detectors/{name}") / PROBABILITIES_FILE
    return np.asarray(read_array(file, workspace.n_train, len(workspace.classes)), np.float32)


def import_issues(workspace: Workspace, name: str, issues: Issues, provenance: dict | None = None) -> dict:
    """Keeps a table of issues as the detector `name`; returns its provenance, with `listed` and `flagged` as `Issues`
    has them. Raises UserError as `check_name`; then nothing has changed."""
    check_name(workspace, name)
    record = {"tool": issues.tool, "listed": issues.listed, "flagged": issues.flagged, **(provenance or {})}
    return _save(workspace, name, FAMILY, f"issues found by {issues.tool}", issues.scores, issues.suggestion, record)


def _save(
    workspace: Workspace,
    name: str,
    family: str,
    description: str,
    scores: np.ndarray,
    suggestion: np.ndarray | None,
    record: dict,
    arrays: dict[str, np.ndarray] | None = None,
) -> dict:
    arrays = {"scores": np.asarray(scores, np.float32), **(arrays or {})}
    if suggestion is not None:
        arrays["suggestion"] = suggestion.astype(np.min_scalar_type(len(workspace.classes) - 1))
    about = {"family": family, "about": description, "uses_val": False, "suggests": suggestion is not None}
    return save_part(workspace, f"detectors/{name}", arrays, {**about, "imported": True, **record})
