"""The families of detectors. A new one is a file beside this, as `base.DetectorFamily`, and an entry here."""

from attribution.audit.detectors import (
    dynamics,
    harm,
    in_sample,
    knn,
    out_of_fold,
    out_of_sample,
    own,
    self_influence,
)
from attribution.audit.detectors.base import DetectorFamily
from attribution.workspace.workspace import Workspace

#: in the order in which they are listed, after "combined"
FAMILIES: tuple[DetectorFamily, ...] = (
    out_of_sample,
    out_of_fold,
    knn,
    in_sample,
    dynamics,
    self_influence,
    harm,
    own,
)


def family_by_name(workspace: Workspace) -> dict[str, DetectorFamily]:
    """Detector -> its family, in the order in which they are listed; "combined" is not among them."""
    return {name: family for family in FAMILIES for name in family.names(workspace)}
