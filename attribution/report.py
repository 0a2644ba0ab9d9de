"""A report: one HTML file with a target's lineup, the verdicts on it, the study's curves and tables, and where all of
it comes from. It opens without a server, a network or a script; what was not measured is left out.

Every name and label in it is escaped, and its content security policy forbids scripts and requests besides.
"""

import base64
import html
import re
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from attribution import (
    agreement,
    calibration,
    charts,
    compute,
    conditioning,
    cost,
    lds_supports,
    palette,
    recipes,
    studies,
)
from attribution.charts.drawing import encode
from attribution.errors import UserError
from attribution.experiments import support_table
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import common
from attribution.experiments.study import read_study, select_rankings
from attribution.experiments.support import SupportSpec
from attribution.lineup import Row, default_rankings, line_up
from attribution.measure import measured_lds
from attribution.opening import opening, verdict
from attribution.provenance import versions
from attribution.rankings import check_k
from attribution.workspace import Workspace

TOP = 14
SIDE, TARGET_SIDE = 48, 168  # about as many pixels a tile's side, and the target's
JOBS = 10_000  # single retrainings that are looked through for those of the target
INK = "#010203"  # drawn instead of the reader's own colour, and replaced by it
KINDS = {"remove": "removal", "mislabel": "mislabelling", "repair": "repair"}
MEASURES = {"jaccard": "Jaccard", "rbo": "rank-biased overlap", "spearman": "Spearman"}
EDITS = {"remove": "without", "mislabel": "with wrong labels on"}
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
CSS = Path(__file__).parent.parent / "assets" / "report.css"


def save(workspace: Workspace, store, path: str | Path, target: int | None = None, **options) -> Path:
    """Writes the report to `path`, an .html file; options: as `build`. Returns the path.

    Raises UserError for another ending, where the file cannot be written, and as `build` does."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{path.name} is no .html; end the file's name in it")
    content = build(workspace, store, target, **options)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another folder") from None
    return path


def build(
    workspace: Workspace,
    store,
    target: int | None = None,
    rows: list[Row] | None = None,
    k: int | None = None,
    today: str | None = None,
) -> bytes:
    """The report as the content of an HTML file.

    target: the one that the workspace opens with if not given. rows: its lineup; None: of one ranking of each method.
    k: where it is cut; None: the smallest removal that flipped the target, else 10. today: the date that stands in it;
    the same workspace and answers give the same bytes but for that date.

    Raises UserError for an unknown target, a k below 1, and where a part of the workspace cannot be read.
    """
    target = usual_target(workspace) if target is None else workspace.check_target(target)
    if rows is None:
        rows = line_up(workspace, target, default_rankings(workspace), TOP)
    known = supports_of(workspace, store, target)
    k = (_cut(known, {row.ranking for row in rows}) or 10) if k is None else check_k(k)
    title = f"{workspace.name}: {workspace.classes[workspace.val_labels[target]]}, validation image {target}"
    day = today or time.strftime("%Y-%m-%d", time.gmtime())
    body = [
        _header(workspace, title, day),
        _lineup(workspace, target, rows, k, known),
        _verdicts(workspace, known),
        _retrainings(workspace, store, target),
        _study(workspace, store),
        *(
            _section(workspace, store, what, table)
            for what, table in (
                ("agreement", _agreement),
                ("lds-supports", _orthogonality),
                ("conditioning", _conditioning),
                ("calibration", _calibration),
                ("compute", _compute),
                ("cost", _cost),
                ("features", _features),
            )
        ),
        _provenance(workspace),
        _libraries(),
    ]
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_t(title)}</title>'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        'style-src \'unsafe-inline\'"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{CSS.read_text()}</style></head>\n<body><main>\n'
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )
    return page.encode("utf-8", "xmlcharrefreplace")  # a lone surrogate in a name


def usual_target(workspace: Workspace) -> int:
    """The target that the workspace opens with; the first one where nothing is measured."""
    first = opening(workspace)
    return first.target if first else 0


# -- what is written, and how


def _t(text) -> str:
    """`text` for HTML, attributes included."""
    return html.escape(str(text))


def _table(heads: list[str], rows: Iterable[list], caption: str, numbers: Iterable[int] = ()) -> str:
    """Cells are text, or HTML made here (`_Html`); the first of a row heads it. numbers: columns set to the right."""
    numbers = set(numbers)
    right = [' class="n"' * (at in numbers) for at in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{_cell(name)}</th>' for name, kind in zip(heads, right))
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{_cell(cell)}</th>' if at == 0 else f"<td{right[at]}>{_cell(cell)}</td>"
            for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{_t(caption)}"><table><caption>{_t(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


class _Html(str):
    """HTML that was made here, from escaped parts."""


def _cell(value) -> str:
    if isinstance(value, _Html):
        return value
    return "–" if value is None else _t(value)


def _name(ranking: str) -> _Html:
    """A ranking's name after its line, as in the charts."""
    colour, dash, _ = palette.line(ranking)
    pattern = {"solid": "", "dot": "2 3", "dash": "6 3", "longdash": "10 3"}.get(dash, "8 3 2 3")
    return _Html(
        f'<svg class="line" width="26" height="6" aria-hidden="true"><line x1="0" y1="3" x2="26" y2="3" '
        f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{pattern}"/></svg>{_t(ranking)}'
    )


def _number(value, digits: int = 2) -> str | None:
    return None if value is None else f"{value:.{digits}f}".replace("-", "−")


def _ends(pair, digits: int = 2) -> str | None:
    return f"{_number(pair[0], digits)} to {_number(pair[1], digits)}" if pair else None


def _p(value) -> str | None:
    return None if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _seconds(value) -> str | None:
    if not value:
        return None if value is None else "none"
    return f"{value:,.1f} s" if value < 60 else f"{value / 60:,.1f} min" if value < 7200 else f"{value / 3600:,.1f} h"


def _size(n) -> str | None:
    return None if n is None else f"{n / 1e6:,.2f} MB" if n else "none"


def _picture(workspace, image: np.ndarray, side: int, alt: str) -> str:
    """An image as it is on the pages: greyscale dark on light, enlarged by a whole number, or made smaller by one."""
    pixels = 255 - image if image.ndim == 2 and workspace.greyscale_inverted else image
    picture, largest = Image.fromarray(np.asarray(pixels)), max(image.shape[:2])
    if largest >= 2 * side:
        picture = picture.reduce(largest // side)
    scale, content = max(1, round(side / max(picture.size))), BytesIO()
    picture.save(content, "PNG", optimize=True)
    url = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    return f'<img src="{url}" width="{picture.width * scale}" height="{picture.height * scale}" alt="{_t(alt)}">'


def _chart(chart: charts.Chart, name: str) -> str:
    """A chart as SVG in the page: text stays text, in the reader's colour; ids are its own; no link leads out."""
    for prefix, uri in (("", SVG), ("xlink", XLINK)):
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.fromstring(encode(chart, ".svg", ink=INK, text_as_paths=False, salt=name))
    for element in list(root):
        if element.tag.endswith("metadata"):
            root.remove(element)
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                value = f"{name}-{value}"
            value = re.sub(r"url\(#", f"url(#{name}-", value)
            if key == f"{{{XLINK}}}href":
                value = value.replace("#", f"#{name}-", 1)
            element.set(key, value.replace(INK, "currentColor").replace("'DejaVu Sans'", "'DejaVu Sans', sans-serif"))
    root.attrib.pop("height", None)
    root.attrib.pop("width", None)
    root.set("role", "img")
    root.set("aria-label", f"{chart.title}; the table has the numbers")
    drawn = ElementTree.tostring(root, encoding="unicode")
    return f"<figure>{drawn}<figcaption>{_t(_sentence(chart.about))}</figcaption></figure>"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


# -- the target


def _header(workspace, title: str, day: str) -> str:
    data, recipe = workspace.manifest["dataset"], recipes.get(workspace.recipe)
    planted = f", {workspace.planted} planted errors among the labels" if workspace.planted else ""
    facts = [
        (
            "data set",
            f"{data['name']}: {workspace.n_train:,} training and {workspace.n_val:,} validation images, "
            f"{len(workspace.classes)} classes{planted}",
        ),
        ("workspace", workspace.name),
        ("recipe", f"{recipe.name} {recipe.hash}"),
        ("data fingerprint", workspace.fingerprint[:16]),
        ("report made", day),
    ]
    return (
        f"<header><h1>{_t(title)}</h1><dl>"
        + "".join(f"<div><dt>{_t(name)}</dt><dd>{_t(value)}</dd></div>" for name, value in facts)
        + "</dl></header>"
    )


def _card(workspace, target: int) -> str:
    label = workspace.classes[workspace.val_labels[target]]
    lines = [
        ("true label", label),
        ("validation image", f"{target} (image {workspace.val_index[target]} of the source data)"),
    ]
    if workspace.has_base:
        base, said = workspace.base, int(workspace.base.prediction[target])
        votes = int((base.predicted[:, target] == said).sum())
        lines += [
            ("prediction", f"{workspace.classes[said]} in {votes} of {base.models} models"),
            ("mean probability of it", _number(base.confidence[target])),
            ("most easily mistaken for", workspace.classes[base.rival[target]]),
            ("status", base.status(target).replace("_", " ")),
        ]
    else:
        lines.append(("prediction", "no model has been trained here yet"))
    return (
        '<div class="card">'
        + _picture(workspace, workspace.val_images[target], TARGET_SIDE, f"validation image {target}, {label}")
        + "<dl>"
        + "".join(f"<div><dt>{_t(a)}</dt><dd>{_t(b)}</dd></div>" for a, b in lines)
        + "</dl></div>"
    )


def _lineup(workspace, target: int, rows: list[Row], k: int, known: list[dict]) -> str:
    measured: dict[str, dict] = {}
    for one in known:
        if one["kind"] == "remove" and not one["more"] and one["recipe"] == workspace.recipe:
            measured.setdefault(one["ranking"], one)
    drawn = "".join(_row(workspace, target, row, k, measured.get(row.ranking)) for row in rows)
    return (
        f"<section><h2>The lineup</h2>{_card(workspace, target)}<p>The training images that each ranking puts "
        f"first, best first. What stands left of the bar is the first k = {k}, which a retraining leaves out; ▲ is "
        "the measured removal support: the shortest tested prefix without which the target flips. ≠ is an image of "
        f"another class. Scores of different rows are not comparable.</p>{drawn}</section>"
    )


def _row(workspace, target: int, row: Row, k: int, support: dict | None) -> str:
    sign = f"{'+ for' if row.sign > 0 else '− against'} {workspace.classes[row.for_class]}"
    notes = [row.about, sign]
    if row.undefined:
        return f'<h3>{_name(row.ranking)}</h3><p class="faint">{_t(row.undefined)}</p>'
    notes.append(f"{row.same} of {len(row.ids)} of the target's class")
    if row.shared:
        notes.append(f"{row.shared[1]} of {len(row.ids)} shared with {row.shared[0]}")
    size = None
    if support and row.end == "helpful" and row.candidates is None:
        size = support["support"]
        notes.append(f"removal support: {_outcome(support)}")
    tiles, label = "", workspace.val_labels[target]
    for at, (image, given) in enumerate(zip(row.ids.tolist(), row.labels.tolist()), 1):
        name = workspace.classes[given]
        other = "≠ " if given != label else ""
        said = f'<span class="support">▲ {size}</span>' if at == size else ""
        css = " ".join(filter(None, ["cut" * (at == k), "other" * bool(other), "against" * (row.sign < 0)]))
        tiles += (
            f'<li class="{css}">'
            + _picture(workspace, workspace.train_images[image], SIDE, f"training image {image}, {name}")
            + f'<span class="rank">{at}</span><span class="class">{other}{_t(name)}</span>{said}</li>'
        )
    beyond = f' <span class="support">▲ {size} →</span>' if size and size > len(row.ids) else ""
    return (
        f'<h3>{_name(row.ranking)}</h3><p class="faint">{_t(" · ".join(filter(None, notes)))}{beyond}</p>'
        f'<ol class="tiles">{tiles}</ol>'
    )


def _cut(known: list[dict], names: set[str]) -> int | None:
    """The smallest removal that flipped the target, of the rankings on view."""
    return min(
        (
            one["support"]
            for one in known
            if one["support"] and one["kind"] == "remove" and one["ranking"] in names and not one["more"]
        ),
        default=None,
    )


# -- verdicts


def supports_of(workspace, store, target: int) -> list[dict]:
    """Every support that is known of a target, under any recipe: dicts of a `support_table.table` row, with "recipe", and
    "more": what makes it another question than the plain one, or ""."""
    found = []
    for recipe in recipes.NAMES:
        hash_ = recipes.get(recipe).hash
        table = support_table.table(workspace, store, recipe)
        found += [{**row, "recipe": recipe, "more": ""} for row in table[table.target == target].to_dict("records")]
        for question, body in store.answers(hash_, "support"):
            if question["target"] == target and SupportSpec.from_json({**common(workspace, recipe), **question}).answer(
                workspace, store
            ):
                more = [f"without {len(question['without'])} images found before"] if question.get("without") else []
                more += ["with near-duplicates"] if question.get("groups") else []
                found.append({**question, **body, "recipe": recipe, "more": ", ".join(more)})
    for one in found:
        one["support"], one["lo"], one["hi"] = (_whole(one[key]) for key in ("support", "lo", "hi"))
    return sorted(
        found,
        key=lambda one: (
            one["recipe"] != workspace.recipe,
            one["recipe"],
            list(KINDS).index(one["kind"]),
            one["ranking"],
            one["protocol"],
            one["k_max"],
            one["more"],
        ),
    )


def _whole(value) -> int | None:
    return None if value is None or value != value or str(value) == "<NA>" else int(value)


def _outcome(one: dict) -> str:
    status = one["status"].replace("_", " ")
    if one["support"]:
        return f"{one['support']}" + (", unstable" if one["status"] == "unstable" else "")
    return f"none up to {one['k_max']}" if one["status"] == "censored" else status


def _votes(workspace, one: dict) -> str | None:
    """What the models said at the support."""
    if not one["support"] or one["kind"] == "repair":
        return None
    said = verdict(workspace, _Row(one))
    return f"{workspace.classes[said.other]} in {said.votes} of {said.seeds} at k = {said.k}" if said.seeds else None


class _Row:
    """A dict with the attributes of a table's row."""

    def __init__(self, values: dict):
        self.__dict__.update(values)


def _verdicts(workspace, known: list[dict]) -> str:
    if not known:
        return ""
    rows = []
    for one in known:
        others = one.get("others")
        rows.append(
            [
                _name(one["ranking"]),
                KINDS[one["kind"]],
                _outcome(one),
                f"({one['lo']}, {one['hi']}]" if one["hi"] else None,
                _votes(workspace, one),
                f"{others[0] or 'beyond'} to {others[1] or 'beyond'}" if isinstance(others, list) else None,
                one["protocol"],
                one["k_max"],
                one["trainings"],
                one["recipe"],
                one["more"] or None,
            ]
        )
    heads = [
        "ranking",
        "kind",
        "support",
        "bracket",
        "votes",
        "90 % of other seeds",
        "protocol",
        "K",
        "trainings",
        "recipe",
        "also",
    ]
    kept = [at for at in range(len(heads)) if at < 3 or any(row[at] is not None for row in rows)]
    return (
        "<section><h2>Supports measured for this target</h2><p>The shortest tested prefix of a ranking whose "
        "removal, or relabelling, flips the target (of a repair: puts it right): an upper bound of the smallest "
        "such set. An unstable one changed its verdict with fresh seeds.</p>"
        + _table(
            [heads[at] for at in kept],
            [[row[at] for at in kept] for row in rows],
            "Supports of this target",
            [kept.index(at) for at in (7, 8) if at in kept],
        )
        + "</section>"
    )


def retrainings_of(workspace, store, target: int) -> list[dict]:
    """Every single retraining of a target that was asked for and has results, as `RetrainSpec.answer` and what it was,
    oldest first; each question once."""
    found, seen = [], set()
    for job in sorted(store.of_verb("retrain", JOBS), key=lambda job: job.id):
        key = repr(sorted((name, value) for name, value in job.spec.items() if name != "workspace"))
        if job.spec["target"] != target or key in seen:
            continue
        seen.add(key)
        try:
            spec = RetrainSpec.from_json(job.spec)
            answer = spec.answer(workspace, store)
        except UserError:  # of a recipe or label that is no longer here
            continue
        if answer["n"]:
            found.append(answer | {"what": _edit(spec)})
    return found


def _edit(spec: RetrainSpec) -> str:
    return f"{EDITS[spec.kind]} {spec.images()}"


def _retrainings(workspace, store, target: int) -> str:
    found, rows = retrainings_of(workspace, store, target), []
    for at, one in enumerate(found, 1):
        controls = one["controls"]
        for name, part in (
            (one["what"], one),
            (f"{EDITS[one['kind']]} as many random images of the same classes", controls["random"]),
            ("all images as they are", controls["none"]),
        ):
            margins = [margin for margin in part["margins"] if margin is not None]
            verdict_ = {True: "flipped", False: "kept", None: "undecided"}[part["flipped"]]
            rows.append(
                [
                    f"{at}: {name}",
                    _said(workspace, part),
                    verdict_,
                    f"{part['wrong']} of {part['n']}",
                    _number(float(np.mean(margins))) if margins else None,
                    _list(one["seeds"]),
                    f"{one['recipe']} {one['recipe_hash']}",
                ]
            )
    if not rows:
        return ""
    return (
        "<section><h2>Retrainings of this target</h2><p>Each beside its controls: as many random images of the "
        "same classes, and none. A target has flipped when at most half of the models predict its true label.</p>"
        + _table(
            ["training", "votes", "verdict", "wrong", "mean margin", "seeds", "recipe"],
            rows,
            "Retrainings of this target, with controls",
            (3, 4),
        )
        + "</section>"
    )


def _said(workspace, part: dict) -> str:
    predictions = part["predictions"]
    counts = sorted(((predictions.count(c), workspace.classes[c]) for c in set(predictions)), reverse=True)
    return ", ".join(f"{name} {count}" for count, name in counts) or "–"


def _list(numbers: list) -> str:
    """[0, 1, 2, 3] -> "0 to 3"."""
    whole = list(numbers)
    if len(whole) > 2 and whole == list(range(whole[0], whole[-1] + 1)):
        return f"{whole[0]} to {whole[-1]}"
    return ", ".join(map(str, whole))


# -- the workspace


def _section(workspace, store, what: str, table) -> str:
    """Chart and table of one measurement; nothing where it was not made, or no longer holds."""
    try:
        chart = charts.chart(workspace, store, what)
    except UserError:
        return ""
    return f"<section><h2>{_t(chart.title)}</h2>{_chart(chart, what)}{table(workspace, store)}</section>"


def _study(workspace, store) -> str:
    found, lds = select_rankings(workspace, read_study(workspace, store)), measured_lds(workspace)
    measured, parts = studies.evaluate(found), []
    if found.tables:
        parts.append(_chart(charts.chart(workspace, store, "supports"), "supports"))
    for kind, one in measured.items():
        rows = [
            [
                _name(name),
                _number(row["auc"]),
                _ends(row["auc_ci"]),
                f"> {found.k_max}" if row["median"] is None else f"{row['median']:g}",
                None if row["censored"] is None else f"{round(row['censored'] * row['n'])} of {row['n']}",
                row["unstable"],
                row["already_wrong"] + row["already_right"],
                row["unfinished"],
                _number(row["trainings_mean"], 0),
            ]
            for name, row in one["rankings"].items()
        ]
        parts.append(
            _table(
                [
                    "ranking",
                    "AUC",
                    "95 %",
                    "median",
                    "censored",
                    "unstable",
                    "nothing to flip",
                    "unfinished",
                    "trainings each",
                ],
                rows,
                f"Supports by {KINDS[kind]}, K = {found.k_max}, protocol {found.protocol}; intervals are "
                "bootstraps over targets",
                range(1, 9),
            )
        )
        pairs = [
            [
                _name(row["a"]),
                _name(row["b"]),
                f"{row['win']}, {row['tie']}, {row['loss']}",
                _p(row["p_holm"]),
                _number(row["auc_difference"]),
                _ends(row["auc_difference_ci"]),
                _p(row["auc_difference_p_holm"]),
            ]
            for row in one["pairs"]
        ]
        if pairs:
            parts.append(
                _table(
                    ["ranking", "against", "won, tied, lost", "p, Holm", "AUC difference", "95 %", "p, Holm"],
                    pairs,
                    f"Ranking against ranking by {KINDS[kind]}, on the same targets",
                    range(2, 7),
                )
            )
    if lds and lds["rankings"]:
        rows = [[_name(name), _number(row["lds"], 3), _ends(row["ci"], 3)] for name, row in lds["rankings"].items()]
        ceiling = [["noise ceiling", _number(lds["ceiling"], 3), None]]
        parts.append(
            _table(
                ["ranking", "LDS", "95 %"],
                rows + ceiling,
                f"LDS over {lds['masks']} held-out halves with {lds['seeds']} seeds each, the linear "
                "datamodeling score: how sure models trained on halves are, correlated in rank with what "
                "a ranking's scores foretell; mean over targets",
                (1, 2),
            )
        )
    return f"<section><h2>The study: supports and LDS</h2>{''.join(parts)}</section>" if parts else ""


def _agreement(workspace, store) -> str:
    told = agreement.summary(agreement.stored(workspace))
    names, rows = list(told["pairs"]), []
    for at, a in enumerate(names):
        for b in names[at + 1 :]:
            one = told["pairs"][a][b]
            rows.append(
                [
                    _name(a),
                    _name(b),
                    *(
                        text
                        for measure in agreement.MEASURES
                        for text in (_number(one[measure]["mean"], 3), _ends(one[measure]["ci"], 3))
                    ),
                ]
            )
    heads = [text for measure in agreement.MEASURES for text in (MEASURES[measure], "95 %")]
    classes = [
        [
            _name(name),
            *(
                text
                for key in ("same_class", "cross_class")
                for text in (_number(one[key]["mean"], 3), _ends(one[key]["ci"], 3))
            ),
        ]
        for name, one in told["rankings"].items()
    ]
    return _table(
        ["ranking", "and", *heads],
        rows,
        f"Agreement of the first {told['k']}, {told['targets']:,} targets",
        range(2, 8),
    ) + _table(
        ["ranking", "of the target's class", "95 %", "of another", "95 %"],
        classes,
        f"Whose labels the first {told['k']} carry, as shares of them",
        range(1, 5),
    )


def _orthogonality(workspace, store) -> str:
    told = lds_supports.report(
        workspace, select_rankings(workspace, read_study(workspace, store)), lds_supports.stored(workspace)
    )
    return "".join(
        _table(
            ["ranking", "targets", "censored", "Spearman", "95 %", "p", "margin fixed", "LDS reliability"],
            [
                [
                    _name(name),
                    row["n"],
                    row["censored"],
                    _number(row["spearman"]),
                    _ends(row["ci"]),
                    _p(row["p"]),
                    _number(row["partial"]),
                    _number(row["reliability"]),
                ]
                for name, row in one["rankings"].items()
            ],
            f"LDS of a target against how small its support is, by {KINDS[kind]}",
            range(1, 8),
        )
        for kind, one in told["kinds"].items()
    )


def _areas(worth: dict, name: str) -> list:
    """A ranking's AUC and its interval in each kind of `studies.side_by_side`."""
    rows = (one["rankings"].get(name) or {} for one in worth.values())
    return [text for row in rows for text in (_number(row.get("auc")), _ends(row.get("auc_ci")))]


def _area_heads(worth: dict) -> list[str]:
    return [text for kind in worth for text in (f"{KINDS[kind]} AUC", "95 %")]


def _conditioning(workspace, store) -> str:
    found = conditioning.stored(workspace)
    worth = conditioning.worth(workspace, store, found)
    rows = [
        [
            _name(name),
            conditioning.SETS[which] + ", as published" * (which == one["published"]),
            _number(row["lds"], 3),
            _ends(row["ci"], 3),
            _number(row["same_class"]["mean"], 3),
            _ends(row["same_class"]["ci"], 3),
            *_areas(worth, conditioning.ranking_of(name, which, one["published"])),
        ]
        for name, one in found["rankings"].items()
        for which, row in one["sets"].items()
    ]
    last = ["noise ceiling", None, _number(found["ceiling"], 3), *[None] * (3 + 2 * len(worth))]
    return _table(
        ["ranking", "candidates", "LDS", "95 %", f"of the class, first {found['k']}", "95 %", *_area_heads(worth)],
        [*rows, last],
        "Worth by candidates",
        range(2, len(last)),
    )


def _calibration(workspace, store) -> str:
    told = calibration.summary(workspace, calibration.stored(workspace))
    rows = [
        [
            _name(name),
            calibration.WHOSE[whose],
            one["n"],
            one["targets"],
            None if one["slope"] is None else f"{one['slope']:.3g}",
            _number(one["r2"]),
            _ends(one["r2_ci"]),
            _number(one["reachable"]),
            _number(one["spearman"]),
            _ends(one["spearman_ci"]),
        ]
        for name, groups in told["rankings"].items()
        for whose, one in groups.items()
    ]
    return _table(
        ["ranking", "images removed", "sets", "targets", "slope", "R²", "95 %", "R² reachable", "Spearman", "95 %"],
        rows,
        f"Foretold against measured, {told['targets']} targets; R² is of those that "
        f"the slope was not fitted on, {told['splits']} random halves of them",
        range(2, 10),
    )


def _compute(workspace, store) -> str:
    found = compute.stored(workspace)
    worth = compute.worth(workspace, store, found)
    rows = [
        [
            _name(row["name"]),
            row["models"] or None,
            _number(row["lds"], 3),
            _ends(row["ci"], 3),
            _seconds(row["training_seconds"]),
            _seconds(row["computing_seconds"]),
            _seconds(row["seconds"]),
            _size(row["bytes"]),
            *_areas(worth, compute.ranking_of(row)),
        ]
        for row in found["rows"]
    ]
    last = ["noise ceiling", None, _number(found["ceiling"], 3), *[None] * (5 + 2 * len(worth))]
    return _table(
        ["variant", "models", "LDS", "95 %", "trainings", "own work", "together", "made from", *_area_heads(worth)],
        [*rows, last],
        "Worth against compute",
        range(1, len(last)),
    )


def _cost(workspace, store) -> str:
    found = cost.stored(workspace)
    rows = [
        [
            _name(row["ranking"]),
            _size(row["bytes"]),
            _seconds(row["build_seconds"]),
            _number(row["query_ms"]),
            _number(row["lds"], 3),
            _ends(row["lds_ci"], 3),
            _number(row["auc"]),
            _ends(row["auc_ci"]),
        ]
        for row in cost.card(found, *cost.worth(workspace, store))
    ]
    return _table(
        ["ranking", "stored", "build", "query, ms", "LDS", "95 %", "removal AUC", "95 %"],
        rows,
        f"Cost; queries on {found['machine']}, the first {found['k']}, median of {found['targets']} targets",
        range(1, 8),
    )


def _features(workspace, store) -> str:
    rows = [
        [
            row["features"],
            row["dim"],
            _seconds(row["seconds"]),
            _number(row["knn_accuracy"], 3),
            row["measured_on"] or None,
        ]
        for row in cost.of_features(workspace, *cost.worth(workspace, store))
    ]
    return _table(
        ["features", "dimensions", "training", "kNN accuracy", "on"],
        rows,
        "Feature sets; the table before has LDS and removal AUC of their rankings",
        (1, 2, 3),
    )


# -- where it comes from


def _provenance(workspace) -> str:
    """A row a part of the workspace; sets of versions are numbered and listed once."""
    sets, rows = [], []
    for part, about in workspace.manifest["parts"].items():
        held = about.get("versions") or {}
        number = None
        if "python" in held:  # of libraries; some parts name the rankings' versions instead
            if held not in sets:
                sets.append(held)
            number = sets.index(held) + 1
        seeds = about.get("seeds", about.get("seed"))
        recipe = about.get("recipe")
        if isinstance(recipe, dict) or not recipe:
            recipe = None
        rows.append(
            [
                part,
                about.get("command"),
                number,
                _list(seeds) if isinstance(seeds, list) else seeds,
                _seconds(about.get("seconds")),
                about.get("device"),
                about.get("made"),
                f"{recipe} {about.get('hash', '')}".strip() if recipe else None,
                about.get("digest"),
            ]
        )
    if not rows:
        return ""
    listed = "".join(f"<li>{_t(', '.join(f'{name} {number}' for name, number in one.items()))}</li>" for one in sets)
    return (
        "<section><h2>Provenance</h2>"
        + _table(
            ["part", "command", "versions", "seeds", "seconds", "device", "made", "recipe", "digest"],
            rows,
            "Parts of the workspace",
            (4,),
        )
        + (f'<h3>Versions they were made with</h3><ol class="versions">{listed}</ol>' if listed else "")
        + "</section>"
    )


def _libraries() -> str:
    held = versions()
    for name in ("matplotlib", "scipy", "pandas"):
        try:
            held[name] = version(name)
        except PackageNotFoundError:
            continue
    return (
        "<footer><h2>Versions this report was made with</h2><p>"
        f"{_t(', '.join(f'{name} {number}' for name, number in held.items()))}</p></footer>"
    )
