"""Do rankings find a target's own class where the model has learned merged classes alone?

Classes are merged into superclasses, and everything that a ranking reads of labels is merged: its candidates, the head
that its influence is computed under, the sign of a heuristic. Then it is counted how many of a target's first images
are of its own class still. Images of the superclass, drawn at random, have the chance level. A ranking that chooses
among all images may name other superclasses, too; how many of the images of its own superclass are of the target's
class stands beside it, and is what the chance level is of.

A similarity reads the labels only for its candidates. Stored rankings were computed with the classes apart, which tells
them what is asked, and are refused. `supervised` features were trained with the classes apart, too: every row says so.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.builds.features import SUPERVISED
from attribution.errors import UserError
from attribution.explore.groups import class_number
from attribution.metrics.statistics import mean_with_interval
from attribution.metrics.subclass_detection import subclass_chance, subclass_share
from attribution.rankings import combination, influence, similarity
from attribution.rankings import load as load_ranking
from attribution.rankings.base import Ranking, check_k
from attribution.rankings.candidates import CANDIDATES_MARK, RankingAmong
from attribution.training.head import Head
from attribution.training.head.recipe import PREFIX, is_head
from attribution.workspace.heads import FittedHead, find_recipe
from attribution.workspace.parts import Part, Progress
from attribution.workspace.workspace import Workspace

STORED = Part("subclasses", "subclasses.json", command="evaluate subclass")
PART = STORED.name
K, N_TARGETS, SEED = 10, 500, 0


def compute(
    workspace: Workspace,
    groups: list[list[int]] | None = None,
    names: list[str] | None = None,
    k: int = K,
    n_targets: int = N_TARGETS,
    seed: int = SEED,
    progress: Progress = lambda *at: None,
) -> dict:
    """The share of the first `k` images, and of the first one alone, that are of a target's own class, over
    `n_targets` validation images of merged classes, drawn by `seed`.

    groups: the classes that become one, each class at most once; None merges the pairs that the model confuses most
    (`confused_pairs`). {"recipe", "recipe_hash", "merged": [[class names]], "chosen_by": the model that confuses them,
    None where they were named, "k", "targets", "seed", "chance": mean share of the class among the images of its
    superclass, "heads": {NAME: {"penalty", "accuracy": on the validation images, merged}}, "rankings": {NAME: {"under":
    what it was computed under, in words, "first", "share", "superclass": the share of the first k that are of its
    superclass, "within": of these, the share of its own class, which chance is of; each "mean", "ci" (95 % bootstrap
    over targets), "n"}}}. Raises UserError for groups that are none, where the model confuses nothing, and for a
    ranking that was computed with the classes apart.
    """
    k, chosen_by = check_k(k), workspace.recipe if groups is None else None
    groups = confused_pairs(workspace) if groups is None else check_groups(workspace, groups)
    merged = MergedLabels(workspace, groups)
    names = list(dict.fromkeys(names or default_names(workspace)))
    for name in names:
        check_computed_anew(workspace, name)
    labels, subclasses = workspace.train_labels, workspace.val_labels
    targets = np.flatnonzero(np.isin(subclasses, np.concatenate(groups)))
    targets = np.sort(np.random.default_rng(seed).permutation(targets)[:n_targets])
    rows = {}
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for at, name in enumerate(names):
            progress("subclasses: rankings", at, len(names))
            ranking = merged.ranking(name)
            listed = np.full((len(targets), k), -1)
            for row, target in zip(listed, targets.tolist()):
                ids = ranking.top(target, k).ids
                row[: len(ids)] = labels[ids]
            rows[name] = {"under": computed_under(ranking), **_shares(listed, subclasses[targets], merged.superclass)}
    progress("subclasses: rankings", len(names), len(names))
    fitted = {head.recipe.name: head for head in merged.heads.values()}
    return {
        "recipe": workspace.recipe,
        "recipe_hash": workspace.get_recipe().hash,
        "merged": [[workspace.classes[label] for label in group] for group in groups],
        "chosen_by": chosen_by,
        "k": k,
        "targets": len(targets),
        "seed": seed,
        "chance": float(np.mean(subclass_chance(labels, merged.superclass, subclasses[targets]))),
        "heads": {name: {"penalty": head.head.penalty, "accuracy": head.accuracy} for name, head in fitted.items()},
        "rankings": rows,
    }


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "subclasses"; provenance, record: as `Part.save`."""
    STORED.save_answer(workspace, answer, provenance, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer, as `Part.load_answer`."""
    return STORED.load_answer(workspace)


class MergedLabels:
    """A workspace as its rankings see it, with superclasses for labels; whatever is about no label is the workspace's.

    superclass: int64 [classes], class -> superclass. Heads are fitted with the merged labels, their penalty chosen
    anew, and kept here alone: a head on disk is that of the given labels.
    """

    def __init__(self, workspace: Workspace, groups: list[list[int]]):
        self._workspace = workspace
        first = np.arange(len(workspace.classes))
        for group in groups:
            first[group] = min(group)
        kept, self.superclass = np.unique(first, return_inverse=True)
        self.classes = ["+".join(np.array(workspace.classes)[first == label]) for label in kept]
        self.train_labels = self.superclass[workspace.train_labels]
        self.val_labels = self.superclass[workspace.val_labels]
        self.heads: dict[str, FittedHead] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workspace, name)

    @cached_property
    def _rankings(self) -> dict[str, Ranking]:
        return {}

    def ranking(self, name: str) -> Ranking:
        """As `Workspace.ranking`, with merged labels."""
        if name not in self._rankings:
            self._rankings[name] = load_ranking(self, name)  # type: ignore[arg-type]
        return self._rankings[name]

    def head(self, features: str) -> FittedHead:
        """As `Workspace.head`, with merged labels."""
        if features not in self.heads:
            vectors = self._workspace.feature(features)
            head = Head.fit(np.asarray(vectors.train[:]), self.train_labels, len(self.classes))
            predicted = head.logits(head.weights, np.asarray(vectors.val[:])).argmax(1)
            accuracy = float((predicted == self.val_labels).mean())
            recipe = find_recipe(self._workspace, PREFIX + features)
            self.heads[features] = FittedHead(recipe, head, np.empty((0, 0)), accuracy, 0.0)
        return self.heads[features]


def check_groups(workspace: Workspace, groups: list[list[int]]) -> list[list[int]]:
    """`groups`. Raises UserError where a group has fewer than two classes, a class stands twice, or one class would be
    left."""
    classes = [label for group in groups for label in group]
    twice = [label for label in classes if classes.count(label) > 1]
    if twice:
        raise UserError(f"{workspace.classes[twice[0]]} is named twice; merge each class once")
    if not groups:
        raise UserError("no classes to merge were named; name them as in Coat+Pullover")
    for group in groups:
        if len(group) < 2:
            raise UserError(
                f"{workspace.classes[group[0]]} stands alone; name at least two classes for each superclass, as in "
                "Coat+Pullover"
            )
    if len(workspace.classes) - len(classes) + len(groups) < 2:
        raise UserError("that merges all classes into one, and a head tells two apart; leave one out")
    return groups


def read_groups(workspace: Workspace, text: str) -> list[list[int]]:
    """ "Shirt+T-shirt/top,4+2" -> the numbers of the classes that become one. Raises UserError for a name or number
    that is no class, and as `check_groups`."""
    groups = [
        [class_number(workspace, word.strip()) for word in part.split("+") if word.strip()] for part in text.split(",")
    ]
    return check_groups(workspace, [group for group in groups if group])


def confused_pairs(workspace: Workspace) -> list[list[int]]:
    """The pairs of classes that the model confuses most, each class in one pair at most: the pair with the most
    validation images of one class that are taken for the other, then the next of the remaining classes, as long as any
    is. Raises UserError where the model confuses no classes, or there are two."""
    classes = len(workspace.classes)
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (workspace.val_labels, workspace.base.prediction), 1)
    both = np.triu(table + table.T, 1)
    pairs = []
    while both.any():
        pair = np.unravel_index(both.argmax(), both.shape)
        pairs.append([int(label) for label in pair])
        both[list(pair)] = both[:, list(pair)] = 0
    if not pairs:
        raise UserError(f"{workspace.recipe} confuses no classes; name those to merge, as in --merge Coat+Pullover")
    return check_groups(workspace, pairs)


def default_names(workspace: Workspace) -> list[str]:
    """The rankings that are measured where none are named: influence, exemplar SVM and L2 in each feature set but
    pixels, or in that of the head that the workspace is seen by, and random."""
    features = [name for name in workspace.features() if name != "pixels"]
    if is_head(workspace.recipe):
        features = [workspace.recipe.removeprefix(PREFIX)]
    there = {*influence.names(workspace), *similarity.names(workspace)}
    named = [f"{method}-{name}" for name in features for method in (influence.PREFIX, "esvm", "l2")]
    return [*(name for name in named if name in there), "random"]


def check_computed_anew(workspace: Workspace, name: str) -> None:
    """Raises UserError for a ranking that is not computed here from features and labels."""
    inner, _, candidates = name.partition(CANDIDATES_MARK)
    if candidates == "pair":
        raise UserError(f"{name} chooses by a model that tells the classes apart; name it with @true or @all")
    stored = {part.removeprefix("rankings/") for part in workspace.manifest["parts"] if part.startswith("rankings/")}
    known = ({*similarity.names(workspace), *influence.names(workspace)} - stored) | {"random"}
    for part in inner.split(combination.MARK):
        if part not in known:
            workspace.ranking(part)  # says so where there is none of that name
            raise UserError(
                f"{part} was computed with the classes apart, which tells it what is asked; leave it out, and name "
                "rankings by similarity or influence"
            )


def _shares(listed: np.ndarray, subclasses: np.ndarray, superclass: np.ndarray) -> dict:
    """listed: subclasses of the first images, int [T, k], -1 where there are fewer."""
    listed_superclass = np.where(listed >= 0, superclass[listed], -1)
    inside = listed_superclass == superclass[subclasses][:, None]
    return {
        "first": mean_with_interval(subclass_share(listed[:, :1], subclasses)),
        "share": mean_with_interval(subclass_share(listed, subclasses)),
        "superclass": mean_with_interval(subclass_share(listed_superclass, superclass[subclasses])),
        "within": mean_with_interval(subclass_share(np.where(inside, listed, -1), subclasses)),
    }


def computed_under(ranking: Ranking) -> str:
    """What a ranking with merged labels was computed under, in words."""
    if isinstance(ranking, RankingAmong):
        ranking = ranking.inner
    if isinstance(ranking, combination.Combination):
        return "; ".join(dict.fromkeys(computed_under(part) for part in ranking.parts))
    if isinstance(ranking, (influence.Influence, influence.SummedInfluence)):
        features = ranking.features if isinstance(ranking, influence.SummedInfluence) else [ranking.feature]
        words = " and ".join(f"{PREFIX}{name}" for name in features) + " with merged labels"
    else:
        features = [ranking.feature] if ranking.feature else []
        words = "no model; merged labels give the sign" if ranking.signed else "no model"
    knows = any(name.startswith(SUPERVISED) for name in features)
    return words + ("; its features were trained with the classes apart" if knows else "")
