"""From lined-up rows to what the strip and the cards draw, and the words of the page; no widgets.

In HTML, text from the workspace is escaped."""

from dataclasses import dataclass

import numpy as np

from attribution import Workspace
from attribution.explore.lineup import LineupRow
from attribution.export.palette import ranking_style
from attribution.training.head.recipe import is_head
from pages.ui import format as write
from pages.ui import tile_strip
from pages.ui.tile_strip import tiles


@dataclass(frozen=True)
class Choice:
    """What the controls above the rows say. explain: the class that the rows explain, "true" or "predicted"; it is
    "true" where the prediction is right. shown: tiles in a row."""

    rankings: tuple[str, ...]
    ends: str
    explain: str
    candidates: str
    shown: int
    scores: bool
    planted: bool


def strip_data(
    ws: Workspace,
    target: int,
    rows: list[LineupRow],
    atlas: dict,
    places: dict[int, int],
    *,
    k: int,
    shown: int,
    cut_max: int,
    chosen: str,
    selected: int | None,
    supports: dict[str, dict],
    explain: str,
    scores: bool,
    planted: np.ndarray | None,
    scale: int,
    present: bool,
    ahead: str | None,
    trust: dict[str, dict] | None = None,
) -> dict:
    """The strip's data for `rows`.

    places: training image -> place in `atlas`; chosen: the ranking that is cut; supports: ranking -> its measured
    support (retraining.py); planted: the original label of each training image, -1 where it was not changed, or None to
    hide them; present, ahead: as in `tile_strip`; trust: row id -> how far the row can be trusted, as the strip takes
    it.
    """
    columns = max([len(row.ids) for row in rows], default=0)
    cut_row = next((row.id for row in rows if row.ranking == chosen and not row.undefined), None)
    drawn = [_row(ws, target, row, places, cut_row, supports, explain, scores, planted, shown) for row in rows]
    drawn = [line | ({"trust": said} if (said := (trust or {}).get(line["id"])) else {}) for line in drawn]
    cut = {"k": k, "shown": columns, "max": cut_max} if columns else None
    live = _live(ws, target, rows, drawn) if cut else None
    return tile_strip.strip_data(
        "rows",
        drawn,
        atlas,
        scale,
        of=target,
        axis="rank",
        present=present,
        cut=cut,
        selected=selected,
        footnote=footnote(ws),
        live=live,
        ahead=ahead,
    )


def _live(ws: Workspace, target: int, rows: list[LineupRow], drawn: list[dict]) -> dict | None:
    """What the strip needs to ask a head at the cut, whose rows it numbers in `drawn`; None where the model is none."""
    if not is_head(ws.recipe):
        return None
    asked = [(row, line) for row, line in zip(rows, drawn) if not row.undefined]
    for number, (_, line) in enumerate(asked):
        line["live"] = number
    return {
        "url": "live",  # beside the page, also where the server is a folder of another one
        "model": ws.recipe,
        "target": target,
        "label": int(ws.val_labels[target]),
        "classes": list(ws.classes),
        "rows": [[row.ranking, row.end, row.candidates] for row, _ in asked],
    }


def _row(ws, target, row, places, cut_row, supports, explain, scores, planted, shown) -> dict:
    label = ws.val_labels[target]
    words = _sign_words(ws, row, explain)
    drawn = {
        "id": row.id,
        "name": row.method,
        "short": row.ranking,
        "colour": ranking_style(row.ranking)[0],
        "about": row.description,
        **({} if row.is_control else {"sign": "+" if row.sign > 0 else "-"}),
        "sign_text": words,
        "chosen": row.id == cut_row,
        "choose": f"Cut and retrain by {row.ranking}" if ws.has_base else f"Cut by {row.ranking}",
        "label": f"{row.ranking}, {words}: {len(row.ids)} training images, best first",
    }
    if row.undefined:
        return drawn | {"tiles": [], "empty": row.undefined}
    shared = row.most_alike and f"{row.most_alike[1]} of {len(row.ids)} shared with {row.most_alike[0]}"
    support = supports.get(row.ranking) if row.end == "helpful" else None
    texts = [f"training image {image}, {ws.classes[given]}" for image, given in zip(row.ids, row.labels)]
    flags = [None] * len(row.ids)
    if planted is not None:
        flags = [f"planted: was {ws.classes[planted[image]]}" if planted[image] >= 0 else None for image in row.ids]
    return drawn | {
        "mix": [{"text": ws.classes[c], "count": n, "same": bool(c == label)} for c, n in row.class_counts],
        "notes": [f"{write.share(row.n_same_class, len(row.ids))} same class"],
        "details": [shared] if shared else [],
        **({"support": {"k": support["support"], "text": flip_text(support, shown)}} if support else {}),
        "tiles": tiles(
            places,
            row.ids,
            texts,
            flag=flags,
            mark=[f"label: {ws.classes[given]}" if given != row.explained else None for given in row.labels],
            score=[write.score(s) for s in row.scores] if scores and row.scores is not None else None,
        ),
    }


def _sign_words(ws: Workspace, row: LineupRow, explain: str) -> str:
    """What the images of a row do: they help, harm, speak for a class or against it, or nothing."""
    if row.is_control:
        return "control"
    if explain == "predicted":
        return f"{'for' if row.sign > 0 else 'against'} {ws.classes[row.for_class]}"
    return "helpful" if row.sign > 0 else "harmful"


def flip_text(support: dict, shown: int) -> str:
    """{"support": 24, ...} -> "flips at 24 removed", with an arrow where that lies beyond the `shown` columns."""
    if support["support"]:
        about = "≈ " if support["status"] == "unstable" else ""
        return f"flips at {about}{support['support']} removed" + (" →" if support["support"] > shown else "")
    if support["status"] == "censored":
        return f"no flip within {support['k_max']}"
    return support["status"].replace("_", " ")


def footnote(ws: Workspace) -> str:
    """What the reader of the rows must know, in one line."""
    note = "Ranks align in columns; scores of different rows are not comparable."
    return note + write.planted_note(ws.planted)


def image_html(
    ws: Workspace,
    image: int,
    ranks: list[tuple[LineupRow, int | None]],
    planted: np.ndarray | None,
    picture: str,
    scale: int,
    target: int,
) -> str:
    """A training image: its given label, where it comes from, and its rank in each row of the target. planted: as in
    `strip_data`."""
    given = write.escape(ws.classes[ws.train_labels[image]])
    note = "given label"
    if planted is not None and planted[image] >= 0:
        note += f"; a planted error, it was {write.escape(ws.classes[planted[image]])}"
    lines = "".join(
        f"<tr><td>{write.escape(row.ranking)}{' (harmful)' if row.end == 'harmful' else ''}</td>"
        f"<td>{f'#{rank}' if rank else 'not in the top 128'}</td></tr>"
        for row, rank in ranks
    )
    return (
        f'<div class="lu-image"><img src="{picture}" width="{scale * ws.train_images.shape[2]}" '
        f'alt="training image {image}, {given}, enlarged"><div><h2 class="name">{given}</h2>'
        f'<div class="lu-faint">{note}</div><div>training image {image}</div>'
        f'<div class="lu-faint">image {ws.train_index[image]} of the source data</div></div>'
        f'<table><tr><td colspan="2" class="lu-faint">rank for target {target}</td></tr>{lines}</table></div>'
    )
