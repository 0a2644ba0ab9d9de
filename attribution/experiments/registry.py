"""The kinds of job that there are, by the verb that names them in the store.

A new kind is a file here with a subclass of `attribution.experiments.spec.Spec`, and its name in `EXPERIMENTS`.
"""

from collections.abc import Mapping

from attribution.errors import UserError
from attribution.experiments.disjoint import DisjointSpec
from attribution.experiments.group import GroupSpec
from attribution.experiments.halves import SubsetsSpec
from attribution.experiments.paired_arms import PairedArmsSpec
from attribution.experiments.pruning import PruningSpec
from attribution.experiments.removals import RemovalsSpec
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import Spec
from attribution.experiments.study import StudySpec
from attribution.experiments.support import SupportSpec
from attribution.experiments.unedited import UneditedSpec
from attribution.experiments.unrolled import UnrolledSpec

EXPERIMENTS: dict[str, type[Spec]] = {
    experiment.verb: experiment
    for experiment in (
        RetrainSpec,
        SupportSpec,
        DisjointSpec,
        StudySpec,
        SubsetsSpec,
        PruningSpec,
        UneditedSpec,
        PairedArmsSpec,
        RemovalsSpec,
        UnrolledSpec,
        GroupSpec,
    )
}
#: verbs that let all others go first
LONG_VERBS = tuple(verb for verb, experiment in EXPERIMENTS.items() if experiment.long)


def from_json(data: Mapping) -> Spec:
    """The typed spec of a stored job. Raises UserError for a verb or a key that only another version knows."""
    if data["verb"] not in EXPERIMENTS:
        raise UserError(f"this Lineup knows no job {data['verb']!r}; use the one that queued it")
    return EXPERIMENTS[data["verb"]].from_json(data)
