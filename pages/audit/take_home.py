"""The corrections, to look at and to take home: what was changed, as pictures and as files, and back from a file."""

import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import streamlit as st

from attribution import UserError, Workspace, corrections
from attribution.data import image_folder, parquet
from attribution.decisions import Decisions
from pages.audit import board
from pages.ui import audit_queue, cli_command, sprite_sheet, state
from pages.ui import format as write
from pages.ui.tile_strip import strip, tiles

SHOWN = 200  # pictures of what was changed
GROUPS = {
    "relabel": "relabelled",
    "remove": "removed",
    "conflict": "with two answers",
    "unsure": "unsure",
    "keep": "found right",
}
TWO_ANSWERS = {"of": "conflicts"}  # what its queue says of itself
state_of = st.session_state


def draw(ws: Workspace, log: Decisions, who: str) -> None:
    standing, _ = board.board(ws).read(log)
    _say()
    if standing:
        _counts(ws, log, standing)
        _files(ws, standing)
    else:
        st.info(
            "Nothing is decided yet. Decide about a few images of a queue, and the corrections are here; or bring "
            "a corrections.csv back in, below."
        )
    _bring(ws, log, who)


def _say() -> None:
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    if state.TOLD in state_of:
        st.success(write.plain(state_of.pop(state.TOLD)))


def _groups(standing: dict) -> dict[str, list]:
    found = {name: [] for name in GROUPS}
    for _, one in sorted(standing.items()):
        found["conflict" if one.conflict else one.action].append(one)
    return found


def _counts(ws: Workspace, log: Decisions, standing: dict) -> None:
    """How much was decided, and pictures of it."""
    groups = _groups(standing)
    facts = "".join(f"<div><b>{write.count(len(found))}</b><br>{GROUPS[name]}</div>" for name, found in groups.items())
    st.html(f'<div class="lu-facts"><div><b>{write.count(len(standing))}</b><br>decided</div>{facts}</div>')
    there = [name for name, found in groups.items() if found]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.segmented_control(
            "Look at",
            there,
            default=there[0],
            required=True,
            key=state.LOOK_AT,
            format_func=lambda name: f"{GROUPS[name]} ({write.count(len(groups[name]))})",
        )
        if groups["conflict"]:
            st.button(
                "Make a queue of those with two answers",
                key="queue of conflicts",
                on_click=audit_queue.make,
                args=(ws,),
                kwargs={"images": [one.item for one in groups["conflict"]], "origin": TWO_ANSWERS},
            )
    found = groups[name]
    ids = [one.item for one in found[:SHOWN]]
    places = {image: at for at, image in enumerate(ids)}
    captions = [caption(ws, one) for one in found[:SHOWN]]
    texts = [
        f"training image {one.item}: {text}, by {one.who}" + (f", {one.reason}" if one.reason else "")
        for one, text in zip(found, captions)
    ]
    strip(
        "corrections",
        {
            "layout": "wall",
            "atlas": sprite_sheet.sheet(ws, "train", ids),
            "scale": sprite_sheet.scale(ws),
            "zoom": 5,
            "pitch": 150,
            "selected": None,
            "rows": [{"id": name, "label": GROUPS[name], "tiles": tiles(places, ids, texts, caption=captions)}],
        },
        on_pick=lambda tile: _open(standing[tile["id"]]),
    )
    if len(found) > SHOWN:
        st.caption(f"The first {SHOWN} of {write.count(len(found))}; the files have all.")


def _open(one) -> None:
    """Goes to an image in the queue it was decided in, to look again."""
    if one.queue is not None:
        state_of[state.QUEUE], state_of[state.OPEN_AT] = str(one.queue), str(one.item)
        state_of[state.ROOM_OF_AUDIT] = "queue"


def caption(ws: Workspace, one) -> str:
    """What stands of an image, in a few words."""
    given = ws.classes[ws.train_labels[one.item]]
    if one.conflict:
        answers = [
            ws.classes[other.label] if other.action == "relabel" else GROUPS[other.action]
            for other in (*one.conflict, one)
        ]
        return " or ".join(answers)
    return {
        "relabel": lambda: f"{given} → {ws.classes[one.label]}",
        "keep": lambda: given,
        "remove": lambda: f"{given}, out",
        "unsure": lambda: f"{given}?",
    }[one.action]()


def _files(ws: Workspace, standing: dict) -> None:
    st.markdown("##### Files")
    st.caption(
        write.plain(
            f"corrections.csv has an image a row, {own_form(ws)}, and log.csv every decision, undo and "
            "redo. What is unsure or has two answers changes no label."
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if _small(ws):
            st.download_button(
                "Download all",
                lambda: packed(ws),
                "corrections.zip",
                "application/zip",
                key="download corrections",
                type="primary",
                on_click="ignore",
            )
        folder = st.text_input("Folder on this machine", key=state.FOLDER, placeholder="~/corrections", width=300)
        st.button("Write them there", key="write corrections", on_click=_write, args=(ws,), disabled=not folder)
    st.code(
        cli_command.line(ws, "export", "corrections", "--out", folder or "~/corrections"),
        language="bash",
        wrap_lines=True,
    )


def own_form(ws: Workspace) -> str:
    """The corrected labels, in the data set's own form, in words."""
    kind = ((ws.manifest["dataset"].get("images") or {}).get("train") or {}).get("kind")
    return {
        image_folder.KIND: "renames.csv what to move in the folders",
        parquet.KIND: "train.parquet the training rows with corrected labels",
    }.get(kind, "labels.npy the corrected labels, removed.npy what is to go")


def _small(ws: Workspace) -> bool:
    """Whether the files may go through the browser: a Parquet file holds all images."""
    kind = ((ws.manifest["dataset"].get("images") or {}).get("train") or {}).get("kind")
    return kind != parquet.KIND


def packed(ws: Workspace) -> bytes:
    """All files as one zip."""
    folder, content = Path(tempfile.mkdtemp()), io.BytesIO()
    try:
        with Decisions.of(ws) as log:
            about = corrections.write(ws, log, folder / "corrections")
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in about["files"]:
                archive.write(folder / "corrections" / name, name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return content.getvalue()


def _write(ws: Workspace) -> None:
    try:
        with Decisions.of(ws) as log:
            about = corrections.write(ws, log, state_of[state.FOLDER])
        state_of[state.TOLD] = f"Written to {about['folder']}: {', '.join(about['files'])}."
    except UserError as error:
        state.say_once(error)


def _bring(ws: Workspace, log: Decisions, who: str) -> None:
    st.markdown("##### Bring corrections back")
    st.caption(
        "A corrections.csv of this data set, your own or somebody else's. Where it differs from what stands "
        "here, the image has two answers until one of you decides again."
    )
    upload = st.file_uploader("corrections.csv", type="csv", key="bring corrections", max_upload_size=100)
    st.button("Bring it in", key="import corrections", disabled=upload is None, on_click=_take, args=(ws, upload, who))


def _take(ws: Workspace, upload, who: str) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        file = folder / (Path(upload.name).name or "corrections.csv")
        file.write_bytes(upload.getvalue())
        with Decisions.of(ws) as log:
            about = corrections.bring(ws, log, file, who)
        state_of[state.TOLD] = (
            f"{write.count(about['imported'])} decisions came in, {write.count(about['same'])} "
            f"were known, {write.count(about['skipped'])} had two answers and were left out; "
            f"{write.count(about['conflicts'])} now have two answers here."
        )
    except (UserError, OSError) as error:
        state.say_once(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
