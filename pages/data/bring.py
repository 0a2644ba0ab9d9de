"""Importing scores of one's own: the file, what it does not say itself, the button, and how it went."""

from pathlib import Path

import streamlit as st

from attribution import UserError, Workspace
from attribution.files import user_path
from attribution.importing import formats, importing, uploads
from attribution.runner import commands as background
from pages.data import job_list, job_text, words
from pages.ui import cli_command, measurement, state, theme
from pages.ui import format as write
from pages.ui.fragments import fragment

POLL = "0.5s"
#: formats whose files say themselves what a positive score means, or have an order alone
SAY_THE_SIGN = ("traker", "datamodels", "datamodels-store", "feldman-zhang", "topk", "bergson")
#: what a file may leave open, as the command line and as the page say it
SIGNS = {"helpful": "helpful: it raises the prediction", "harmful": "harmful: it lowers it",
         "unsigned": "only the order counts"}  # fmt: skip
AXES = {"target-first": "validation images", "train-first": "training images"}
KEEPS = {"auto": "all, if there is room", "whole": "every score", "first": "the first 1,000 at each end"}


def draw(ws: Workspace) -> None:
    """The section of the page."""
    path, shown, guess = _choose_file(ws)
    if not path:
        return _draw_outcome(ws)
    fields = _ask(path, shown, guess)
    missing = _missing(fields)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Import and compare",
            key="import",
            type="primary",
            disabled=bool(missing),
            on_click=_start,
            args=(ws, fields, bool(shown)),
        )
        if missing:
            st.caption(missing, width="content")
        else:
            written = words.import_words({**fields, "path": shown or str(path)})
            cli_command.popover(ws, *written, key="import command")
    _draw_outcome(ws)


def _choose_file(ws: Workspace) -> tuple[Path | None, str, str | None]:
    """(the file, its own name where it was uploaded, the format that it looks like), as far as there are."""
    upload, typed = st.columns(2, gap="medium")
    with upload:
        number = st.session_state.setdefault(state.UPLOAD_NUMBER, 0)
        sent = st.file_uploader(
            "Upload a file of scores",
            list(uploads.KINDS),
            key=f"upload {number}",
            max_upload_size=uploads.MAX_MB,
            help="It is read as data, never executed, and deleted once it is imported or refused.",
        )
        st.caption(f"[validation images, training images] or its transpose; up to {uploads.MAX_MB} MB.")
    with typed:
        path = st.text_input(
            "or a file or folder on this machine",
            key=state.IMPORT_PATH,
            placeholder="~/trak/scores.npy",
            disabled=sent is not None,
        )
        st.caption(
            "Also the folders of traker, kronfluence, bergson, quanda and Datamodels, and Parquet or CSV with the "
            "columns target, train and rank or score."
        )
    if sent is not None:
        return _uploaded(ws, sent)
    _forget_upload()
    return _typed(path) if path else (None, "", None)


def _typed(text: str) -> tuple[Path | None, str, str | None]:
    """As `_choose_file`, of a path; says what is wrong with it."""
    try:
        path = user_path(text)
        if not path.exists():
            formats.detect_format(path)  # raises the sentence for that
        return path, "", _looks_like(path)
    except UserError as error:
        st.error(write.sentence(error), icon=":material/error:")
        return None, "", None


def _looks_like(path: Path) -> str | None:
    try:
        return formats.detect_format(path)
    except UserError:  # the person says it
        return None


def _uploaded(ws: Workspace, sent) -> tuple[Path | None, str, str | None]:
    """As `_choose_file`, of a file that was sent; it is written once, and its format looked for then."""
    kept = st.session_state.get(state.UPLOAD)
    if not kept or kept["id"] != sent.file_id:
        _forget_upload()
        try:
            file = uploads.save(ws, sent.name, sent)
        except UserError as error:
            st.error(write.sentence(error), icon=":material/error:")
            return None, "", None
        kept = {"id": sent.file_id, "file": file, "guess": _looks_like(file), "read": False}
        st.session_state[state.UPLOAD] = kept
    return kept["file"], kept["file"].name, kept["guess"]


def _forget_upload() -> None:
    """Removes a file that was sent and then taken back, unless an import reads it, which removes it itself."""
    kept = st.session_state.pop(state.UPLOAD, None)
    if kept and not kept["read"]:
        uploads.remove(kept["file"])


def _ask(path: Path, shown: str, guess: str | None) -> dict:
    """What the file is, and what it does not say itself; all in plain view but what few files need."""
    st.subheader("Required file details", anchor=False)
    suggestion = path.stem.lower().replace(" ", "-")[:40]
    fields: dict = {"path": str(path)}
    name, form, sign = st.columns(3, gap="small")
    fields["name"] = name.text_input(
        "Name of the scores",
        suggestion if importing.NAME_PATTERN.fullmatch(suggestion) else "",
        placeholder="a-z, 0-9, dot, dash, underscore",
        key=_key("name", path),
    )
    names = formats.known_names()
    fields["format"] = form.selectbox(
        "Written by", names, names.index(guess) if guess else None, placeholder="Choose", key=_key("format", path)
    )
    with sign:
        fields["sign"] = _choose("A positive score means", SIGNS, path, _required_sign(fields["format"]))
    axis, base, keep = st.columns(3, gap="small")
    with axis:
        fields["orientation"] = _choose("The first axis is", AXES, path, "told by its shape")
    with base:
        fields["index_base"] = _choose("Images are counted from", {0: "0", 1: "1"}, path, "0, or as the file says")
    with keep:
        fields["keep"] = st.selectbox(
            "Keep",
            list(KEEPS),
            format_func=KEEPS.get,
            key=_key("keep", path),
            help="LDS needs every score; the first 1,000 at each end serve all else.",
        )
    with st.expander("Only some images, or one of several arrays"):
        fields["part"] = st.text_input("Which of several (experiment, module, array)", key=_key("part", path))
        fields["targets"] = st.text_input("A .npy with the numbers of its validation images", key=_key("targets", path))
        fields["train"] = st.text_input("A .npy with the numbers of its training images", key=_key("train", path))
    fields["force"] = st.checkbox("Keep it even if it fails the check", key=_key("force", path), help=CHECK)
    return fields


def _key(field: str, path: Path) -> str:
    """Of a widget: another file is asked about anew; one that was sent keeps its answers when it is written again."""
    kept = st.session_state.get(state.UPLOAD)
    return f"{field} of {kept['id'] if kept else path}"


CHECK = (
    "The check: its top images should have the target's class far more often than chance. A matrix that is "
    "transposed, negated or in another order fails."
)


def _required_sign(name: str | None) -> str:
    return "said by the file" if name in SAY_THE_SIGN else ""


def _choose(label: str, choices: dict, path: Path, if_empty: str):
    """One of the choices, or None where the file says it itself. if_empty: what no choice means; "" where one has to be
    made."""
    return st.selectbox(
        label if if_empty else f"{label} (required)",
        list(choices),
        index=None,
        format_func=choices.get,
        placeholder=if_empty.capitalize() or "Choose one",
        key=_key(label, path),
    )


def _missing(fields: dict) -> str:
    """What has to be answered before the import, or ""."""
    if not fields["format"]:
        return "Choose which library wrote it; for a plain matrix that is tensor."
    if not importing.NAME_PATTERN.fullmatch(fields["name"]):
        return "Give it a name of at most 40 of a-z, 0-9, dot, dash and underscore."
    if fields["format"] not in (*SAY_THE_SIGN, "parquet", "csv") and not fields["sign"]:
        return "Choose what a positive score means."
    return ""


def _start(ws: Workspace, fields: dict, is_upload: bool) -> None:
    """Starts the import; a callback. A file that was sent is written again where an import before has removed it."""
    upload = None
    if is_upload:
        kept = st.session_state[state.UPLOAD]
        if kept["read"]:
            sent = st.session_state[f"upload {st.session_state[state.UPLOAD_NUMBER]}"]
            sent.seek(0)
            try:
                kept["file"] = uploads.save(ws, sent.name, sent)
            except UserError as error:
                return state.set_error(error)
        kept["read"], upload = True, kept["file"]
        fields = {**fields, "path": str(upload)}
    st.session_state[state.IMPORTED] = measurement.start(ws, words.import_words(fields), upload)


def _draw_outcome(ws: Workspace) -> None:
    """How far the import is that this visit started last, or how it ended, beside its button."""
    number = st.session_state.get(state.IMPORTED)
    command = number and next((one for one in background.list_commands(ws) if one.number == number), None)
    if not command:
        return
    if not command.is_open:
        return _draw_end(ws, command)

    @fragment(POLL)
    def follow():
        now = next((one for one in background.list_commands(ws) if one.number == number), None)
        theme.expect_change()  # the scores are there before they are judged
        if now is None or not now.is_open:
            if now and now.state == "done":
                st.session_state[state.UPLOAD_NUMBER] += 1  # a new, empty uploader: the file is imported
                st.session_state.pop(state.UPLOAD, None)
            st.rerun()
        job_list.draw_progress(now)

    follow()


def _draw_end(ws: Workspace, command: background.Command) -> None:
    answer = background.answer_of(ws, command) if command.state == "done" else None
    if answer and "alignment" in answer:
        with st.container(key="import-done", gap="xsmall"):
            said = job_text.import_text(answer, job_list.stored_lds(ws, answer))
            st.success(write.plain(said), icon=":material/check:")
            job_list.draw_link(job_list.command_link(ws, command, answer))
    elif command.state == "cancelled":
        st.info("The import was cancelled; nothing was stored.")
    else:
        st.error(write.plain(f"Not imported: {job_text.for_page(command.message)}."), icon=":material/error:")
