"""One retraining: without a ranking's first images, or with wrong labels on them, beside its controls."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.experiments import bundled_retrainings
from attribution.experiments.prefixes import (
    build_edit,
    changeable_ids,
    check_edit_kind,
    check_groups,
    control_draws,
    edit_steps,
    random_controls,
)
from attribution.experiments.spec import SEEDS, FixedSpec, Training, common_fields, needed_seeds
from attribution.experiments.support_search import probe_verdict
from attribution.features import near_duplicates
from attribution.rankings.base import check_k
from attribution.store.results import ResultStore
from attribution.training.edits import Edit, no_edit
from attribution.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrainSpec(FixedSpec):
    """Retrain after an edit, after none, and after random edits of the same size.

    ranking: whose images `ids` are, None where a person chose them; kind: "remove" or "mislabel"; k: how many images of
    the ranking, or how many were chosen; draws: how many random edits; groups: a `near_duplicates.grouping_spec` with
    "along", how many near-duplicates came along with the k; end: "harmful" where the images are the ranking's most
    harmful."""

    verb = "retrain"

    target: int
    ranking: str | None
    kind: str
    k: int
    ids: list[int]
    seeds: list[int]
    draws: int
    groups: dict | None = None
    end: str | None = None

    def describe(self) -> str:
        """As `Spec.describe`."""
        what = {"remove": "without", "mislabel": "with wrong labels on"}[self.kind]
        return f"target {self.target}: retrain {what} {self.images('first')}"  # jobs are found by it: it stays

    def images(self, first: str = "top") -> str:
        """Which images are edited, in words: "the top 4 of trak-10"."""
        which = "most harmful" if self.end == "harmful" else first
        images = f"the {which} {self.k} of {self.ranking}" if self.ranking else f"{self.k} chosen images"
        return images + (" with near-duplicates" if self.groups else "")

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return len(self.seeds) * (2 + self.draws)

    def edits(self, workspace: Workspace) -> dict[str, list[Edit]]:
        """Its edits: "edit" (one), "none" (one) and "random" (`draws` of them)."""
        edit = build_edit(workspace.with_model(self.model), self.target, self.kind, self.ids)
        return {"edit": [edit], "none": [no_edit()], "random": random_controls(workspace, edit, self.draws)}

    def trainings(self, workspace: Workspace) -> Iterator[Training]:
        """As `FixedSpec.trainings`."""
        for edits in self.edits(workspace).values():
            for edit in edits:
                for seed in self.seeds:
                    yield edit, seed

    def _count_missing(self, workspace: Workspace, store: ResultStore, keys: set[str]) -> int:
        """As `FixedSpec._count_missing`; what the workspace brings along is not missing."""
        bundled = bundled_retrainings.load(workspace.with_model(self.model), self.target)
        return super()._count_missing(workspace, store, keys - bundled.keys())

    def answer(self, workspace: Workspace, store: ResultStore) -> dict:
        """What is known so far, from the store and what the workspace brings along, in the shape of `retrain --json`.

        "wrong" of "n" seeds predict another class than the true one; "flipped" is True, False, or None while undecided.
        Under "controls": "none" and "random" with the same keys ("random" over all draws). "complete": all is trained.
        "newest": when the last of them was trained, seconds since 1970, or None. A margin that is no number is None.
        """
        recipe, live = self.recipe_hash, store.live_trainings()
        bundled = bundled_retrainings.load(workspace.with_model(self.model), self.target)
        parts, newest, seconds = {}, None, 0.0
        for part, edits in self.edits(workspace).items():
            runs = []
            for draw, edit in enumerate(edits):
                for seed in self.seeds:
                    key = store.key(recipe, edit, seed)
                    retraining = store.get(key)
                    run = {"seed": seed, "draw": draw, "state": "queued"}
                    if retraining:
                        margin = float(retraining.margins[self.target])
                        run |= {
                            "state": "done",
                            "predicted": int(retraining.predicted[self.target]),
                            "margin": margin if math.isfinite(margin) else None,
                        }
                        newest = max(newest or 0, retraining.created)
                        seconds += retraining.seconds
                    elif key in bundled:
                        known = bundled[key]
                        run |= {"state": "done", "predicted": known.predicted, "margin": known.margin}
                        newest, seconds = max(newest or 0, known.created), seconds + known.seconds
                    elif key in live:
                        run |= {"state": "running", "epoch": live[key]["epoch"], "epochs": live[key]["epochs"]}
                    runs.append(run)
            parts[part] = self._verdict(runs, int(workspace.val_labels[self.target]))
        edited = parts.pop("edit")
        return {
            "target": self.target,
            "ranking": self.ranking,
            "kind": self.kind,
            "k": self.k,
            "recipe": self.recipe,
            "recipe_hash": recipe,
            "seeds": self.seeds,
            **edited,
            "controls": parts,
            "complete": all(part["n"] == part["of"] for part in (edited, *parts.values())),
            "newest": newest,
            "seconds": round(seconds, 2),
            **{name: self[name] for name in ("end", "groups") if name in self},
        }

    @staticmethod
    def _verdict(runs: list[dict], label: int) -> dict:
        done = [run for run in runs if run["state"] == "done"]
        predictions = [run["predicted"] for run in done]
        return {
            "runs": runs,
            "wrong": sum(predicted != label for predicted in predictions),
            "n": len(done),
            "of": len(runs),
            "flipped": probe_verdict(predictions, label, len(runs)) if runs else None,
            "predictions": predictions,
            "margins": [run["margin"] for run in done],
        }


def retrain_spec(
    workspace: Workspace,
    target: int,
    ranking: str | None,
    kind: str,
    k: int,
    seeds=SEEDS,
    draws: int | None = None,
    ids=None,
    *,
    end: str = "helpful",
    groups: dict | None = None,
    recipe: str | None = None,
) -> RetrainSpec:
    """Retrain after an edit, beside its controls.

    ids: the training images themselves instead of a ranking's first k; those that carry the new label already are left
    out. draws: random controls, `control_draws` if not given. end: "harmful" takes the k that a repair would remove.
    groups: see `support_spec`; the controls then match all the images removed. recipe: by name, the workspace's if not
    given.
    Raises UserError for a target, ranking, kind, k or ids that do not fit the workspace, and for wrong labels where
    there are no base models to name the class most easily mistaken.

    >>> spec = retrain_spec(Workspace.open(), 44, "trak-10", "remove", k=5)
    >>> spec.describe(), spec.total
    ('target 44: retrain without the first 5 of trak-10', 15)
    """
    target = workspace.check_target(target)
    check_edit_kind(kind)
    check_groups(kind, groups)
    if ids is None:
        k = check_k(k)
        if end == "harmful" and kind != "remove":
            raise UserError("the most harmful images can be removed, not relabelled; leave the labels as they are")
        # without ids a ranking is named
        ranked = edit_steps(workspace, ranking, target, "repair" if end == "harmful" else kind, k, groups)  # type: ignore[arg-type]
        if len(ranked) < k:
            raise UserError(
                f"k = {k} is larger than the {len(ranked)} images {ranking} ranks for this target; "
                f"give at most {len(ranked)}"
            )
        ids = np.concatenate(ranked)
    elif not len(ids):
        raise UserError("no training images were given; name at least one")
    for i in ids:
        if not 0 <= i < workspace.n_train:
            raise UserError(f"training image {i} is out of range; give 0 to {workspace.n_train - 1}")
    ids = changeable_ids(workspace, target, kind, ids)
    if not len(ids):
        raise UserError("all these images carry the new label already; choose others, or remove them instead")
    edit = build_edit(workspace, target, kind, ids)
    if groups:
        k = k if ranking else edit.k
        if not ranking:
            ids = np.concatenate(near_duplicates.groups_of_images(workspace, ids, groups))
            edit = build_edit(workspace, target, kind, ids)
        groups = groups | {"along": edit.k - k}
    if not len(seeds):
        raise UserError("give at least one seed")
    common = common_fields(workspace, recipe)
    return RetrainSpec(
        **common,
        target=target,
        ranking=ranking,
        kind=kind,
        k=k if groups else edit.k,
        ids=[int(i) for i in ids],
        seeds=needed_seeds(workspace, recipe, seeds),
        draws=control_draws(common["recipe"]) if draws is None else int(draws),
        groups=groups or None,
        end=end if ranking and end == "harmful" else None,
    )
