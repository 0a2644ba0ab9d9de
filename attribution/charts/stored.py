"""Each chart of Methods, from what a workspace and its store hold by now. Nothing is measured here."""

import math

from attribution import (
    agreement,
    calibration,
    compute,
    conditioning,
    cost,
    curves,
    lds_supports,
    palette,
    recipes,
    studies,
)
from attribution.charts.base import Chart, Matrix, Panel, Series
from attribution.errors import UserError
from attribution.experiments.study import read_study, select_rankings
from attribution.experiments.support_search import SEEDS

KINDS = {"remove": "Removal", "mislabel": "Mislabelling", "repair": "Repair of wrong targets"}
MEASURES = {"jaccard": "Jaccard of the first {k}", "rbo": "rank-biased overlap", "spearman": "Spearman over the union"}
SET_MARKS = ("circle", "diamond", "square")
CENSORED = 1.12  # of K: where supports beyond K are drawn
LARGEST = 160  # of marks, in points squared
SMALLEST = 12
APART = 0.03  # powers of ten between rankings that cost the same, so that all are seen


def chart(workspace, store, what: str, **options) -> Chart:
    """The chart `what`, one of WHATS. options: of "agreement" measure (see `agreement.MEASURES`); of "calibration"
    ranking and removed (see `calibration.WHOSE`); of "supports" and "lds-supports" protocol, the usual one if not
    given, and rankings, names (see `select_rankings`).

    Raises UserError for another one, and where what it shows has not been measured, or no longer holds.
    """
    if what not in WHATS:
        raise UserError(f"no figure {what!r}; choose one of {', '.join(WHATS)}")
    drawn = WHATS[what](workspace, store, **options)
    if drawn is None:
        verb = {"cost": "cost", "features": "lds"}.get(what, what)
        raise UserError(
            f"{workspace.name} has nothing to draw as {what}: it has not been measured, or what it rests "
            f"on has changed; run: python -m attribution evaluate {verb}"
        )
    return drawn


def supports(workspace, store, protocol: str | None = None, rankings: list[str] | None = None) -> Chart | None:
    """The support CDFs, a panel a kind; AUC with its 95 % interval in the legend."""
    found = select_rankings(workspace, read_study(workspace, store, protocol), rankings)
    if not found.tables:
        return None
    measured = studies.evaluate(found)
    panels = [
        Panel(
            KINDS[kind],
            "k, first images of the ranking edited",
            "targets repaired" if kind == "repair" else "targets flipped",
            x_range=(0, found.k_max * 1.01),
            y_range=(0, 1.02),
            percent=True,
            series=[
                _cdf(name, results, found.k_max, measured[kind]["rankings"][name]) for name, results in rankings.items()
            ],
        )
        for kind, rankings in found.tables.items()
    ]
    n = {kind: sorted({one["n"] for one in measured[kind]["rankings"].values()}) for kind in measured}
    targets = ", ".join(f"{KINDS[kind].lower()} {_between(counts)} targets" for kind, counts in n.items())
    return Chart(
        "Support CDFs",
        f"{targets}; {_recipe(workspace)}; protocol {found.protocol}, K = {found.k_max}, "
        f"seeds {SEEDS[0]} to {SEEDS[-1]}; open marks are unstable; AUC with 95 % bootstrap intervals over "
        "targets; python -m attribution evaluate supports",
        panels,
    )


def _cdf(name, results, k_max, row) -> Series:
    steps = studies.points(results, k_max)
    colour, dash, marker = palette.line(name)
    last = steps[-1][1] if steps else 0.0
    auc, ends = row["auc"], row["auc_ci"]
    note = "" if auc is None else f"AUC {auc:.2f}" + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else "")
    pending, band = sum(one is None for one in results.values()), None
    if pending:
        low, high = curves.band(results.values(), [(0, None)] * pending, k_max)
        band = (list(range(k_max + 1)), low.tolist(), high.tolist())
    return Series(
        name,
        [k for k, *_ in steps],
        [share for _, share, *_ in steps],
        colour,
        dash,
        marker,
        steps=True,
        open=[status == "unstable" for *_, status in steps],
        start=(0, 0),
        end=(k_max, last),
        note=note,
        what=[f"target {target}, {status}" for _, _, target, status in steps],
        band=band,
    )


def compared(workspace, store, measure: str = "jaccard") -> Chart | None:
    """How far every two rankings agree, with intervals."""
    if measure not in MEASURES:
        raise UserError(f"no measure {measure!r}; choose one of {', '.join(MEASURES)}")
    found = agreement.stored(workspace)
    if found is None:
        return None
    told = agreement.summary(found)
    names = list(told["pairs"])
    cells = [[told["pairs"][a].get(b, {}).get(measure) for b in names] for a in names]
    matrix = Matrix(
        names,
        [[one and one["mean"] for one in row] for row in cells],
        [[one and one["ci"] for one in row] for row in cells],
        (-1 if measure == "spearman" else 0, 1),
    )
    title = MEASURES[measure].format(k=found.k)
    return Chart(
        f"Agreement of rankings: {title}",
        f"the first {found.k} training images of each, means over "
        f"{told['targets']:,} targets with 95 % bootstrap intervals over targets; "
        f"{_made(workspace, agreement.PART)}",
        [Panel(title, matrix=matrix)],
        height=0.5 + 0.42 * len(names),
    )


def orthogonality(workspace, store, protocol: str | None = None, rankings: list[str] | None = None) -> Chart | None:
    """A mark a target and ranking: LDS against support; above the dotted line those that flipped at no k."""
    study = select_rankings(workspace, read_study(workspace, store, protocol), rankings)
    found = lds_supports.stored(workspace)
    points = lds_supports.points(study, found) if found else []
    if not points:
        return None
    top, panels = CENSORED * study.k_max, []
    ticks = {float(tick): str(tick) for tick in (0, *(round(study.k_max * part / 4) for part in range(1, 5)))}
    for kind in dict.fromkeys(one["kind"] for one in points):
        panel = Panel(
            KINDS[kind],
            "LDS of the target",
            "support, images",
            levels=[(1.05 * study.k_max, "")],
            y_range=(-0.03 * study.k_max, 1.2 * study.k_max),
            y_ticks={**ticks, top: "censored"},
        )
        for name in dict.fromkeys(one["ranking"] for one in points if one["kind"] == kind):
            some = [one for one in points if (one["kind"], one["ranking"]) == (kind, name)]
            colour, _, marker = palette.line(name)
            panel.series.append(
                Series(
                    name,
                    [one["lds"] for one in some],
                    [float(one["support"] or top) for one in some],
                    colour,
                    None,
                    marker,
                    open=[not one["support"] for one in some],
                    what=[f"target {one['target']}, {one['status']}" for one in some],
                )
            )
        panels.append(panel)
    about = workspace.manifest["parts"]["lds"]
    return Chart(
        "LDS of targets against their supports",
        f"{_recipe(workspace)}; protocol {study.protocol}, "
        f"K = {study.k_max}; LDS over {about['masks']} held-out halves; "
        f"{_made(workspace, lds_supports.PART)}",
        panels,
    )


def candidates(workspace, store) -> Chart | None:
    """LDS of each ranking among three sets of candidates, and AUC of each kind of support that was studied."""
    found = conditioning.stored(workspace)
    if found is None:
        return None
    names, worth = list(found["rankings"]), conditioning.worth(workspace, store, found)
    shared = {"y_range": (len(names) - 0.5, -0.5), "y_ticks": {float(i): n for i, n in enumerate(names)}}
    panels = [Panel("" if not worth else "LDS", "LDS", **shared)] + [
        Panel(f"{KINDS[kind]} AUC", f"{KINDS[kind].lower()} AUC", **shared) for kind in worth
    ]
    for at, (which, what) in enumerate(conditioning.SETS.items()):
        rows = [found["rankings"][name] for name in names]
        columns = [[(row["sets"][which]["lds"], row["sets"][which]["ci"]) for row in rows]]
        columns += [
            [_area(one, conditioning.ranking_of(name, which, row["published"])) for name, row in zip(names, rows)]
            for one in worth.values()
        ]
        for panel, values in zip(panels, columns):
            here = [place for place, (value, _) in enumerate(values) if value is not None]
            panel.series.append(
                Series(
                    what,
                    [values[place][0] for place in here],
                    [place + 0.2 * (at - 1) for place in here],
                    palette.RECIPES[at][0],
                    None,
                    SET_MARKS[at],
                    open=[which == "all"] * len(here),
                    x_ends=[values[place][1] for place in here],
                    what=[names[place] + ", as published" * (rows[place]["published"] == which) for place in here],
                )
            )
    if found["ceiling"] is not None:
        panels[0].uprights.append((found["ceiling"], "noise ceiling"))
    n = max(row["n_targets"] for one in found["rankings"].values() for row in one["sets"].values())
    return Chart(
        "Worth of rankings by what they may choose among",
        f"{_halves(found, n)}; {_studied(worth)}{_recipe(workspace)}; {_made(workspace, conditioning.PART)}",
        panels,
        height=0.6 + 0.42 * len(names),
    )


def calibrated(workspace, store, ranking: str | None = None, removed: str | None = None) -> Chart | None:
    """Change of the margin foretold by a ranking against measured."""
    rows = calibration.stored(workspace)
    if rows is None:
        return None
    names = [name for name in rows.names if calibration.groups(rows, name)]
    if not names:
        return None
    name = ranking or names[0]
    if name not in names:
        raise UserError(f"{name} is not calibrated here; choose one of {', '.join(names)}")
    groups = calibration.groups(rows, name)
    whose = removed or groups[0]
    if whose not in groups:
        raise UserError(f"nothing measured is called {whose!r}; choose one of {', '.join(groups)}")
    told = calibration.summary(workspace, rows)
    points, one = calibration.points(rows, told, name, whose), told["rankings"][name][whose]
    key = "foretold" if one["slope"] is not None else "predicted"
    panel = Panel(
        "",
        f"change of the margin foretold by {name}" + ", unscaled" * (key == "predicted"),
        "measured change of the margin",
        diagonal=key == "foretold",
    )
    for source in dict.fromkeys(point["removed"] for point in points):
        some = [point for point in points if point["removed"] == source]
        colour, _, marker = palette.line(source)
        panel.series.append(
            Series(
                "chosen by hand" if source == calibration.CHOSEN else f"first k of {source}",
                [point[key] for point in some],
                [point["measured"] for point in some],
                colour,
                None,
                marker,
                what=[f"target {point['target']} without {point['k']}, {point['seeds']} seeds" for point in some],
            )
        )
    r2 = (
        ""
        if one["r2"] is None
        else f"R² {one['r2']:.2f}"
        + (f" (95 % {one['r2_ci'][0]:.2f} to {one['r2_ci'][1]:.2f} over targets)" if one["r2_ci"] else "")
        + "; "
    )
    return Chart(
        f"Changes of the margin foretold by {name}",
        f"images removed: {calibration.WHOSE[whose]}; "
        f"{r2}{one['n']} sets of {one['targets']} targets, scaled by the slope of all of them, and R² of "
        f"targets that it was not fitted on, {told['splits']} splits; {_recipe(workspace)}; "
        f"{_made(workspace, calibration.PART)}",
        [panel],
        height=2.8,
    )


def spent(workspace, store) -> Chart | None:
    """LDS, and AUC of each kind of support that was studied, against the seconds it takes; the area of a mark stands
    for the bytes."""
    found = compute.stored(workspace)
    if found is None:
        return None
    rows, worth = found["rows"], compute.worth(workspace, store, found)
    ends = (min(row["seconds"] for row in rows if row["models"]) / 2, max(row["seconds"] for row in rows) * 2)
    panels = [_spent("LDS" if worth else "", "LDS", [(row, row["lds"], row["ci"]) for row in rows], ends)]
    for kind, one in worth.items():
        some = [(row, *_area(one, compute.ranking_of(row))) for row in rows]
        panels.append(_spent(f"{KINDS[kind]} AUC", "AUC", [point for point in some if point[1] is not None], ends))
    if found["ceiling"] is not None:
        panels[0].levels.append((found["ceiling"], f"noise ceiling {found['ceiling']:.3f}"))
    n = max(row["n_targets"] for row in rows)
    return Chart(
        "Worth against compute",
        f"{_halves(found, n)}; {_studied(worth)}numbers are models trained, areas "
        f"bytes; {_recipe(workspace)}; {_made(workspace, compute.PART)}",
        panels,
        height=2.6,
    )


def _spent(title: str, y: str, points: list[tuple], ends) -> Panel:
    """points: (row of `compute.run`, value, its interval)."""
    panel = Panel(title, "seconds, trainings and own work", y, x_log=True, x_range=ends, from_zero=True)
    most = max((row["bytes"] for row, *_ in points), default=0) or 1

    def marks(some, name, line, listed=True):
        colour, dash, marker = palette.line(line)
        return Series(
            name,
            [row["seconds"] for row, *_ in some],
            [value for _, value, _ in some],
            colour,
            dash if len(some) > 1 else None,
            marker,
            y_ends=[ci for *_, ci in some],
            listed=listed,
            sizes=[max(SMALLEST, LARGEST * row["bytes"] / most) for row, *_ in some],
            texts=[str(row["models"]) if row["models"] else "" for row, *_ in some],
            what=[f"{row['name']}, {row['bytes']} bytes" for row, *_ in some],
        )

    paid = [point for point in points if point[0]["models"]]
    for method in dict.fromkeys(row["method"] for row, *_ in paid):
        some = sorted((point for point in paid if point[0]["method"] == method), key=lambda at: at[0]["seconds"])
        panel.series.append(marks(some, method, method.lower()))
    for row, value, ci in points:
        if row["models"]:
            continue
        colour, dash, _ = palette.line(row["name"])
        panel.series.append(Series(row["name"], [], [], colour, dash, start=(ends[0], value), end=(ends[1], value)))
        if row["seconds"]:
            panel.series.append(marks([(row, value, ci)], row["name"], row["name"], listed=False))
    return panel


def paid(workspace, store) -> Chart | None:
    """LDS and removal AUC of each ranking against the seconds it took to build."""
    found = cost.stored(workspace)
    if found is None:
        return None
    lds, searched = cost.worth(workspace, store)
    rows = [row for row in cost.card(found, lds, searched) if row["build_seconds"] is not None]
    positive = [row["build_seconds"] for row in rows if row["build_seconds"] > 0]
    least, most = math.floor(math.log10(min(positive, default=1))), math.ceil(math.log10(max(positive, default=10)))
    nothing = 10.0 ** (least - 1)
    ticks = {nothing: "none", **{10.0**power: f"{10.0**power:,g}" for power in range(least, most + 1)}}
    live = dict.fromkeys(row["ranking"].partition("-")[0] for row in rows if row["live"] and "-" in row["ranking"])
    asides = {name: APART * (at - (len(live) - 1) / 2) for at, name in enumerate(live)}
    panels = []
    for key, title in (("lds", "LDS"), ("auc", "removal AUC")):
        of: dict[str, list[dict]] = {}
        for row in rows:
            if row[key] is not None:
                of.setdefault(row["ranking"].partition("-")[0], []).append(row)
        if not of:
            continue
        panel = Panel(
            title,
            "seconds to build",
            x_log=True,
            x_ticks=ticks,
            from_zero=True,
            x_range=(10.0 ** (least - 1.3), 10.0 ** (most + 0.1)),
        )
        for name, some in of.items():
            for marker in dict.fromkeys(palette.line(row["ranking"])[2] for row in some):
                here = [row for row in some if palette.line(row["ranking"])[2] == marker]
                panel.series.append(
                    Series(
                        some[0]["method"],
                        [(row["build_seconds"] or nothing) * 10 ** asides.get(name, 0) for row in here],
                        [row[key] for row in here],
                        palette.line(here[0]["ranking"])[0],
                        None,
                        marker,
                        y_ends=[row[f"{key}_ci"] for row in here],
                        open=[name in palette.OPEN] * len(here),
                        what=[f"{row['ranking']}, {row['build_seconds']} s" for row in here],
                    )
                )
        if key == "lds" and lds.get("ceiling") is not None:
            panel.levels.append((lds["ceiling"], "noise ceiling"))
        panel.series += [
            Series(name, [], [], "#606060", None, palette.line(f"-{name}")[2]) for name in workspace.features()
        ]
        panels.append(panel)
    auc = _studied({kind: one for kind, one in searched.items() if kind == "remove"})
    return (
        Chart(
            "Worth of rankings against their cost",
            f"seconds as each part's provenance has them, {auc}95 % "
            f"intervals; rankings of one feature set cost the same and stand side by side; {_recipe(workspace)}; "
            f"{_made(workspace, cost.PART)}",
            panels,
        )
        if panels
        else None
    )


def sets(workspace, store) -> Chart | None:
    """Of each feature set kNN accuracy, and LDS and removal AUC of its rankings."""
    lds, searched = cost.worth(workspace, store)
    rows = cost.of_features(workspace, lds, searched)
    if not rows:
        return None
    at = {float(place): row["features"] for place, row in enumerate(rows)}
    shared = {"y_range": (len(rows) - 0.5, -0.5), "y_ticks": at}
    panels = []
    known = [(place, row) for place, row in enumerate(rows) if row["knn_accuracy"] is not None]
    if known:
        panels.append(
            Panel(
                "kNN accuracy",
                "accuracy",
                **shared,
                series=[
                    Series(
                        "kNN accuracy",
                        [row["knn_accuracy"] for _, row in known],
                        [float(place) for place, _ in known],
                        palette.RECIPES[0][0],
                        None,
                        "square",
                        listed=False,
                        what=[row["features"] for _, row in known],
                    )
                ],
            )
        )
    for key, value, ci, title in (("lds", "lds", "ci", "LDS"), ("auc", "auc", "auc_ci", "removal AUC")):
        methods = [name for name in palette.METHODS if any(name in row[key] for row in rows)]
        panel = Panel(title, title, **shared)
        for place, method in enumerate(methods):
            here = [(line, row[key][method]) for line, row in enumerate(rows) if method in row[key]]
            aside = 0.6 * (place - (len(methods) - 1) / 2) / max(len(methods), 1)
            panel.series.append(
                Series(
                    method,
                    [one[value] for _, one in here],
                    [line + aside for line, _ in here],
                    palette.line(method)[0],
                    None,
                    "circle",
                    x_ends=[one[ci] for _, one in here],
                    open=[method in palette.OPEN] * len(here),
                    what=[f"{method}-{rows[line]['features']}" for line, _ in here],
                )
            )
        if methods:
            panels.append(panel)
    accuracy = ", ".join(sorted({row["measured_on"] for _, row in known if row["measured_on"]}))
    made = f"kNN accuracy on {accuracy}; " if accuracy else ""
    return (
        Chart(
            "Feature sets",
            f"{made}95 % intervals; {_recipe(workspace)}; python -m attribution evaluate lds and evaluate supports",
            panels,
            height=0.6 + 0.38 * len(rows),
        )
        if panels
        else None
    )


#: name -> what draws it
WHATS = {
    "supports": supports,
    "agreement": compared,
    "lds-supports": orthogonality,
    "conditioning": candidates,
    "calibration": calibrated,
    "compute": spent,
    "cost": paid,
    "features": sets,
}
#: and what it can be asked besides
OPTIONS = {
    "agreement": ("measure",),
    "calibration": ("ranking", "removed"),
    **dict.fromkeys(("supports", "lds-supports"), ("protocol", "rankings")),
}


def _area(one: dict, name: str) -> tuple:
    """A ranking's AUC and its interval in a kind of `studies.side_by_side`; (None, None) where it was not studied."""
    row = one["rankings"].get(name) or {}
    return (row["auc"], row["auc_ci"]) if row.get("n") else (None, None)


def _studied(worth: dict) -> str:
    return "".join(
        f"{KINDS[kind].lower()} AUC over the same {one['targets']} targets"
        + f", {one['unfinished']} more unfinished" * bool(one["unfinished"])
        + f", protocol {one['protocol']}, K = {one['K']}; "
        for kind, one in worth.items()
    )


def _recipe(workspace) -> str:
    planted = f", {workspace.planted} planted errors among the labels" if workspace.planted else ""
    return (
        f"{workspace.name}: {workspace.manifest['dataset']['name']}, {workspace.n_train:,} training images{planted}"
        f"; recipe {workspace.recipe} {recipes.get(workspace.recipe).hash}"
    )


def _made(workspace, part: str) -> str:
    about = workspace.manifest["parts"].get(part, {})
    return f"made {about.get('made', 'on an unknown day')} by {about.get('command', 'an unknown command')}"


def _halves(found: dict, n: int) -> str:
    return (
        f"{n:,} targets, {found['masks']} held-out halves with {found['seeds']} seeds each; 95 % intervals over "
        "halves and targets"
    )


def _between(counts: list[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
