"""Models of a workspace: which parts belong to one, and the recipe of one that was only imported."""

from dataclasses import dataclass

#: parts of the data set, whichever model looks at it; of detectors those that no model had a part in
SHARED_PARTS = (
    *("features/", "rankings/", "combinations/", "firsts/", "hubs/", "map/", "data", "agreement", "copies", "faults"),
    "truth",
    *("detectors/knn-", "detectors/harm-"),
)


def is_of_one_model(part: str) -> bool:
    """Whether a part, or a file in it, belongs to one model: base predictions, held-out halves, supports, and what was
    computed on them."""
    return not part.startswith(SHARED_PARTS)


@dataclass(frozen=True)
class PredictionsOnly:
    """A recipe that this machine knows by its predictions alone. hash: what their provenance says, else their digest.
    others: models of the workspace that can be trained here."""

    name: str
    hash: str
    others: tuple[str, ...] = ()

    kind = "predictions only"
    deterministic = False
    threads = 1

    @property
    def problem(self) -> str:
        """Why it cannot train, a sentence without a full stop."""
        instead = f"retrain {' or '.join(self.others)} instead, or " if self.others else ""
        return f"{self.name} is known here by its predictions alone; {instead}add its code as a recipe of this name"
