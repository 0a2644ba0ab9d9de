"""Workspace: what is loaded and where it came from, importing rankings, and computing what is missing."""

from pathlib import Path

import streamlit as st

from attribution import UserError, Workspace
from attribution.data import depth, resizing
from attribution.files import user_path
from attribution.importing import base_predictions, formats, importing
from attribution.importing.formats import predictions
from attribution.inputs.names import visible_all
from attribution.runner import commands as background
from pages.data import copies, devices, recipes, words
from pages.ui import cli_command, measurement, state, theme
from pages.ui import format as write

POLL = "1s"
LISTED = 5  # commands
#: what can be computed -> the part it makes, and the words that ask for it
BUILDS = {
    "base models": ("base", ["base", "train"]),
    "MoCo features": ("features/moco", ["features", "train", "moco"]),
    "SimCLR features": ("features/simclr", ["features", "train", "simclr"]),
    "DINO features": ("features/dino", ["features", "train", "dino"]),
    "supervised features": ("features/supervised", ["features", "train", "supervised"]),
    "held-out halves for LDS": ("lds", ["halves", "train"]),
    "TRAK": ("rankings/trak", ["rankings", "build", "trak"]),
    "Datamodels": ("rankings/datamodels-500", ["rankings", "build", "datamodels"]),
    "detectors of mislabeled images": ("detectors/combined", ["detectors", "build"]),
}

TRAININGS = ("base models", "held-out halves for LDS", "TRAK", "Datamodels")  # of the model's recipe


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    st.header(write.plain(ws.name), anchor=False)
    data = ws.manifest["dataset"]
    planted = f", {ws.planted} planted errors" if ws.planted else ""
    read_as = "".join(f"; {clause}" for clause in (resizing(data), depth(data)) if clause)
    st.caption(
        write.plain(
            f"{data['name']}: {write.count(ws.n_train)} training and {write.count(ws.n_val)} validation "
            f"images, {len(ws.classes)} classes{planted}{read_as}; fingerprint {ws.fingerprint[:12]}; {ws.path}"
        )
    )
    if recorded := words.images_text(ws):
        st.caption(write.plain(f"Images: {recorded}."))
    for warning in words.alignment_warnings(ws):
        st.warning(write.sentence(warning), icon=":material/warning:")
    _draw_commands(ws)
    bring, build, more = st.columns(3, gap="large")
    with bring:
        _draw_import(ws)
        _draw_base_import(ws)
    with build:
        _draw_builds(ws)
    with more:
        _draw_other_workspace()
    copies.draw(ws)
    _draw_contents(ws)
    devices.draw(ws)


@st.cache_data(max_entries=4, show_spinner="Checking the rankings")
def _ranking_rows(_ws: Workspace, cache_key: str) -> list[dict]:
    return words.ranking_rows(_ws)


def _draw_contents(ws: Workspace) -> None:
    st.markdown("##### Rankings")
    rows = _ranking_rows(ws, theme.cache_key(ws))
    if rows:
        st.dataframe(visible_all(rows), hide_index=True, width="stretch")
    st.caption(write.plain(words.live_rankings_text(ws)))
    st.markdown("##### Features")
    rows = words.feature_rows(ws)
    if rows:
        st.dataframe(visible_all(rows), hide_index=True, width="stretch")
    else:
        st.caption("None yet. Compute a set, or bring one: `python -m attribution features import --help`.")
    rows = words.detector_rows(ws)
    if rows:
        st.markdown("##### Detectors of mislabeled images")
        st.dataframe(visible_all(rows), hide_index=True, width="stretch")
    _draw_models(ws)
    recipes.draw(ws)


def _draw_models(ws: Workspace) -> None:
    st.markdown("##### Models")
    rows = words.model_rows(ws)
    if rows:
        st.dataframe(visible_all(rows), hide_index=True, width="stretch")
        st.caption("Right: the share of the validation images, mean over the networks.")
        for warning in words.model_warnings(ws):
            st.caption(f":material/warning: {write.sentence(warning)}")
    else:
        st.caption("No base models yet: nothing is known of predictions. Train some, or bring those of your network.")
    if removable := words.removable_models(ws):
        with st.popover("Take a model out", icon=":material/delete:"):
            name = st.selectbox("A model that was added", removable)
            st.button("Take it out for good", key="take model out", on_click=_remove_model, args=(ws, name))


def _remove_model(ws: Workspace, name: str) -> None:
    try:
        base_predictions.remove_model(ws, name)
    except UserError as error:
        state.set_error(error)


# -- commands under way


def _draw_commands(ws: Workspace) -> None:
    """The last commands: their progress or outcome, and a way to stop them. Draws the page anew when one ends."""
    running = [command.number for command in background.list_commands(ws)[:LISTED] if command.is_open]

    @st.fragment(run_every=POLL if running else None)
    def draw_now():
        commands = background.list_commands(ws)[:LISTED]
        for command in commands:
            _command(ws, command)
        if running != [command.number for command in commands if command.is_open]:
            st.rerun()

    if background.list_commands(ws):
        with st.container(border=True):
            draw_now()
    state.show_error()


def _command(ws: Workspace, command: background.Command) -> None:
    if not command.is_open:
        icon = {"done": ":material/check:", "failed": ":material/error:"}.get(command.state, ":material/block:")
        st.markdown(f"{icon} {words.command_text(command)}")
        return
    text, done, total = command.progress or ("starting", 0, 1)
    label = f"{words.command_text(command)} · {write.plain(text)}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, done / total) if total else 0.0, label)
        key = f"cancel {command.number}"
        st.button("Cancel", key=key, on_click=background.cancel_command, args=(ws, command.number))


# -- bringing


def _draw_import(ws: Workspace) -> None:
    st.markdown("##### Bring a ranking")
    path = st.text_input("File or folder on this machine", key=state.IMPORT_PATH, placeholder="~/trak/scores.npy")
    if not path:
        st.caption(
            "Scores of traker, Datamodels, kronfluence, captum, dattri, quanda, Feldman and Zhang, top-k lists, "
            "or a Parquet table of target, train, rank and score. The file is read, never executed, and checked "
            "against these images first."
        )
        return
    exists, guess = False, None
    try:
        exists = user_path(path).exists()
        guess = formats.detect_format(Path(path))
    except UserError as error:
        st.caption(write.sentence(error))
        if not exists:
            return
    fields = _import_fields(path, guess)
    if fields["format"] and fields["name"]:
        arguments = words.import_words(fields)
        st.button("Check and import", key="import", type="primary", on_click=measurement.start, args=(ws, arguments))
        cli_command.show(ws, *arguments)


def _import_fields(path: str, guess: str | None) -> dict:
    """What is to be imported, and how it is to be read. guess: the format that the file seems to have."""
    as_format = {"index": None, "placeholder": "as the format has it"}
    names = formats.known_names()
    fields = {
        "path": path,
        "format": st.selectbox(
            "Format", names, names.index(guess) if guess else None, placeholder="Which library wrote it?"
        ),
    }
    if fields["format"]:
        try:
            st.caption(write.plain(formats.get_format(fields["format"]).DESCRIPTION))
        except UserError as error:  # code of an installed package
            st.caption(write.sentence(error))
    suggestion = Path(path).stem.lower().replace(" ", "-")[:40]
    fields["name"] = st.text_input(
        "Name",
        suggestion if importing.NAME_PATTERN.fullmatch(suggestion) else "",
        placeholder="a-z, 0-9, dot, dash, underscore",
    )
    with st.expander("What the file does not say itself"):
        fields["orientation"] = st.selectbox("The first axis is", formats.ORIENTATIONS, **as_format)
        fields["sign"] = st.selectbox("A positive score is", formats.SIGNS, **as_format)
        fields["index_base"] = st.selectbox("Images are counted from", (0, 1), **as_format)
        fields["part"] = st.text_input("Which of several (experiment, module)")
        fields["targets"] = st.text_input("A .npy of its validation images, where it has not all")
        fields["train"] = st.text_input("A .npy of its training images, where it has not all")
    fields["keep"] = st.segmented_control(
        "Keep",
        ("auto", "whole", "first"),
        default="auto",
        required=True,
        help="LDS needs every score; the first 1,000 at each end serve all else.",
    )
    fields["force"] = st.checkbox("Keep it even if it does not pass the alignment check")
    return fields


def _draw_base_import(ws: Workspace) -> None:
    st.markdown("##### Bring predictions")
    paths = st.text_area(
        "Files on this machine, one a network", key=state.BASE_PATHS, placeholder="~/net/val_logits.npy", height=68
    )
    if not paths.strip():
        st.caption(
            "What your own network says of the validation images, logits or probabilities: .npy, .npz or .pt "
            "[images, classes] in their order, or CSV or Parquet with a column `image` and one a class. It becomes a "
            "model beside the others, for all pages to speak about."
        )
        return
    fields = {
        "paths": paths,
        "kind": st.segmented_control("The numbers are", predictions.KINDS, default="logits", required=True),
        "recipe": st.text_input("Recipe that trained it, or any name", placeholder="my-network").strip(),
        "train": st.text_area("Its predictions of the training images, if any", height=68),
    }
    fields["out_of_sample"] = st.checkbox(
        "These are of networks that did not see the image", disabled=not fields["train"]
    )
    if not base_predictions.NAME_PATTERN.fullmatch(fields["recipe"]):
        return
    try:
        arguments = words.base_import_words(fields)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    st.button("Check and import", key="import base", type="primary", on_click=measurement.start, args=(ws, arguments))
    cli_command.show(ws, *arguments)


# -- computing


def _draw_builds(ws: Workspace) -> None:
    st.markdown("##### Compute")
    trains = _can_train(ws)
    offered = [what for what, (part, _) in BUILDS.items() if ws.can_add(part) and (trains or what not in TRAININGS)]
    what = st.selectbox("What", offered, key=state.BUILD)
    asked = BUILDS[what][1]
    st.caption(
        "In the background, on this machine's device. It goes on when the browser is closed; trainings that "
        "were done are not repeated when it is started again."
    )
    st.button("Start", key="build", on_click=measurement.start, args=(ws, asked))
    cli_command.show(ws, *asked)
    parts = words.user_parts(ws)
    if parts:
        with st.popover("Take out", icon=":material/delete:"):
            part = st.selectbox("A part that was added", parts)
            st.button("Take it out for good", key="take out", on_click=_remove_part, args=(ws, part))


def _can_train(ws: Workspace) -> bool:
    """Whether the recipe of the model that is looked at can be trained on this machine."""
    try:
        return not ws.get_recipe().problem
    except UserError:  # a recipe that is not known here
        return False


def _remove_part(ws: Workspace, part: str) -> None:
    try:
        ws.remove_part(part)
    except UserError as error:
        state.set_error(error)


def _draw_other_workspace() -> None:
    st.markdown("##### Other images")
    st.caption("A workspace of a folder with a folder for each class, and the dashboard on it:")
    st.code(
        "python -m attribution workspace create ~/mine --dataset image-folder --root ~/photos\n"
        "make run WORKSPACE=~/mine",
        language="bash",
        wrap_lines=True,
    )
    st.caption(
        "Or a CSV of files and labels, NumPy arrays, Parquet, what Hugging Face's `save_to_disk` wrote, WebDataset "
        "shards, torch's datasets, and CIFAR-10, which brings rankings with it: "
        "`python -m attribution workspace create --help`."
    )


main()
