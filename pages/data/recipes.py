"""The recipes that can be asked for, and naming training code of one's own."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.inputs.names import visible_all
from attribution.store.results import ResultStore
from attribution.training import own
from attribution.workspace.recipe_list import describe_recipes
from pages.ui import cli_command, measurement, state
from pages.ui import format as write


def draw(ws: Workspace) -> None:
    """The table of recipes, and beneath it how to add one and what to do with it."""
    st.subheader("Recipes", anchor=False)
    st.caption("A recipe is the training code that retrains a model on edited images.")
    with ResultStore.for_workspace(ws) as store:
        rows = describe_recipes(ws, store)
    st.dataframe(visible_all([_row(row) for row in rows]), hide_index=True, width="stretch")
    with st.expander("Details: hash and place of each recipe"):
        st.dataframe(visible_all([_details(row) for row in rows]), hide_index=True, width="stretch")
    for row in rows:
        if row["kind"] == "own" and row["note"]:
            st.caption(f":material/info: {write.plain(row['recipe'])}: {write.plain(row['note'])}.")
    add, use = st.columns(2, gap="large")
    with add:
        _draw_add(ws)
    with use:
        _draw_use(ws, [row["recipe"] for row in rows if row["kind"] == "own"])


def _row(row: dict) -> dict:
    unknown = "not measured yet"
    return {
        "recipe": row["recipe"],
        "kind": row["kind"],
        "accuracy": unknown if row["accuracy"] is None else f"{row['accuracy']:.1%}",
        "one training": unknown if row["seconds"] is None else write.seconds(row["seconds"]),
        "trainings stored": write.count(row["results"]) if row["results"] else "none yet",
    }


def _details(row: dict) -> dict:
    return {"recipe": row["recipe"], "hash": row["hash"], "place": row["place"] or "comes with Lineup"}


def _draw_add(ws: Workspace) -> None:
    place = st.text_input("Your training code", key=state.RECIPE_PLACE, placeholder="~/project/train.py:Mine")
    st.caption(
        "A class in a Python file on this machine, with setup, fit and logits. **Its code will run on this machine as "
        "you** whenever a training is asked for; add only what you would run yourself. To begin with one that works: "
        "`python -m attribution recipe new train.py`."
    )
    if place:
        st.button("Add this recipe", key="add recipe", type="primary", on_click=_add, args=(place,))
        cli_command.show(ws, "recipe", "check", place)
        state.show_error()


def _draw_use(ws: Workspace, names: list[str]) -> None:
    if not names:
        return
    name = st.selectbox("Your recipe", names, key=state.OWN_RECIPE)
    st.caption(
        "Check it first: about eight trainings show whether it does what retraining needs. Its base models make it one "
        "of the models above, which every page can explain."
    )
    with st.container(horizontal=True):
        check, train = ["recipe", "check", name], ["base", "train", "--model", name]
        st.button("Check it", key="check recipe", on_click=measurement.start, args=(ws, check))
        st.button("Train its base models", key="train recipe", on_click=measurement.start, args=(ws, train))
        st.button("Remove it", key="remove recipe", on_click=_remove, args=(name,))


def _add(place: str) -> None:
    try:
        own.add(place)
    except UserError as error:
        state.set_error(error)


def _remove(name: str) -> None:
    try:
        own.remove(name)
    except UserError as error:
        state.set_error(error)
