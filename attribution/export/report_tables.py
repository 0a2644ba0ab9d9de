"""The report's tables: of a target's supports and retrainings, of each measurement of Compare, and of provenance.

Those in TABLES want their measurement to be stored: the report asks for its chart first, which says so where it is not.
"""

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
from markupsafe import Markup

from attribution.errors import UserError
from attribution.evaluation import (
    agreement,
    calibration,
    candidate_sets,
    cost,
    lds_report,
    lds_vs_compute,
    lds_vs_support,
    support_report,
)
from attribution.experiments import support_table
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import common_fields
from attribution.experiments.study import Study, read_study, select_rankings
from attribution.experiments.support import SupportSpec
from attribution.explore.opening_target import support_votes
from attribution.export.numbers import byte_size, duration, interval, number, p_value
from attribution.export.tables import Column, numeric, ranking_name, to_html
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

MAX_JOBS = 10_000  # single retrainings that are looked through for those of the target
KINDS = support_report.KINDS
MEASURES = {"jaccard": "Jaccard", "rbo": "rank-biased overlap", "spearman": "Spearman"}
EDITS = {"remove": "without", "mislabel": "with wrong labels on"}
VERDICTS = {True: "flipped", False: "kept", None: "undecided"}


def _estimate(row: dict, key: str, ci: str = "ci", digits: int = 3) -> list[str]:
    """A value of `row` and its interval, as two cells."""
    return [number(row.get(key), digits), interval(row.get(ci), digits)]


def _or_none(value: float | None, write: Callable) -> str | None:
    """A size or duration in words: "none" for 0, None where it is not known."""
    return None if value is None else write(value) if value else "none"


def _numbers_text(numbers: list) -> str:
    """[0, 1, 2, 3] -> "0 to 3", [0, 2] -> "0, 2"."""
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def versions_text(versions: dict) -> str:
    """{"numpy": "2.1"} -> "numpy 2.1"."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


# -- of the target


def supports_of(workspace: Workspace, store: ResultStore, target: int) -> list[dict]:
    """Every support that is known of a target, under any recipe, the workspace's first: rows of
    `support_table.load_support_table` as dicts, with "recipe", and "more": what makes it another question than the
    plain one, or ""."""
    rows = []
    for recipe in workspace.recipe_names():
        table = support_table.load_support_table(workspace, store, recipe, target=target)
        rows += [{**row, "recipe": recipe, "more": ""} for row in table.to_dict("records")]
        for question, body in store.answers(workspace.get_recipe(recipe).hash, "support"):
            spec = SupportSpec.from_json({**common_fields(workspace, recipe), **question})
            if spec.target == target and spec.answer(workspace, store):
                more = [f"without {len(question['without'])} images found before"] if question.get("without") else []
                more += ["with near-duplicates"] if question.get("groups") else []
                rows.append({**question, **body, "recipe": recipe, "more": ", ".join(more)})
    for row in rows:
        row |= {key: int(row[key]) if pd.notna(row[key]) else None for key in support_table.SIZE_COLUMNS}

    def order(row: dict) -> tuple:
        recipe, kind = row["recipe"], list(KINDS).index(row["kind"])
        return recipe != workspace.recipe, recipe, kind, row["ranking"], row["protocol"], row["k_max"], row["more"]

    return sorted(rows, key=order)


def support_text(row: dict) -> str:
    """ "4", "≈ 4", "no flip within 128" or a status such as "already wrong" of a row of `supports_of`."""
    if row["support"]:
        return f"{'≈ ' * (row['status'] == 'unstable')}{row['support']}"
    return (
        f"no {'repair' if row['kind'] == 'repair' else 'flip'} within {row['k_max']}"
        if row["status"] == "censored"
        else row["status"].replace("_", " ")
    )


def supports_table(workspace: Workspace, rows: list[dict]) -> Markup:
    """rows: of `supports_of`. Columns after the first three that say nothing are left out."""

    def votes(row: dict) -> str | None:
        """What the models said at the support."""
        if not row["support"] or row["kind"] == "repair":
            return None
        votes = support_votes(workspace, SimpleNamespace(**row))
        if not votes.seeds:
            return None
        return f"{workspace.classes[votes.wrong_class]} in {votes.votes} of {votes.seeds} at k = {votes.k}"

    def other_seeds(row: dict) -> str | None:
        ends = row.get("others")
        return " to ".join(str(end or "beyond") for end in ends) if isinstance(ends, list) else None

    columns = {
        "ranking": lambda row: ranking_name(row["ranking"]),
        "kind": lambda row: KINDS[row["kind"]],
        "support": support_text,
        "bracket": lambda row: f"({row['lo']}, {row['hi']}]" if row["hi"] else None,
        "votes": votes,
        "with other seeds (90 %)": other_seeds,
        "protocol": lambda row: row["protocol"],
        "K": lambda row: row["k_max"],
        "trainings": lambda row: row["trainings"],
        "recipe": lambda row: row["recipe"],
        "also": lambda row: row["more"] or None,
    }
    cells = {head: [write(row) for row in rows] for head, write in columns.items()}
    shown = {head: values for head, values in cells.items() if any(value is not None for value in values)}
    heads = [Column(head, numeric=head in ("K", "trainings")) for head in shown]
    return to_html(heads, zip(*shown.values()), "Supports of this target")


def retrainings_of(workspace: Workspace, store: ResultStore, target: int) -> list[dict]:
    """Every single retraining of a target that was asked for and has results, oldest first, each question once: dicts
    as `RetrainSpec.answer`, with "what": the edit in words."""
    answers, seen = [], set()
    for job in sorted(store.jobs_of_verb("retrain", MAX_JOBS), key=lambda job: job.id):
        question = repr(sorted((name, value) for name, value in job.spec.items() if name != "workspace"))
        if job.spec["target"] != target or question in seen:
            continue
        seen.add(question)
        try:
            spec = RetrainSpec.from_json(job.spec)
            answer = spec.answer(workspace, store)
        except UserError:  # of a recipe or label that is no longer here
            continue
        if answer["n"]:
            answers.append(answer | {"what": f"{EDITS[spec.kind]} {spec.images()}"})
    return answers


def retrainings_table(workspace: Workspace, answers: list[dict]) -> Markup:
    """answers: of `retrainings_of`. Three rows each: the edit, as many random images, and nothing edited."""
    rows = []
    for place, answer in enumerate(answers, 1):
        random = f"{EDITS[answer['kind']]} as many random images of the same classes"
        trainings = {
            answer["what"]: answer,
            random: answer["controls"]["random"],
            "all images as they are": answer["controls"]["none"],
        }
        unedited = answer["controls"]["none"]
        for name, training in trainings.items():
            margins = [margin for margin in training["margins"] if margin is not None]
            classes = Counter(workspace.classes[c] for c in training["predictions"])
            votes = sorted(((n, label) for label, n in classes.items()), reverse=True)
            rows.append(
                [
                    f"{place}: {name}",
                    ", ".join(f"{label} {n}" for n, label in votes) or None,
                    _verdict(training["flipped"], unedited["flipped"], edited=training is not unedited),
                    f"{training['wrong']} of {training['n']}",
                    number(float(np.mean(margins)) if margins else None, 2),
                    _numbers_text(answer["seeds"]),
                    f"{answer['recipe']} {answer['recipe_hash']}",
                ]
            )
    columns = ["training", "votes", "verdict", *numeric("wrong", "mean margin"), "seeds", "recipe"]
    return to_html(columns, rows, "Retrainings of this target, with controls")


def _verdict(flipped: bool | None, wrong_unedited: bool | None, edited: bool) -> str:
    """What became of a target: one that is wrong without any edit cannot flip. None: undecided."""
    if not wrong_unedited or flipped is None:
        return VERDICTS[flipped]
    return f"wrong without any edit{', too' * edited}" if flipped else "repaired"


# -- of the workspace: studies and LDS


def study_tables(workspace: Workspace, study: Study) -> list[Markup]:
    """Supports of each kind, every two rankings compared, and LDS, as far as they are known."""
    tables = []
    for kind, measured in support_report.evaluate_study(study).items():
        rows = [
            [
                ranking_name(name),
                *_estimate(row, "auc", "auc_ci", 2),
                f"> {study.k_max}" if row["median"] is None else f"{row['median']:g}",
                None if row["censored"] is None else f"{round(row['censored'] * row['n'])} of {row['n']}",
                row["unstable"],
                row["already_wrong"] + row["already_right"],
                row["unfinished"],
                number(row["trainings_mean"], 0),
            ]
            for name, row in measured["rankings"].items()
        ]
        counts = [
            "median",
            "no flip",
            "approximate (≈)",
            "already wrong or right",
            "unfinished",
            "trainings per target",
        ]
        tables.append(
            to_html(
                ["ranking", *numeric("AUC", "95 %", *counts)],
                rows,
                f"Supports by {KINDS[kind]}, {_target_counts(measured)}, K = {study.k_max}, "
                f"protocol {study.protocol}; intervals are "
                "bootstraps over targets",
            )
        )
        pairs = [
            [
                ranking_name(row["a"]),
                ranking_name(row["b"]),
                f"{row['win']}, {row['tie']}, {row['loss']}",
                p_value(row["p_holm"]),
                *_estimate(row, "auc_difference", "auc_difference_ci", 2),
                p_value(row["auc_difference_p_holm"]),
            ]
            for row in measured["pairs"]
        ]
        heads = numeric("won, tied, lost", "p, Holm", "AUC difference", "95 %", "p, Holm")
        caption = f"Ranking against ranking by {KINDS[kind]}, on the same targets"
        tables += [to_html(["ranking", "against", *heads], pairs, caption)] if pairs else []
    lds = lds_report.load(workspace)
    if lds and lds["rankings"]:
        second = lds.get("second_draw", {}).get("rankings")
        tables.append(
            to_html(
                ["ranking", *numeric("LDS", "95 %", *(["LDS, second draw", "95 %"] if second else []))],
                [
                    [ranking_name(name), *_estimate(row, "lds")] + (_estimate(second[name], "lds") if second else [])
                    for name, row in lds["rankings"].items()
                ],
                f"LDS over {lds['masks']} held-out halves with {lds['seeds']} seeds each (linear datamodeling score: "
                "rank correlation of a ranking's predictions with the margins of models trained on random halves), "
                "mean over targets",
                [
                    "noise ceiling",
                    *_estimate(lds, "ceiling"),
                    *(_estimate(lds["second_draw"], "ceiling") if second else []),
                ],
            )
        )
    return tables


def _target_counts(measured: dict) -> str:
    """ "40 targets", of how many the AUCs of a kind are."""
    n = sorted({row["n"] for row in measured["rankings"].values()})
    return f"{' to '.join(map(str, dict.fromkeys((n[0], n[-1]))))} target{'s' * (n != [1])}"


# -- of the workspace: each measurement


def _agreement(workspace: Workspace, store: ResultStore) -> Markup:
    summary = agreement.report(agreement.load(workspace))
    names = list(summary["pairs"])
    pairs = [
        [
            ranking_name(a),
            ranking_name(b),
            *(cell for measure in agreement.MEASURES for cell in _estimate(summary["pairs"][a][b][measure], "mean")),
        ]
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    shares = [
        [ranking_name(name), *(cell for key in ("same_class", "cross_class") for cell in _estimate(row[key], "mean"))]
        for name, row in summary["rankings"].items()
    ]
    heads = numeric(*(head for measure in agreement.MEASURES for head in (MEASURES[measure], "95 %")))
    return to_html(
        ["ranking", "and", *heads], pairs, f"Agreement of the top {summary['k']}, {summary['targets']:,} targets"
    ) + to_html(
        ["ranking", *numeric("the target's class", "95 %", "other classes", "95 %")],
        shares,
        f"Labels of each ranking's top {summary['k']}, as shares",
    )


def _lds_against_supports(workspace: Workspace, store: ResultStore) -> Markup:
    study = select_rankings(workspace, read_study(workspace, store))
    report = lds_vs_support.report(workspace, study, lds_vs_support.load(workspace))
    heads = numeric("targets", "no flip", "Spearman", "95 %", "p", "margin held fixed", "LDS reliability")
    tables = [
        to_html(
            ["ranking", *heads],
            [
                [
                    ranking_name(name),
                    row["n"],
                    row["censored"],
                    *_estimate(row, "spearman", digits=2),
                    p_value(row["p"]),
                    number(row["partial"], 2),
                    number(row["reliability"], 2),
                ]
                for name, row in result["rankings"].items()
            ],
            f"LDS of a target against how small its support is, by {KINDS[kind]}",
        )
        for kind, result in report["kinds"].items()
    ]
    return Markup().join(tables)


def _auc_cells(support_aucs: dict, name: str) -> list[str]:
    """A ranking's AUC and its interval in each kind of `support_report.compare_on_same_targets`."""
    rows = (kind["rankings"].get(name) or {} for kind in support_aucs.values())
    return [cell for row in rows for cell in _estimate(row, "auc", "auc_ci", 2)]


def _auc_heads(support_aucs: dict) -> list[str]:
    """The heads of `_auc_cells`: what each kind's AUCs are of, since they differ with the targets and the search."""
    return [head for title in support_report.auc_titles(support_aucs).values() for head in (title, "95 %")]


def _candidate_sets(workspace: Workspace, store: ResultStore) -> Markup:
    answer = candidate_sets.load(workspace)
    aucs = candidate_sets.support_aucs(workspace, store, answer)
    rows = [
        [
            ranking_name(name),
            candidate_sets.CANDIDATE_SETS[candidates] + ", as published" * (candidates == ranking["published"]),
            *_estimate(row, "lds"),
            *_estimate(row["same_class"], "mean"),
            *_auc_cells(aucs, candidate_sets.ranking_with_candidates(name, candidates, ranking["published"])),
        ]
        for name, ranking in answer["rankings"].items()
        for candidates, row in ranking["sets"].items()
    ]
    heads = numeric("LDS", "95 %", f"same class in top {answer['k']}", "95 %", *_auc_heads(aucs))
    last = ["noise ceiling", None, number(answer["ceiling"]), *[None] * (len(heads) - 1)]
    return to_html(["ranking", "candidates", *heads], rows, "LDS and AUC by candidates", last)


def _calibration(workspace: Workspace, store: ResultStore) -> Markup:
    summary = calibration.report(workspace, calibration.load(workspace))
    rows = [
        [
            ranking_name(name),
            calibration.ORIGINS[removed],
            row["n"],
            row["targets"],
            None if row["slope"] is None else f"{row['slope']:.3g}",
            *_estimate(row, "r2", "r2_ci", 2),
            number(row["reachable"], 2),
            *_estimate(row, "spearman", "spearman_ci", 2),
        ]
        for name, groups in summary["rankings"].items()
        for removed, row in groups.items()
    ]
    heads = numeric("removals", "targets", "slope", "R²", "95 %", "R² ceiling", "Spearman", "95 %")
    return to_html(
        ["ranking", "images removed", *heads],
        rows,
        f"Predicted and measured change of margins, {summary['targets']} targets; R² on targets that the slope was "
        f"not fitted on, over {summary['splits']} random halves",
    )


def _compute(workspace: Workspace, store: ResultStore) -> Markup:
    answer = lds_vs_compute.load(workspace)
    aucs = lds_vs_compute.support_aucs(workspace, store, answer)
    rows = [
        [
            ranking_name(row["method"].lower() if row["models"] else row["name"], lds_vs_compute.label(row)),
            row["models"] or None,
            *_estimate(row, "lds"),
            *(_or_none(row[key], duration) for key in ("training_seconds", "computing_seconds", "seconds")),
            _or_none(row["bytes"], byte_size),
            *_auc_cells(aucs, lds_vs_compute.variant_ranking(row)),
        ]
        for row in answer["rows"]
    ]
    heads = numeric("models", "LDS", "95 %", "training", "scoring", "one-core time", "input size", *_auc_heads(aucs))
    last = ["noise ceiling", None, number(answer["ceiling"]), *[None] * (len(heads) - 2)]
    return to_html(["variant", *heads], rows, "LDS and AUC against compute; times are of one core", last)


def _cost(workspace: Workspace, store: ResultStore) -> Markup:
    answer = cost.load(workspace)
    lds, aucs = cost.lds_and_support_aucs(workspace, store)
    rows = [
        [
            ranking_name(row["ranking"]),
            _or_none(row["bytes"], byte_size),
            _or_none(row["build_seconds"], duration),
            number(row["query_ms"], 2),
            *_estimate(row, "lds", "lds_ci"),
            *_estimate(row, "auc", "auc_ci", 2),
        ]
        for row in cost.cost_rows(answer, lds, aucs)
    ]
    removal = {"remove": aucs["remove"]} if "remove" in aucs else {}
    heads = ["stored", "build time", "query, ms", "LDS", "95 %", *(_auc_heads(removal) or ["removal AUC", "95 %"])]
    return to_html(
        ["ranking", *numeric(*heads)],
        rows,
        f"Cost; queries on {answer['machine']}, top {answer['k']}, median of {answer['targets']} targets",
    )


def _features(workspace: Workspace, store: ResultStore) -> Markup:
    rows = [
        [
            row["features"],
            row["dim"],
            _or_none(row["seconds"], duration),
            number(row["knn_accuracy"]),
            row["measured_on"] or None,
        ]
        for row in cost.feature_rows(workspace, *cost.lds_and_feature_aucs(workspace, store))
    ]
    return to_html(
        ["features", *numeric("dimensions", "build time", "kNN accuracy"), "on"],
        rows,
        "Feature sets; LDS of their rankings is in the table above",
    )


#: Name of a chart of Compare -> its tables, in the report's order.
TABLES = {
    "agreement": _agreement,
    "lds-supports": _lds_against_supports,
    "conditioning": _candidate_sets,
    "calibration": _calibration,
    "compute": _compute,
    "cost": _cost,
    "features": _features,
}


# -- where it comes from


def provenance_tables(workspace: Workspace) -> list[Markup]:
    """A row for each part of the workspace; sets of library versions are numbered, and listed once below."""
    version_sets, rows = [], []
    for part, provenance in workspace.manifest["parts"].items():
        versions, number_of_set = provenance.get("versions") or {}, None
        if "python" in versions:  # of libraries; some parts name the rankings' versions instead
            if versions not in version_sets:
                version_sets.append(versions)
            number_of_set = version_sets.index(versions) + 1
        seeds, recipe = provenance.get("seeds", provenance.get("seed")), provenance.get("recipe")
        named = recipe and not isinstance(recipe, dict)
        rows.append(
            [
                part,
                provenance.get("command"),
                number_of_set,
                _numbers_text(seeds) if isinstance(seeds, list) else seeds,
                _or_none(provenance.get("seconds"), duration),
                provenance.get("device"),
                provenance.get("made"),
                f"{recipe} {provenance.get('hash', '')}".strip() if named else None,
                provenance.get("digest"),
            ]
        )
    if not rows:
        return []
    columns = ["part", "command", "versions", "seeds", *numeric("seconds"), "device", "made", "recipe", "digest"]
    tables = [to_html(columns, rows, "Parts of the workspace")]
    if version_sets:
        items = Markup().join(Markup("<li>{}</li>").format(versions_text(versions)) for versions in version_sets)
        tables.append(Markup('<h3>Versions they were made with</h3><ol class="versions">{}</ol>').format(items))
    return tables
