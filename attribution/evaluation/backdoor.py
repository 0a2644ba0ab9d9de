"""Do rankings find the images that a backdoor came by? On a poisoned copy of a workspace (`attribution.evaluation.poison`).

Rankings are asked about triggered targets as Explore asks for a prediction's culprits (`lineup.lineup_rows`,
explain="predicted"): an unsigned row looks for what is alike among images of the predicted class; a signed one, among
all images, for what speaks against the true class. A signed ranking is asked a second time among images of the
predicted class alone, as the others are. The same is asked about the targets without the patch: what finds as many then
has found images that are labelled unlike what they look like, not the trigger. Then models are retrained without the
images that a ranking accuses most, and the attack is tried again.

As published, among images of the target's true class, a similarity cannot find a poisoned image: these carry another
label.
"""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.evaluation.poison import load_poison_info, load_poison_record
from attribution.experiments import jobs
from attribution.experiments.retrain import retrain_spec
from attribution.explore.lineup import lineup_rows
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings import default_rankings
from attribution.rankings.base import top_k
from attribution.rankings.candidates import CANDIDATES_MARK
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.training.edits import Edit, remove
from attribution.workspace.parts import load_json_part, save_json_part
from attribution.workspace.workspace import DEMO

PART, FILE = "backdoor", "backdoor.json"
PRECISION_KS = (10, 50)  # and as many as were poisoned
SEEDS = range(5)
#: what was found on poisoned copies of workspaces that come with Lineup
BUNDLED_RESULTS = DEMO.parent / "results"
#: whose images are removed, besides a ranking's
NO_REMOVAL, ORACLE_REMOVAL = "nothing", "the poisoned images"
Progress = Callable[[str, int, int], None]


def compute(workspace, names: list[str] | None = None, seeds=SEEDS, progress: Progress = lambda *at: None) -> dict:
    """How many of each ranking's first images are poisoned, and what is left of the attack without them.

    {"n", "class", "side", "triggered", "models", "success": {"mean", "ci", "n"}, "untriggered": the same of the
    targets without the patch, "hit": targets that most base models take for the class, "seeds", "rankings":
    [{"ranking", "candidates": None or "predicted", "pool": how many images it chooses from, "chance": share of them
    that is poisoned, "precision": {k: {"mean", "ci", "n"}}, "plain": the same of the first n for the targets without
    the patch, among the same images, "removed": how many of the n most accused are poisoned,
    "success", "accuracy", "control": {"success", "accuracy"}}], "removals": {"nothing", "the poisoned images":
    {"success", "accuracy"}}}.

    Precision is over hit targets; success, the share of triggered targets that is taken for the class, over all of
    them, the mean over seeds of each. The n most accused: images that stand in the first n of the most hit targets, of
    equally many those with the smaller sum of ranks. control: as many random images of the same classes removed.
    accuracy is on the ordinary validation images. ci: 95 % bootstrap over targets. Trainings are the runner's, and are
    kept: broken off, it goes on. Raises UserError where the workspace is not poisoned, has no base models, or no target
    is hit, and for a ranking that does not score every image for every target, or says its candidates itself.
    """
    poison, targets, copied = load_poison_record(workspace)
    workspace.check_base()
    about, base = load_poison_info(workspace), workspace.base
    label, n = about["class"], about["n"]
    fooled = base.predicted == label
    hit = targets[base.prediction[targets] == label]
    if not len(hit):
        raise UserError(
            f"the backdoor does not work: no triggered target of {workspace.name} is taken for "
            f"{workspace.classes[label]}; poison more images, or with a larger patch"
        )
    rows, names = [], list(dict.fromkeys(names or default_names(workspace)))
    for name in names:
        if CANDIDATES_MARK in name:
            raise UserError(
                f"{name} says its candidates, and the backdoor asks among its own; name it without {CANDIDATES_MARK}"
            )
        if not _is_applicable(workspace.ranking(name)):
            raise UserError(f"{name} does not score every training image for every target; leave it out")
    wanted = rows_to_measure(workspace, names)
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        for name, candidates in wanted:
            progress("backdoor: rankings", len(rows), len(wanted))
            rows.append(_measure_row(workspace, name, candidates, hit, copied[np.isin(targets, hit)], n, poison))
    removals = {NO_REMOVAL: [], ORACLE_REMOVAL: poison, **{_removal_name(row): row.pop("accused") for row in rows}}
    found = _retrain_without(workspace, removals, label, targets, list(seeds), progress)
    for row in rows:
        row |= found.pop(_removal_name(row))
    for one in found.values():  # a random edit instead of no edit, or of the answer itself, says nothing
        one.pop("control", None)
    return {
        **about,
        "triggered": len(targets),
        "models": base.n_models,
        "success": mean_with_interval(fooled[:, targets].mean(0)),
        "untriggered": mean_with_interval(fooled[:, copied].mean(0)),
        "hit": len(hit),
        "seeds": list(seeds),
        "rankings": rows,
        "removals": found,
    }


def rows_to_measure(workspace, names: list[str]) -> list[tuple[str, str | None]]:
    """(ranking, candidates) of every row: signed rankings are asked twice."""
    return [
        (name, candidates)
        for name in names
        for candidates in ((None, "predicted") if workspace.ranking(name).signed else (None,))
    ]


def default_names(workspace) -> list[str]:
    """The rankings that are asked where nobody says which: exemplar SVM in each feature set, those that are stored with
    every score, and random."""
    names = [name for name in workspace.rankings() if name.startswith("esvm-") and name != "esvm-pixels"]
    return [
        name
        for name in dict.fromkeys([*names, *default_rankings(workspace)])
        if _is_applicable(workspace.ranking(name))
    ]


def _is_applicable(ranking) -> bool:
    return ranking.complete and len(ranking.targets) == ranking.workspace.n_val


def most_accused(ids: list[np.ndarray], n: int) -> np.ndarray:
    """The n training images that stand in most of the lists `ids` (best first); of equally many, those with the smaller
    sum of ranks. int64 [n'], most accused first; fewer where fewer are named."""
    named = pd.DataFrame({"image": np.concatenate(ids), "rank": np.concatenate([np.arange(len(one)) for one in ids])})
    counted = named.groupby("image")["rank"].agg(["count", "sum"]).reset_index()
    return counted.sort_values(["count", "sum", "image"], ascending=[False, True, True])["image"].to_numpy()[:n]


def _measure_row(workspace, name, candidates, hit, plain, n, poison) -> dict:
    most = max(n, *PRECISION_KS)
    rows = [
        lineup_rows(workspace, target, [name], most, explain="predicted", candidates=candidates)[0] for target in hit
    ]
    ids = [row.ids for row in rows]
    ranking, end = workspace.ranking(name), -1 if rows[0].end == "harmful" else 1
    pool = ranking.candidates(int(hit[0]), rows[0].candidates)
    without = [pool[top_k(end * ranking.values(int(target), pool), n)] for target in plain]
    worst = most_accused([one[:n] for one in ids], n)
    return {
        "ranking": name,
        "candidates": candidates,
        "pool": len(pool),
        "chance": float(np.isin(pool, poison).mean()),
        "precision": {
            str(k): mean_with_interval(np.array([np.isin(one[:k], poison).mean() for one in ids]))
            for k in sorted({*PRECISION_KS, n})
        },
        "plain": mean_with_interval(np.array([np.isin(one, poison).mean() for one in without])),
        "removed": int(np.isin(worst, poison).sum()),
        "accused": worst,
    }


def _removal_name(row) -> str:
    return f"{row['ranking']} {row['candidates'] or ''}".strip()


def _retrain_without(workspace, removals, label, targets, seeds, progress) -> dict:
    """Each removal's {"success", "accuracy"}, and under "control" the same of random images."""
    store, recipe = ResultStore.for_workspace(workspace), recipes.get_recipe(workspace.recipe).hash
    ordinary = np.setdiff1d(np.arange(workspace.n_val), targets)

    def told(edit: Edit) -> dict:
        predicted = np.array([store.get(store.key(recipe, edit, seed)).predicted for seed in seeds])
        right = (predicted == workspace.val_labels)[:, ordinary].mean(0)
        return {
            "success": mean_with_interval((predicted[:, targets] == label).mean(0)),
            "accuracy": mean_with_interval(right),
            "seeds": [round(float(one), 4) for one in (predicted[:, targets] == label).mean(1)],
        }

    found = {}
    with store:
        for at, (name, ids) in enumerate(removals.items()):
            progress("backdoor: removals", at, len(removals))
            edit = remove(ids)
            if edit.k:
                # the runner trains what a person asks for on Brittleness: the images, nothing, and random ones
                spec = retrain_spec(workspace, int(targets[0]), None, "remove", edit.k, seeds, 1, ids)
                jobs.run_job(workspace, spec, lambda *_: None)
                edits = spec.edits(workspace)
                found[name] = {**told(edit), "control": told(edits["random"][0])}
                found[NO_REMOVAL] = told(edits["none"][0])
        progress("backdoor: removals", len(removals), len(removals))
    return found


# -- kept, so that a page need not compute


def save(workspace, answer: dict, about: dict) -> None:
    """Keeps what was measured as the part "backdoor", where a user's parts go; about: provenance."""
    save_json_part(
        workspace,
        PART,
        FILE,
        answer,
        {
            "base": workspace.manifest["parts"]["base"].get("digest"),
            "of": {row["ranking"]: workspace.ranking(row["ranking"]).version for row in answer["rankings"]},
            **about,
        },
    )


def with_provenance(workspace, answer: dict, about: dict) -> dict:
    """`answer` with its provenance under "about", for workspaces that the poisoned one was made from (`load`):
    `about`, "note" (what it was found with) and "commands", which make and measure the poisoned copy again."""
    parts = workspace.manifest["parts"]
    asked_of = {row["ranking"] for row in answer["rankings"]}
    features = [name for name in workspace.features() if any(one.endswith(f"-{name}") for one in asked_of)]
    used = ["base", *(f"features/{name}" for name in features), *(f"rankings/{name}" for name in sorted(asked_of))]
    commands = []
    for part in used:
        command = parts.get(part, {}).get("command")
        if command and part != "features/pixels":  # these came with the copy
            kind, _, name = part.partition("/")
            called = f" --name {name}" if kind == "rankings" and "--name" not in command else ""
            commands.append(f"{command}{called} --workspace {workspace.name}")
    trained = [
        f"{name} features of {parts[f'features/{name}'].get('epochs', 0)} epochs"
        for name in features
        if "epochs" in parts[f"features/{name}"]
    ]
    return {
        **answer,
        "about": {
            **about,
            "note": ", ".join([f"{answer['models']} base models", *trained]),
            "commands": [parts["data"]["command"], *commands, f"{about['command']} --workspace {workspace.name}"],
        },
    }


def load(workspace) -> dict | None:
    """What was kept last of a poisoned workspace; None where a ranking of it or the base models are others by now. Of
    another workspace what Lineup brings, found on a poisoned copy of it, with its provenance under "about"; None where
    there is none. Raises UserError where it cannot be read."""
    if load_poison_info(workspace):
        return load_json_part(workspace, PART, FILE)
    for file in sorted(BUNDLED_RESULTS.glob(f"*/{FILE}")):
        try:
            found = json.loads(file.read_text())
            if found["of"] == workspace.fingerprint:
                return found
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{file} cannot be read ({error}); install Lineup again") from None
    return None
