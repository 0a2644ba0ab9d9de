"""The corrections: what was changed, as pictures and as files, and decisions brought back from a file."""

import io
import tempfile
import zipfile
from pathlib import Path

import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import corrections, people
from attribution.audit.decision_log import DecisionLog
from attribution.audit.decisions import CurrentDecision
from attribution.data import csv_table, image_folder, parquet
from attribution.export.error_sentences import people_sentence
from pages.labels import decision_cache
from pages.ui import audit_queue, cli_command, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.tile_strip import image_row, strip, strip_data

SHOWN = 200  # pictures of what was changed
GROUPS = {
    "relabel": "relabelled",
    "remove": "removed",
    "conflict": "in conflict",
    "unsure": "unsure",
    "keep": "label kept",
}
TWO_ANSWERS = {"of": "conflicts"}  # what its queue says of itself
state_of = st.session_state


def draw(ws: Workspace, log: DecisionLog, who: str) -> None:
    """What was decided so far, the files, and a way to bring a file back."""
    decided, _ = decision_cache.current(ws, log)
    state.show_error()
    if state.MESSAGE in state_of:
        st.success(write.plain(state_of.pop(state.MESSAGE)))
    if decided:
        _pictures(ws, decided)
        for sentence in _people(ws, log, theme.cache_key(ws), log.newest_id()):
            st.caption(write.plain(sentence))
        _files(ws)
    else:
        st.info(
            "No decisions yet. Review a few images in step 1, and export the corrections here; or import a "
            "corrections.csv below."
        )
    _bring(ws, who)


@st.cache_data(max_entries=20, show_spinner=False)
def _people(_ws: Workspace, _log: DecisionLog, cache_key: str, newest: int) -> list[str]:
    """Whether those agree who decided the same images, a sentence for each two."""
    return [people_sentence(row) for row in people.agreement(_log.entries(), _ws.train_labels)]


def _groups(decided: dict) -> dict[str, list[CurrentDecision]]:
    groups = {name: [] for name in GROUPS}
    for _, decision in sorted(decided.items()):
        groups["conflict" if decision.conflict else decision.action].append(decision)
    return groups


def _pictures(ws: Workspace, decided: dict) -> None:
    """How much was decided, and pictures of it."""
    groups = _groups(decided)
    counts = {"decided": len(decided)} | {GROUPS[name]: len(group) for name, group in groups.items()}
    facts = "".join(f"<div><b>{write.count(n)}</b><br>{name}</div>" for name, n in counts.items())
    st.html(f'<div class="lu-facts">{facts}</div>')
    names = [name for name, group in groups.items() if group]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.segmented_control(
            "Show",
            names,
            default=names[0],
            required=True,
            key=state.SHOWN_DECISIONS,
            format_func=lambda name: f"{GROUPS[name]} ({write.count(len(groups[name]))})",
        )
        if groups["conflict"]:
            st.button(
                f"Review {write.counted(len(groups['conflict']), 'conflict')}",
                key="queue of conflicts",
                on_click=audit_queue.make,
                args=(ws,),
                kwargs={"images": [decision.item for decision in groups["conflict"]], "origin": TWO_ANSWERS},
            )
    strip("corrections", _wall(ws, name, groups[name][:SHOWN]), on_pick=lambda tile: _open(decided[tile["id"]]))
    if len(groups[name]) > SHOWN:
        st.caption(f"First {SHOWN} of {write.count(len(groups[name]))}; the files have all of them.")


def _wall(ws: Workspace, name: str, shown: list[CurrentDecision]) -> dict:
    ids = [decision.item for decision in shown]
    captions = [caption(ws, decision) for decision in shown]
    texts = [
        f"training image {decision.item}: {text}, by {decision.who}"
        + (f", {decision.reason}" if decision.reason else "")
        for decision, text in zip(shown, captions)
    ]
    row = image_row(name, GROUPS[name], ids, texts, caption=captions)
    sheet, scale = sprite_sheet.sheet(ws, "train", ids), sprite_sheet.scale(ws)
    return strip_data("wall", [row], sheet, scale, zoom=5, pitch=150)


def _open(decision: CurrentDecision) -> None:
    """Goes to an image in the queue it was decided in, to look again."""
    if decision.queue is not None:
        state_of[state.QUEUE], state_of[state.OPEN_AT] = str(decision.queue), str(decision.item)
        state_of[state.STEP] = state.REVIEW_STEP


def caption(ws: Workspace, decision: CurrentDecision) -> str:
    """The current decision about an image, in a few words."""
    given = ws.classes[ws.train_labels[decision.item]]
    if decision.conflict:
        answers = [
            ws.classes[other.label] if other.action == "relabel" else GROUPS[other.action]
            for other in (*decision.conflict, decision)
        ]
        return " or ".join(answers)
    if decision.action == "relabel":
        return f"{given} → {ws.classes[decision.label]}"
    return {"keep": given, "remove": f"{given}, removed", "unsure": f"{given}?"}[decision.action]


def _files(ws: Workspace) -> None:
    st.header("Export files", anchor=False)
    has_files = _image_kind(ws) in (image_folder.KIND, csv_table.KIND)
    tags = "; fiftyone_tags.json: tags of FiftyOne's samples" if has_files else ""
    st.caption(
        write.plain(
            f"corrections.csv: one row per image; {own_form(ws)}; log.csv: every decision, undo and "
            f"redo; label_issues.csv: every image, as cleanlab has it{tags}. Images that are unsure or in conflict "
            "keep their label."
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if _image_kind(ws) != parquet.KIND:  # a Parquet file holds all images: too large for the browser
            st.download_button(
                "Download all files (.zip)",
                lambda: packed(ws),
                "corrections.zip",
                "application/zip",
                key="download corrections",
                type="primary",
                on_click="ignore",
                shortcut="D",
            )
        folder = st.text_input("Folder on this machine", key=state.FOLDER, placeholder="~/corrections", width=300)
        st.button(
            "Write files to this folder", key="write corrections", on_click=_write, args=(ws,), disabled=not folder
        )
    cli_command.show(ws, "export", "corrections", "--out", folder or "~/corrections")


def own_form(ws: Workspace) -> str:
    """The corrected labels, in the data set's own form, in words."""
    return {
        image_folder.KIND: "renames.csv: which files to move between the class folders",
        csv_table.KIND: "train.csv: the training images with corrected labels",
        parquet.KIND: "train.parquet: the training rows with corrected labels",
    }.get(_image_kind(ws), "labels.npy: the corrected labels; removed.npy: the images to remove")


def _image_kind(ws: Workspace) -> str | None:
    """How the data set's training images are stored."""
    return ((ws.manifest["dataset"].get("images") or {}).get("train") or {}).get("kind")


def packed(ws: Workspace) -> bytes:
    """All files as one zip."""
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        with DecisionLog.of(ws) as log:
            about = corrections.export_corrections(ws, log, Path(folder) / "corrections")
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in about["files"]:
                archive.write(Path(folder) / "corrections" / name, name)
    return content.getvalue()


def _write(ws: Workspace) -> None:
    try:
        with DecisionLog.of(ws) as log:
            about = corrections.export_corrections(ws, log, state_of[state.FOLDER])
        state_of[state.MESSAGE] = f"Written to {about['folder']}: {', '.join(about['files'])}."
    except UserError as error:
        state.set_error(error)


def _bring(ws: Workspace, who: str) -> None:
    st.header("Import corrections", anchor=False)
    st.caption(
        "A corrections.csv of this data set, yours or a colleague's. Where it differs from a decision made here, the "
        "image is in conflict until somebody decides again."
    )
    upload = st.file_uploader("corrections.csv", type="csv", key="bring corrections", max_upload_size=100)
    st.button(
        "Import corrections", key="import corrections", disabled=upload is None, on_click=_take, args=(ws, upload, who)
    )


def _take(ws: Workspace, upload, who: str) -> None:
    try:
        with tempfile.TemporaryDirectory() as folder, DecisionLog.of(ws) as log:
            file = Path(folder) / (Path(upload.name).name or "corrections.csv")
            file.write_bytes(upload.getvalue())
            about = corrections.import_corrections(ws, log, file, who)
        state_of[state.MESSAGE] = (
            f"{write.count(about['imported'])} decisions imported, {write.count(about['same'])} already known, "
            f"{write.count(about['skipped'])} skipped (in conflict in the file); "
            f"{write.count(about['conflicts'])} are now in conflict here."
        )
    except (UserError, OSError) as error:
        state.set_error(error)
