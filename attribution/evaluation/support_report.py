"""How good rankings are by the supports that studies measured: the report, comparisons, the steps of the curves."""

from pathlib import Path

from attribution.experiments import support_table
from attribution.experiments.prefixes import EDIT_KINDS
from attribution.experiments.study import Study, read_study, select_rankings
from attribution.experiments.support_search import Support
from attribution.importing.formats import paper_results
from attribution.metrics import statistics, support_curves
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

#: kind of support -> its name
KINDS = {"remove": "removal", "mislabel": "mislabelling", "repair": "repair"}


def auc_variant(kind: str, targets: int | str, protocol: str) -> str:
    """What an AUC is of. Figures of one name differ with the targets and the search, so that each says these.

    >>> auc_variant("remove", 15, "adaptive")
    'removal, 15 targets, adaptive'
    """
    return f"{KINDS[kind]}, {targets} target{'s' * (str(targets) != '1')}, {protocol}"


def auc_titles(supports: dict[str, dict]) -> dict[str, str]:
    """kind -> "AUC: removal, 15 targets, adaptive" of `compare_on_same_targets`."""
    return {kind: f"AUC: {auc_variant(kind, study['targets'], study['protocol'])}" for kind, study in supports.items()}


def report(
    workspace: Workspace, store: ResultStore, protocol: str | None = None, names: list[str] | None = None
) -> dict:
    """What `evaluate supports` prints: AUC, interval, median, censored share and wins, for each kind of support.
    names: as `select_rankings`."""
    study = select_rankings(workspace, read_study(workspace, store, protocol), names)
    return {
        "recipe": workspace.recipe,
        "recipe_hash": workspace.get_recipe().hash,
        "protocol": study.protocol,
        "K": study.k_max,
        "planted": workspace.planted,
        "kinds": evaluate_study(study),
    }


def paper_report(folders: dict[str, Path], k_max: int) -> dict:
    """The report of supports that the paper's repository wrote. folders: ranking -> folder of `<target>.pkl` files, of
    one kind of edit.

    Without a trace none is known to be unstable; 0 means that the target was already wrong. Raises UserError for a
    folder without such files, and for a file that holds more than a whole number.
    """
    tables = {}
    for name, folder in folders.items():
        tables[name] = {}
        for target, size in paper_results.load_folder(folder).items():
            status = {-1: "censored", 0: "already_wrong"}.get(size, "flipped")
            support = size if status == "flipped" else None
            tables[name][target] = Support(status, support, None, support)
    compared = support_curves.compare_rankings(tables, k_max)
    for row in compared["rankings"].values():
        del row["trainings_mean"], row["unstable"], row["auc_stable"], row["unfinished"]
    return {"protocol": "paper", "K": k_max, **compared}


def compare_on_same_targets(
    workspace: Workspace, store: ResultStore, names: list[str], kinds=EDIT_KINDS, usual_first: bool = False
) -> dict[str, dict]:
    """Supports of the rankings `names` on the same targets, as far as studies have measured them.

    kind -> {"protocol", "K", "targets": n, "unfinished": targets that are not done yet, which biases the result (those
    that never flip are done first), "rankings": {name: `support_curves.summarise_supports`}}, for kinds that any of the
    rankings was studied for. The targets are those with something to flip that all rankings have finished; a ranking
    with a third as many as another, or fewer, is left out. Of several protocols the one with most of these rankings
    is taken, then the one with most targets; with usual_first the workspace's usual one, where it has any of the kind,
    so that the figures are those of its study.
    """
    studies = {
        protocol: read_study(workspace, store, protocol)
        for protocol in support_table.answered_protocols(workspace, store)
    }
    answer, usual = {}, support_table.default_protocol(workspace)
    for kind in kinds:
        best = None
        for protocol, study in studies.items():
            tables = study.tables.get(kind, {})
            done = {
                name: {
                    target
                    for target, support in tables[name].items()
                    if support is not None and support.status not in support_curves.NO_SUPPORT_STATUSES
                }
                for name in names
                if name in tables
            }
            few = max(map(len, done.values()), default=0) / 3
            done = {name: targets for name, targets in done.items() if len(targets) > few}
            common = set.intersection(*done.values()) if done else set()
            rank = (usual_first and protocol == usual, len(done), len(common))
            if common and (best is None or rank > best[0]):
                best = rank, protocol, list(done), sorted(common)
        if best:
            _, protocol, studied, common = best
            tables, k_max = studies[protocol].tables[kind], studies[protocol].k_max
            rows = support_curves.summarise_rankings(
                {name: [tables[name][target] for target in common] for name in studied}, k_max
            )
            unfinished = {target for name in studied for target, support in tables[name].items() if support is None}
            answer[kind] = {
                "protocol": protocol,
                "K": k_max,
                "targets": len(common),
                "unfinished": len(unfinished),
                "rankings": rows,
            }
    return answer


def evaluate_study(study: Study) -> dict[str, dict]:
    """kind -> {"rankings", "wins"} of `support_curves.compare_rankings`, and "pairs" of `list_pairs`."""
    answer = support_curves.compare_kinds(study.tables, study.k_max)
    return {kind: {**measured, "pairs": list_pairs(measured["wins"])} for kind, measured in answer.items()}


def list_pairs(wins: dict) -> list[dict]:
    """The "wins" of `support_curves.compare_rankings` as rows, each pair once, with "a", "b" and "p_holm", the sign
    test's p after Holm's correction over all pairs."""
    names = list(wins)
    rows = [{"a": a, "b": b, **wins[a][b]} for at, a in enumerate(names) for b in names[at + 1 :]]
    return [row | {"p_holm": p} for row, p in zip(rows, statistics.holm_correction([row["p"] for row in rows]))]


def cdf_points(supports: dict[int, Support | None], k_max: int) -> list[tuple[int, float, int, str]]:
    """The steps of a support CDF, one for each flipped target: (k, share of targets flipped by then, target, status).
    supports: target -> its support."""
    done = {
        target: support
        for target, support in supports.items()
        if support is not None and support.status not in support_curves.NO_SUPPORT_STATUSES
    }
    flipped = sorted(
        (support.support, target)
        for target, support in done.items()
        if support.support is not None and support.support <= k_max
    )
    return [(k, at / len(done), target, done[target].status) for at, (k, target) in enumerate(flipped, 1)]


def support_status(support: Support | None) -> str:
    """The status of a support; "unfinished" where its search is."""
    return "unfinished" if support is None else support.status
