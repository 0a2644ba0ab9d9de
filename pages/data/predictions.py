"""Importing the predictions of one's own network: they become a model beside the others."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.importing import base_predictions
from attribution.importing.formats import predictions
from pages.data import words
from pages.ui import cli_command, measurement, state
from pages.ui import format as write


def draw(ws: Workspace) -> None:
    """The section of the page: the files, what they are, and the button."""
    st.subheader("Predictions of your own network", anchor=False)
    st.caption("They become a model beside the others, which every page can explain.")
    paths = st.text_area(
        "Files on this machine, one for each trained network",
        key=state.BASE_PATHS,
        placeholder="~/net/val_logits.npy",
        height=68,
    )
    if not paths.strip():
        st.caption(
            "Logits or probabilities of the validation images: .npy, .npz or .pt of [images, classes] in their order, "
            "or CSV or Parquet with a column `image` and one for each class."
        )
        return
    fields = _ask(paths)
    if not base_predictions.NAME_PATTERN.fullmatch(fields["recipe"]):
        st.caption("Give the model a name of at most 40 of a-z, 0-9, dot, dash and underscore.")
        return
    try:
        arguments = words.base_import_words(fields)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button("Import", key="import base", type="primary", on_click=measurement.start, args=(ws, arguments))
        cli_command.popover(ws, *arguments, key="import base command")
    measurement.under_way(ws, arguments)


def _ask(paths: str) -> dict:
    fields = {
        "paths": paths,
        "kind": st.segmented_control("The numbers are", predictions.KINDS, default="logits", required=True),
        "recipe": st.text_input(
            "Name of the model, or of the recipe that trained it", placeholder="my-network"
        ).strip(),
        "train": st.text_area("Its predictions of the training images, if any", height=68),
    }
    fields["out_of_sample"] = st.checkbox(
        "These come from networks that did not see the image", disabled=not fields["train"]
    )
    return fields
