"""How well the stored detectors find errors that are known: those that were planted, or by imported true labels."""

import shlex

from attribution.audit import detectors
from attribution.errors import UserError
from attribution.metrics.label_detection import detection_metrics
from attribution.workspace.workspace import Workspace


def compute(workspace: Workspace) -> dict:
    """What `evaluate mislabels` prints as JSON: {"n_planted" (known errors), "errors" ("planted" or "imported"),
    "n_train", "detectors": {name: `detection_metrics`}}. The known errors judge the detectors and are used for nothing
    else.

    Raises UserError where no error is known or no detector is stored.

    >>> from attribution import Workspace
    >>> round(compute(Workspace.open())["detectors"]["combined"]["auc"], 3)
    0.974
    """
    truth = workspace.truth()
    if truth is None or not truth["planted"].any():
        raise no_truth(workspace)
    if not detectors.names(workspace):
        raise no_detectors(workspace)
    planted = truth["planted"].to_numpy(bool)
    metrics = {
        name: detection_metrics(planted, detectors.load(workspace, name).scores) for name in detectors.names(workspace)
    }
    errors = "planted" if workspace.planted else "imported"
    return {"n_planted": int(planted.sum()), "errors": errors, "n_train": workspace.n_train, "detectors": metrics}


def no_truth(workspace: Workspace) -> UserError:
    """What is said where no error is known."""
    return UserError(
        f"{workspace.name} has no planted errors, and without known ones detectors cannot be judged; bring the "
        "true labels with `import truth`, or use a workspace that has them, such as the demo"
    )


def no_detectors(workspace: Workspace) -> UserError:
    """What is said where no detector is stored."""
    return UserError(
        f"{workspace.name} has no detectors yet; build them with: python -m attribution detectors "
        f"build --workspace {shlex.quote(str(workspace.path))}"
    )
