"""Studies: the targets that were drawn for a comparison of rankings, and how far each search of them has come.

A support found on a target that somebody picked is no draw: it would tilt the comparison, and is left out here.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from attribution import curves, recipes, supports
from attribution.errors import UserError
from attribution.formats import paper_results
from attribution.measure import KINDS, support_tables
from attribution.probes import KINDS as EDITS
from attribution.support import K, Support


@dataclass
class Study:
    """tables: kind -> ranking -> {target: Support, or None while unfinished}; job: the study under way or paused, or
    None."""

    k_max: int
    protocol: str
    tables: dict[str, dict[str, dict[int, Support | None]]] = field(default_factory=dict)
    job: object = None

    @property
    def version(self) -> str:
        """Changes whenever a result does."""
        return repr(
            [
                (kind, name, sorted((t, one and (one.status, one.support)) for t, one in found.items()))
                for kind, rankings in self.tables.items()
                for name, found in rankings.items()
            ]
        )


def study(workspace, store, protocol: str | None = None, recipe: str | None = None) -> Study:
    """The study a workspace brings, together with those asked for since (jobs in the store).

    Of a study under way or paused every target is in, unfinished or not; of one that was cut short, those with all its
    searches done: the others would tilt it, for targets that never flip are done first. Where there are several K, it
    is the usual one if that is among them, else the one most answers have. protocol and recipe (by name): None means
    the workspace's usual ones.
    """
    protocol = protocol or supports.usual_protocol(workspace)
    recipe = recipe or workspace.recipe
    shipped = supports.table(workspace, recipe=recipe)
    shipped = shipped[shipped.protocol == protocol]
    asked = [job for job in store.studies() if job.spec["protocol"] == protocol and job.spec["recipe"] == recipe]
    sizes = Counter([int(k) for k in shipped.k_max]) + Counter(job.spec["k_max"] for job in asked)
    k_max = K if K in sizes or not sizes else sizes.most_common(1)[0][0]

    wanted: dict[tuple[str, str], set[int]] = {}
    for row in shipped[shipped.k_max == k_max].itertuples():
        wanted.setdefault((row.kind, row.ranking), set()).add(int(row.target))
    asked = [job for job in asked if job.spec["k_max"] == k_max]
    known = support_tables(workspace, store, protocol, k_max, recipe)
    for job in asked:
        spec = job.spec
        pairs = [(kind, ranking) for kind in spec["kinds"] for ranking in spec["rankings"]]
        whole = {
            target
            for target in spec["targets"]
            if not job.ended or all(target in known[kind].get(ranking, {}) for kind, ranking in pairs)
        }
        for pair in pairs:
            if whole:
                wanted.setdefault(pair, set()).update(whole)

    going = sorted((job for job in asked if not job.ended), key=lambda job: not job.open)
    found = Study(k_max, protocol, job=going[0] if going else None)
    order = workspace.rankings()
    for kind in KINDS:
        names = [name for at, name in wanted if at == kind]
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        if names:
            found.tables[kind] = {
                name: {target: known.get(kind, {}).get(name, {}).get(target) for target in sorted(wanted[kind, name])}
                for name in names
            }
    return found


def only(found: Study, names) -> Study:
    """The study of these rankings alone, without kinds that none of them was studied for."""
    tables = {
        kind: {name: results for name, results in table.items() if name in names}
        for kind, table in found.tables.items()
    }
    return replace(found, tables={kind: table for kind, table in tables.items() if table})


def chosen(workspace, found: Study, names: list[str] | None = None) -> Study:
    """`only` those that are named; None: all that the workspace lists, for a ranking that is there to be measured alone
    (`rankings.names`) would stand beside itself, and every p is corrected for all pairs. Raises UserError for a ranking
    that was not studied."""
    if names is None:
        return only(found, workspace.rankings())
    studied = dict.fromkeys(name for table in found.tables.values() for name in table)
    for name in names:
        if name not in studied:
            raise UserError(
                f"{name} was not studied under the protocol {found.protocol}; there is "
                f"{', '.join(studied) or 'no study'}"
            )
    return only(found, names)


def report(workspace, store, protocol: str | None = None, names: list[str] | None = None) -> dict:
    """`evaluate supports` of design.md: AUC, interval, median, censoring and wins, for each kind of support. names: as
    `chosen`."""
    found = chosen(workspace, study(workspace, store, protocol), names)
    return {
        "recipe": workspace.recipe,
        "recipe_hash": recipes.get(workspace.recipe).hash,
        "protocol": found.protocol,
        "K": found.k_max,
        "planted": workspace.planted,
        "kinds": evaluate(found),
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
    measured = curves.table(tables, k_max)
    for row in measured["rankings"].values():
        del row["trainings_mean"], row["unstable"], row["auc_stable"], row["unfinished"]
    return {"protocol": "paper", "K": k_max, **measured}


def side_by_side(workspace, store, names: list[str], kinds=EDITS) -> dict[str, dict]:
    """Supports of the rankings `names` on the same targets, as far as studies have found any.

    kind -> {"protocol", "K", "targets": n, "unfinished": how many targets of theirs are not done yet, which tilts what
    is (those that never flip are done first), "rankings": {name: row of `curves.summary`}}, for kinds that any of them
    was studied for. Of several protocols, the one that most of these rankings were studied under, then the one with
    most targets: those with something to flip that all of them have finished. A ranking with fewer than half as many
    as another has is left out.
    """
    found = {protocol: study(workspace, store, protocol) for protocol in supports.protocols(workspace, store)}
    answer = {}
    for kind in kinds:
        best = None
        for protocol, one in found.items():
            tables = one.tables.get(kind, {})
            done = {
                name: {
                    target
                    for target, got in tables[name].items()
                    if got is not None and got.status not in curves.NOTHING
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
            rows = {name: curves.summary([tables[name][target] for target in common], k_max) for name in studied}
            going = {target for name in studied for target, got in tables[name].items() if got is None}
            answer[kind] = {
                "protocol": protocol,
                "K": k_max,
                "targets": len(common),
                "unfinished": len(going),
                "rankings": rows,
            }
    return answer


def evaluate(found: Study) -> dict[str, dict]:
    """kind -> {"rankings", "wins"} of `curves.table`, with "pairs": see `pairs`."""
    answer = {}
    for kind, rankings in found.tables.items():
        answer[kind] = curves.table(rankings, found.k_max)
        answer[kind]["pairs"] = pairs(answer[kind]["wins"])
    return answer


def pairs(wins: dict) -> list[dict]:
    """`curves.wins` with each pair once: its rows, and "a", "b", and "p_holm", the sign test's p over all pairs."""
    names = list(wins)
    rows = [{"a": a, "b": b, **wins[a][b]} for at, a in enumerate(names) for b in names[at + 1 :]]
    return [row | {"p_holm": p} for row, p in zip(rows, curves.holm([row["p"] for row in rows]))]


def points(results: dict[int, Support | None], k_max: int) -> list[tuple[int, float, int, str]]:
    """The steps of a support CDF: (k, share of targets flipped by then, target, status), a flipped target each."""
    done = {target: one for target, one in results.items() if one is not None and one.status not in curves.NOTHING}
    flipped = sorted(
        (one.support, target) for target, one in done.items() if one.support is not None and one.support <= k_max
    )
    return [(k, at / len(done), target, done[target].status) for at, (k, target) in enumerate(flipped, 1)]


def status_of(one: Support | None) -> str:
    """ "unfinished", or the answer's status."""
    return "unfinished" if one is None else one.status
