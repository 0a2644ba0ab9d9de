"""This machine: what retrains on it, and how to look at other images."""

import streamlit as st

from attribution import Workspace
from pages.data import devices


def draw(ws: Workspace) -> None:
    """Devices, then workspaces of other images."""
    devices.draw(ws)
    st.subheader("Images of your own", anchor=False)
    st.caption("Makes a workspace of a folder that has a folder of images for each class, and opens it here.")
    st.code(
        "python -m attribution workspace create ~/mine --dataset image-folder --root ~/photos\n"
        "make run WORKSPACE=~/mine",
        language="bash",
        wrap_lines=True,
    )
    st.caption(
        "Other sources: a CSV of files and labels, NumPy arrays, Parquet, Hugging Face's `save_to_disk`, WebDataset "
        "shards, torch's datasets, and CIFAR-10, which brings rankings with it. "
        "All are listed by `python -m attribution workspace create --help`."
    )
