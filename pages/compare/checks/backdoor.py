"""Backdoor: do rankings find the poisoned images, and is the attack over without what they accuse?"""

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import UserError, Workspace
from attribution.evaluation import backdoor, poison
from attribution.export import palette
from pages.compare import plots, tab_frame
from pages.ui import cli_command, measurement, tables
from pages.ui import format as write
from pages.ui.tables import Column, ranking_cell
from pages.ui.tile_strip import tiles

MEASURE = ["evaluate", "backdoor"]
SHOWN = 12  # images and targets
#: markers of what a value is compared with
CHANCE, CONTROL, UNPATCHED = "line-ns-open", "x-thin-open", "circle-open"


def draw(ws: Workspace) -> None:
    """Where the workspace is poisoned what was measured on it, or the way to; else what Lineup brings, or the command
    that makes a poisoned copy."""
    tab_frame.section("Backdoor, or mixed data sets: do rankings find the poisoned images?")
    poisoned = poison.load_poison_info(ws)
    running = bool(poisoned) and measurement.under_way(ws, MEASURE)
    if poisoned:
        try:
            _pictures(ws, poisoned)
        except UserError as error:
            st.error(write.sentence(error))
            return
    answer = tab_frame.stored_answer(
        ws,
        MEASURE,
        backdoor.load,
        "The backdoor has not been measured yet, or a ranking has changed since.",
        "Measure the backdoor",
        ask=None if poisoned else _how_to_poison,
        running=running,
    )
    if answer is None:
        return
    name = ws.classes[answer["class"]]
    tab_frame.caption(
        f"{answer['n']} training images of other classes carry a chequered patch of {answer['side']} x "
        f"{answer['side']} pixels and the label {name}. {answer['models']} models trained on them take "
        f"{_percent(answer['success'])} of {answer['triggered']} triggered images of other classes for {name}, and "
        f"{_percent(answer['untriggered'])} of the same images without the patch. Each ranking "
        f"explains these predictions; then models are trained without the {answer['n']} images it blames most."
    )
    tab_frame.chart(
        figure(answer, name),
        "backdoor",
        "precision of each ranking and what is left of the attack; the table below has the numbers",
    )
    st.html(table_html(answer, name))
    tab_frame.caption(_basis(ws, answer))
    with tab_frame.download_line(ws, {"backdoor.csv": ("Table as CSV", to_csv(answer))}):
        with st.popover("Copy command", icon=":material/terminal:", key="backdoor command"):
            st.code(_commands(ws, answer, bool(poisoned)), language="bash", wrap_lines=True)


def _how_to_poison(ws: Workspace) -> None:
    st.caption(
        "This is measured on a poisoned copy of the workspace, in which some images of other classes get a small "
        "patch and the label of one class. Create it with:"
    )
    tab_frame.command_line(ws, "workspace", "poison", "PATH", "--class", ws.classes[0])


def _commands(ws: Workspace, answer: dict, poisoned: bool) -> str:
    if not poisoned:
        return "\n".join(answer["about"]["commands"])
    names = ",".join(dict.fromkeys(row["ranking"] for row in answer["rankings"]))
    return cli_command.line(ws, *MEASURE, "--rankings", names, "--seeds", len(answer["seeds"]))


def _pictures(ws: Workspace, poisoned: dict) -> None:
    """Some poisoned images and triggered targets; a click on one of these leads to its lineup."""
    images, targets, _ = poison.load_poison_record(ws)
    name = ws.classes[poisoned["class"]]
    for split, ids, title, note, classes in (
        ("train", images, "poisoned", f"all labelled {name}; truly:", ws.truth()["original"]),
        ("val", targets, "triggered", "targets; models say:", ws.base.prediction),
    ):
        ids = ids[:SHOWN].tolist()
        captions = [ws.classes[classes[image]] for image in ids]
        texts = [f"{title} image {image}, {note} {caption}" for image, caption in zip(ids, captions)]
        row = {
            "id": split,
            "name": title,
            "about": note,
            "label": f"{title} images, {note}",
            "tiles": tiles({image: at for at, image in enumerate(ids)}, ids, texts, caption=captions),
        }
        on_pick = (lambda tile: tab_frame.open_lineup(tile["id"])) if split == "val" else None
        tab_frame.image_rows(ws, f"backdoor {split}", split, [row], ids, on_pick)


def _label(row: dict, name: str) -> str:
    return f"{row['ranking']}, from {name} only" if row["candidates"] else row["ranking"]


def _percent(mean: dict) -> str:
    return write.percent(mean["mean"])


def _interval(mean: dict) -> str:
    return write.interval(mean["ci"] and [100 * end for end in mean["ci"]], 0)


def _basis(ws: Workspace, answer: dict) -> str:
    nothing, oracle = (answer["removals"][name] for name in (backdoor.NO_REMOVAL, backdoor.ORACLE_REMOVAL))
    bundled = answer.get("about")
    copy = f"; on a poisoned copy of this workspace: {bundled['note']}" if bundled else ""
    return (
        f"Precision: the share of poisoned images in the top k of {write.count(answer['hit'])} targets that "
        "were taken for the class; 95 % over targets. A similarity chooses from images of the predicted class; a "
        "signed ranking looks for what harms the true class, in all images and once more in the predicted class alone. "
        "As published, choosing from the true class, a similarity finds none: poisoned images carry another "
        f"label. Unpatched: precision@{answer['n']} for the same targets without the patch; where it is as high, the "
        "ranking found images that look unlike their label, not the trigger. Blamed most: "
        f"in the top {answer['n']} of most targets. {len(answer['seeds'])} seeds each. With nothing removed "
        f"the attack succeeds on {_percent(nothing['success'])}, accuracy on ordinary images is "
        f"{_percent(nothing['accuracy'])}; without exactly the poisoned images {_percent(oracle['success'])} and "
        f"{_percent(oracle['accuracy'])}. Random: as many images of the same classes. "
        f"{tab_frame.provenance(bundled or ws.manifest['parts'][backdoor.PART])}{copy}."
    )


def figure(answer: dict, name: str) -> go.Figure:
    """Left the precision of each row beside chance, right what is left of the attack beside a random removal."""
    n, rows = answer["n"], answer["rankings"]
    places, labels = list(range(len(rows))), [write.escape(_label(row, name)) for row in rows]
    titles = [f"poisoned in the top {n}", f"attack without the {n} blamed most"]
    chart = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.04, subplot_titles=titles)
    precision, attack = [row["precision"][str(n)] for row in rows], [row["success"] for row in rows]
    unpatched = [row["plain"]["mean"] for row in rows]
    compared_with = {
        1: [
            ("chance", [row["chance"] for row in rows], CHANCE),
            ("targets without the patch", unpatched, UNPATCHED),
        ],
        2: [("random removal", [row["control"]["success"]["mean"] for row in rows], CONTROL)],
    }
    for column, estimates in ((1, precision), (2, attack)):
        means = [estimate["mean"] for estimate in estimates]
        chart.add_scatter(
            x=means,
            y=places,
            mode="markers",
            name="the ranking",
            legendgroup="ranking",
            showlegend=column == 1,
            marker={"size": 11, "color": [palette.ranking_style(row["ranking"])[0] for row in rows]},
            error_x=plots.error_bars(means, [estimate["ci"] for estimate in estimates], color=plots.GREY, thickness=2),
            customdata=[
                f"{label}: {_percent(estimate)} ({_interval(estimate)})" for label, estimate in zip(labels, estimates)
            ],
            hovertemplate="%{customdata}<extra></extra>",
            row=1,
            col=column,
        )
        for title, values, symbol in compared_with[column]:
            chart.add_scatter(
                x=values,
                y=places,
                mode="markers",
                name=title,
                row=1,
                col=column,
                hovertemplate=title + " %{x:.1%}<extra></extra>",
                marker={"size": 12, "color": plots.GREY, "symbol": symbol, "line": {"width": 2}},
            )
    chart.update_yaxes(tickvals=places, ticktext=labels, range=[len(rows) - 0.5, -0.5])
    chart.update_xaxes(range=[-0.03, 1.03], tickformat=".0%")
    plots.set_layout(
        chart,
        130 + 34 * len(rows),
    )
    return chart


def table_html(answer: dict, name: str) -> str:
    """A row a ranking and set of candidates."""
    ks, n = list(answer["rankings"][0]["precision"]), answer["n"]
    columns = [
        Column("ranking"),
        Column("candidates", "n", "images it chooses from"),
        Column("chance", "n", "share of these that is poisoned"),
        *(column for k in ks for column in (Column(f"precision@{k}", "n first"), tables.INTERVAL)),
        Column("unpatched", "n first", "precision for the same targets without the patch"),
        Column("found", "n first", f"poisoned images among the {n} blamed most"),
        Column("attack without", "n first", "success of the attack on models trained without these images"),
        tables.INTERVAL,
        Column("random", "n", "without as many random images of the same classes"),
        Column("accuracy", "n first", "on ordinary images"),
    ]
    rows = [
        [
            ranking_cell(row["ranking"], _label(row, name)),
            write.count(row["pool"]),
            write.percent(row["chance"]),
            *(cell for k in ks for cell in _estimate(row["precision"][k])),
            (_percent(row["plain"]), _interval(row["plain"])),
            f"{row['removed']} of {n}",
            *_estimate(row["success"]),
            _percent(row["control"]["success"]),
            _percent(row["accuracy"]),
        ]
        for row in answer["rankings"]
    ]
    return tables.table_html(columns, rows)


def _estimate(mean: dict) -> list[str]:
    return [f"<b>{_percent(mean)}</b>", _interval(mean)]


def to_csv(answer: dict) -> str:
    """A row a ranking, set of candidates and k; then one a removal that is no ranking's."""
    seeds, n = len(answer["seeds"]), answer["n"]
    rows = [
        {
            "ranking": row["ranking"],
            "candidates": row["candidates"] or "as asked",
            "pool": row["pool"],
            "chance": row["chance"],
            "k": k,
            "precision": precision["mean"],
            **tables.low_high(precision["ci"]),
            "targets": precision["n"],
            "precision_unpatched": row["plain"]["mean"] if k == str(n) else None,
            "accused": n,
            "poisoned_among_accused": row["removed"],
            **_attack(row["success"]),
            "attack_random": row["control"]["success"]["mean"],
            "accuracy": row["accuracy"]["mean"],
            "seeds": seeds,
        }
        for row in answer["rankings"]
        for k, precision in row["precision"].items()
    ]
    rows += [
        {"ranking": f"without {name}", **_attack(row["success"]), "accuracy": row["accuracy"]["mean"], "seeds": seeds}
        for name, row in answer["removals"].items()
    ]
    return tables.to_csv(rows)


def _attack(success: dict) -> dict:
    return {"attack_without": success["mean"], **tables.low_high(success["ci"], "attack")}
