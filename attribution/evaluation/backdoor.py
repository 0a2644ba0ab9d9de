"""Do rankings find the images that planted a backdoor? Needs a poisoned copy of a workspace (`evaluation.poison`).

Rankings explain the predictions of triggered targets as Debug does (`lineup.lineup_rows`,
explain="predicted"): an unsigned row searches images of the predicted class for similar ones; a signed row searches all
images for those that speak against the true class, and is measured a second time among images of the predicted class
alone. The same is measured for the targets without the patch: a ranking that finds as many there has found images whose
label does not match their look, not the trigger. Then models are retrained without the images that a ranking accuses
most, and the attack is tried again.

With its published candidates, images of the target's true class, a similarity cannot find a poisoned image: these carry
another label.

This is the mixed data set test, too (Hammoudeh and Lowd, arXiv 2201.10055; `MixedDatasetsMetric` of quanda, Bareeva et
al., arXiv 2410.07158): a few foreign images under one class among many clean ones, the foreign ones here with a drawn
patch. Its figure is "auprc".
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.evaluation.poison import load_poison_info, load_poison_record
from attribution.experiments import jobs
from attribution.experiments.retrain import retrain_spec
from attribution.explore.lineup import lineup_rows
from attribution.files import read_json
from attribution.metrics.label_detection import average_precision
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings import default_rankings
from attribution.rankings.base import top_k
from attribution.rankings.candidates import CANDIDATES_MARK
from attribution.store.results import ResultStore
from attribution.training.edits import Edit, remove
from attribution.workspace.parts import Part, Progress, base_digest, ranking_versions
from attribution.workspace.workspace import DEMO, Workspace

STORED = Part("backdoor", "backdoor.json")
PART = STORED.name
PRECISION_KS = (10, 50)  # and the number of poisoned images
SEEDS = range(5)
#: answers found on poisoned copies of the bundled workspaces
BUNDLED_RESULTS = DEMO.parent / "results"
#: the removals beside those of rankings
NO_REMOVAL, ORACLE_REMOVAL = "nothing", "the poisoned images"


def compute(
    workspace: Workspace,
    names: list[str] | None = None,
    seeds: Iterable[int] = SEEDS,
    progress: Progress = lambda *at: None,
) -> dict:
    """How many of each ranking's top images are poisoned, and what is left of the attack without them.

    {"n", "class", "side", "triggered", "models", "success": {"mean", "ci", "n"}, "untriggered": the same of the
    targets without the patch, "hit": targets that most base models take for the class, "seeds", "rankings":
    [{"ranking", "candidates": None or "predicted", "pool": number of candidates, "chance": share of them that is
    poisoned, "auprc": {"mean", "ci", "n"}, "precision": {k: the same}, "plain": precision of the top n for the targets
    without the patch, among the same candidates, "removed": how many of the n most accused are poisoned, "success",
    "accuracy", "control": {"success", "accuracy"}}], "removals": {"nothing", "the poisoned images":
    {"success", "accuracy"}}}.

    auprc: the area under the precision-recall curve (`label_detection.average_precision`) of each hit target's scores
    of all candidates, poisoned against clean; chance is its level for scores that know nothing. Precision is over hit
    targets. Success is the share of all triggered targets that is taken for the class, a mean
    over seeds. The n most accused: see `most_accused`, of the hit targets' top n. control: as many random images of the
    same classes removed. accuracy is on the ordinary validation images. ci: 95 % bootstrap over targets. The runner
    does and stores the trainings; if interrupted, call it again to go on. Raises UserError where the workspace is not
    poisoned, has no base models, or no target is hit, and for a ranking that does not score every image for every
    target, or whose name says its candidates.
    """
    poison, targets, originals = load_poison_record(workspace)
    workspace.check_base()
    info, base = load_poison_info(workspace), workspace.base
    label, n = info["class"], info["n"]
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
                f"{name} names its candidates, and the backdoor check has its own; name it without {CANDIDATES_MARK}"
            )
        if not _is_applicable(workspace.ranking(name)):
            raise UserError(f"{name} does not score every training image for every target; leave it out")
    to_measure = rows_to_measure(workspace, names)
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for name, candidates in to_measure:
            progress("backdoor: rankings", len(rows), len(to_measure))
            rows.append(_measure_row(workspace, name, candidates, hit, originals[np.isin(targets, hit)], n, poison))
    removals = {NO_REMOVAL: [], ORACLE_REMOVAL: poison, **{_removal_name(row): row.pop("accused") for row in rows}}
    outcomes = _retrain_without(workspace, removals, label, targets, list(seeds), progress)
    for row in rows:
        row |= outcomes.pop(_removal_name(row))
    for outcome in outcomes.values():  # random images instead of none, or of the poisoned ones, tell nothing
        outcome.pop("control", None)
    return {
        **info,
        "triggered": len(targets),
        "models": base.n_models,
        "success": mean_with_interval(fooled[:, targets].mean(0)),
        "untriggered": mean_with_interval(fooled[:, originals].mean(0)),
        "hit": len(hit),
        "seeds": list(seeds),
        "rankings": rows,
        "removals": outcomes,
    }


def save(workspace: Workspace, answer: dict, provenance: dict) -> None:
    """Stores an answer of `compute` as the part "backdoor", with its provenance."""
    versions = ranking_versions(workspace, [row["ranking"] for row in answer["rankings"]])
    STORED.save(workspace, answer, {"base": base_digest(workspace), "of": versions, **provenance})


def load(workspace: Workspace) -> dict | None:
    """Of a poisoned workspace the stored answer, as `Part.load`. Of another one the bundled answer that was found on a
    poisoned copy of it, with its provenance under "about"; None where there is none. Raises UserError where it cannot
    be read."""
    if load_poison_info(workspace):
        return STORED.load(workspace)
    for file in sorted(BUNDLED_RESULTS.glob(f"*/{STORED.file}")):
        try:
            answer = read_json(file)
            if answer["of"] == workspace.fingerprint:
                return answer
        except (UserError, OSError, KeyError, TypeError) as error:
            raise UserError(f"{file} cannot be read ({error}); install Lineup again") from None
    return None


def with_provenance(workspace: Workspace, answer: dict, provenance: dict) -> dict:
    """`answer` with its provenance under "about", for the workspaces that the poisoned one was made from (`load`):
    `provenance`, "note" (what it was found with) and "commands", which make and measure the poisoned copy again."""
    parts = workspace.manifest["parts"]
    names = {row["ranking"] for row in answer["rankings"]}
    features = [feature for feature in workspace.features() if any(name.endswith(f"-{feature}") for name in names)]
    used = ["base", *(f"features/{feature}" for feature in features), *(f"rankings/{name}" for name in sorted(names))]
    commands = []
    for part in used:
        command = parts.get(part, {}).get("command")
        if command and part != "features/pixels":  # these came with the copy
            kind, _, name = part.partition("/")
            option = f" --name {name}" if kind == "rankings" and "--name" not in command else ""
            commands.append(f"{command}{option} --workspace {workspace.name}")
    trained = [
        f"{feature} features of {parts[f'features/{feature}'].get('epochs', 0)} epochs"
        for feature in features
        if "epochs" in parts[f"features/{feature}"]
    ]
    return {
        **answer,
        "about": {
            **provenance,
            "note": ", ".join([f"{answer['models']} base models", *trained]),
            "commands": [parts["data"]["command"], *commands, f"{provenance['command']} --workspace {workspace.name}"],
        },
    }


def rows_to_measure(workspace: Workspace, names: list[str]) -> list[tuple[str, str | None]]:
    """(ranking, candidates) of every row: signed rankings have two."""
    return [
        (name, candidates)
        for name in names
        for candidates in ((None, "predicted") if workspace.ranking(name).signed else (None,))
    ]


def default_names(workspace: Workspace) -> list[str]:
    """The rankings that are measured where none are named: exemplar SVM in each feature set, stored rankings with every
    score, and random."""
    names = [name for name in workspace.rankings() if name.startswith("esvm-") and name != "esvm-pixels"]
    return [
        name
        for name in dict.fromkeys([*names, *default_rankings(workspace)])
        if _is_applicable(workspace.ranking(name))
    ]


def most_accused(ids: list[np.ndarray], n: int) -> np.ndarray:
    """The n training images that are in most of the lists `ids` (int [k] each, best first), at equal counts those with
    the smaller sum of ranks: int64 [n], most accused first; fewer where the lists hold fewer."""
    ranks = np.concatenate([np.arange(len(order)) for order in ids])
    listed = pd.DataFrame({"image": np.concatenate(ids), "rank": ranks})
    counted = listed.groupby("image")["rank"].agg(["count", "sum"]).reset_index()
    return counted.sort_values(["count", "sum", "image"], ascending=[False, True, True])["image"].to_numpy()[:n]


def _measure_row(workspace, name, candidates, hit, untriggered, n, poison) -> dict:
    rows = [
        lineup_rows(workspace, target, [name], max(n, *PRECISION_KS), explain="predicted", candidates=candidates)[0]
        for target in hit
    ]
    ids = [row.ids for row in rows]
    ranking, end = workspace.ranking(name), -1 if rows[0].end == "harmful" else 1
    pool = ranking.candidates(int(hit[0]), rows[0].candidates)
    # the same scores as of the rows, of every candidate
    poisoned = np.isin(pool, poison)
    areas = [average_precision(poisoned, end * ranking.values(int(target), pool)) for target in hit]
    plain_ids = [pool[top_k(end * ranking.values(int(target), pool), n)] for target in untriggered]
    accused = most_accused([order[:n] for order in ids], n)
    return {
        "ranking": name,
        "candidates": candidates,
        "pool": len(pool),
        "chance": float(poisoned.mean()),
        "auprc": mean_with_interval(np.array(areas)),
        "precision": {
            str(k): mean_with_interval(np.array([np.isin(order[:k], poison).mean() for order in ids]))
            for k in sorted({*PRECISION_KS, n})
        },
        "plain": mean_with_interval(np.array([np.isin(order, poison).mean() for order in plain_ids])),
        "removed": int(np.isin(accused, poison).sum()),
        "accused": accused,
    }


def _removal_name(row) -> str:
    return f"{row['ranking']} {row['candidates'] or ''}".strip()


def _retrain_without(workspace, removals, label, targets, seeds, progress) -> dict:
    """Each removal's {"success", "accuracy"}, and under "control" the same of random images."""
    store, recipe = ResultStore.for_workspace(workspace), workspace.get_recipe().hash
    ordinary = np.setdiff1d(np.arange(workspace.n_val), targets)

    def outcome(edit: Edit) -> dict:
        predicted = np.array([store.get(store.key(recipe, edit, seed)).predicted for seed in seeds])
        right = (predicted == workspace.val_labels)[:, ordinary].mean(0)
        return {
            "success": mean_with_interval((predicted[:, targets] == label).mean(0)),
            "accuracy": mean_with_interval(right),
            "seeds": [round(float(share), 4) for share in (predicted[:, targets] == label).mean(1)],
        }

    outcomes = {}
    try:
        for at, (name, ids) in enumerate(removals.items()):
            progress("backdoor: removals", at, len(removals))
            edit = remove(ids)
            if edit.k:
                # the runner trains what a retraining on a page does: without the images, unedited, without random ones
                spec = retrain_spec(workspace, int(targets[0]), None, "remove", edit.k, seeds, 1, ids)
                jobs.run_job(workspace, spec, lambda *_: None)
                edits = spec.edits(workspace)
                outcomes[name] = {**outcome(edit), "control": outcome(edits["random"][0])}
                outcomes[NO_REMOVAL] = outcome(edits["none"][0])
        progress("backdoor: removals", len(removals), len(removals))
    finally:
        store.close()
    return outcomes


def _is_applicable(ranking) -> bool:
    return ranking.complete and len(ranking.targets) == ranking.workspace.n_val
