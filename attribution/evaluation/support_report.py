"""How good rankings are by the supports that studies found: the report, comparisons, and the steps of the curves."""

from pathlib import Path

from attribution.experiments import support_table
from attribution.experiments.prefixes import EDIT_KINDS
from attribution.experiments.study import Study, read_study, select_rankings
from attribution.experiments.support_search import Support
from attribution.importing.formats import paper_results
from attribution.metrics import statistics, support_curves
from attribution.training import recipes


def supports_report(workspace, store, protocol: str | None = None, names: list[str] | None = None) -> dict:
    """What `evaluate supports` reports: AUC, interval, median, censoring and wins, for each kind of support. names: as
    `select_rankings`."""
    found = select_rankings(workspace, read_study(workspace, store, protocol), names)
    return {
        "recipe": workspace.recipe,
        "recipe_hash": recipes.get_recipe(workspace.recipe).hash,
        "protocol": found.protocol,
        "K": found.k_max,
        "planted": workspace.planted,
        "kinds": evaluate_study(found),
    }


def paper_report(folders: dict[str, Path], k_max: int) -> dict:
    """The same of supports that the paper's repository wrote: ranking -> folder of `<target>.pkl`, of one kind of edit.

    They have no trace, so that none is known to be unstable, and 0 says that the target was wrong already. Raises
    UserError for a folder that has none, and for a file that holds more than a whole number.
    """
    tables = {}
    for name, folder in folders.items():
        tables[name] = {}
        for target, size in paper_results.load_folder(folder).items():
            status = {-1: "censored", 0: "already_wrong"}.get(size, "flipped")
            found = size if status == "flipped" else None
            tables[name][target] = Support(status, found, None, found)
    measured = support_curves.compare_rankings(tables, k_max)
    for row in measured["rankings"].values():
        del row["trainings_mean"], row["unstable"], row["auc_stable"], row["unfinished"]
    return {"protocol": "paper", "K": k_max, **measured}


def compare_on_same_targets(workspace, store, names: list[str], kinds=EDIT_KINDS) -> dict[str, dict]:
    """Supports of the rankings `names` on the same targets, as far as studies have found any.

    kind -> {"protocol", "K", "targets": n, "unfinished": how many targets of theirs are not done yet, which tilts what
    is (those that never flip are done first), "rankings": {name: row of `support_curves.summarise_supports`}}, for kinds that any of them
    was studied for. Of several protocols, the one that most of these rankings were studied under, then the one with
    most targets: those with something to flip that all of them have finished. A ranking with fewer than half as many
    as another has is left out.
    """
    found = {
        protocol: read_study(workspace, store, protocol)
        for protocol in support_table.answered_protocols(workspace, store)
    }
    answer = {}
    for kind in kinds:
        best = None
        for protocol, one in found.items():
            tables = one.tables.get(kind, {})
            done = {
                name: {
                    target
                    for target, got in tables[name].items()
                    if got is not None and got.status not in support_curves.NO_SUPPORT_STATUSES
                }
                for name in names
                if name in tables
            }
            enough = max(map(len, done.values()), default=0) / 2
            done = {name: targets for name, targets in done.items() if targets and len(targets) >= enough}
            common = set.intersection(*done.values()) if done else set()
            if common and (best is None or (len(done), len(common)) > best[0]):
                best = (len(done), len(common)), protocol, list(done), sorted(common)
        if best:
            _, protocol, studied, common = best
            tables, k_max = found[protocol].tables[kind], found[protocol].k_max
            rows = {
                name: support_curves.summarise_supports([tables[name][target] for target in common], k_max)
                for name in studied
            }
            going = {target for name in studied for target, got in tables[name].items() if got is None}
            answer[kind] = {
                "protocol": protocol,
                "K": k_max,
                "targets": len(common),
                "unfinished": len(going),
                "rankings": rows,
            }
    return answer


def evaluate_study(found: Study) -> dict[str, dict]:
    """kind -> {"rankings", "wins"} of `support_curves.compare_rankings`, with "pairs": see `list_pairs`."""
    answer = {}
    for kind, rankings in found.tables.items():
        answer[kind] = support_curves.compare_rankings(rankings, found.k_max)
        answer[kind]["pairs"] = list_pairs(answer[kind]["wins"])
    return answer


def list_pairs(wins: dict) -> list[dict]:
    """`support_curves.compare_pairs` with each pair once: its rows, and "a", "b", and "p_holm", the sign test's p over all pairs."""
    names = list(wins)
    rows = [{"a": a, "b": b, **wins[a][b]} for at, a in enumerate(names) for b in names[at + 1 :]]
    return [row | {"p_holm": p} for row, p in zip(rows, statistics.holm_correction([row["p"] for row in rows]))]


def cdf_points(results: dict[int, Support | None], k_max: int) -> list[tuple[int, float, int, str]]:
    """The steps of a support CDF: (k, share of targets flipped by then, target, status), a flipped target each."""
    done = {
        target: one
        for target, one in results.items()
        if one is not None and one.status not in support_curves.NO_SUPPORT_STATUSES
    }
    flipped = sorted(
        (one.support, target) for target, one in done.items() if one.support is not None and one.support <= k_max
    )
    return [(k, at / len(done), target, done[target].status) for at, (k, target) in enumerate(flipped, 1)]


def support_status(one: Support | None) -> str:
    """ "unfinished", or the answer's status."""
    return "unfinished" if one is None else one.status
