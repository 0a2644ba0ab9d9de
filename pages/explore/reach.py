"""Explore, below a training image's card: whom it helps and harms, whose lists it stands in, and what is like it."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from attribution import UserError, Workspace, duplicates, hubs
from attribution.reach import End, Reach, reach
from pages.ui import cli_command, measurement, sprite_sheet, theme
from pages.ui import format as write
from pages.ui.tile_strip import strip, tiles

MEASURE = ["evaluate", "hubs"]
NEAREST = 12
MEMBERS = 60  # of a group of near-duplicates that are shown
TITLES = {"helped": ("+", "helps"), "harmed": ("-", "harms")}


def draw(
    ws: Workspace, image: int, rankings: list[str], on_target: Callable[[int], None], on_image: Callable[[int], None]
) -> None:
    """Rows of targets under the rankings on view, and a row of images like this one.

    on_target(validation image) and on_image(training image) are called where one is chosen.
    """
    try:
        found = _found(ws, theme.cache_key(ws), image, tuple(rankings))
        _targets(ws, image, found, on_target)
        _alike(ws, image, on_image)
    except UserError as error:
        st.error(write.sentence(error))


@st.cache_data(max_entries=200, show_spinner=False)
def _found(_ws, stamp: str, image: int, rankings: tuple[str, ...]) -> list[Reach]:
    return [reach(_ws, image, name) for name in rankings]


def _targets(ws: Workspace, image: int, found: list[Reach], on_target) -> None:
    st.markdown("##### Whom it helps and harms most")
    ends = [end for one in found for end in (one.helped, one.harmed) if end is not None]
    shown = np.unique(np.concatenate([np.zeros(0, np.int64), *(end.targets for end in ends)]))
    places = {int(target): at for at, target in enumerate(shown)}
    notes = [
        f"Validation images, click one to see its lineup. A list is the first {hubs.K} images of a "
        "target that may rank this one; no. 1 stands in most lists."
    ]
    if any(one.signed for one in found):
        notes.append("Signed rankings are sorted by score over targets, which takes their unit to be the same for all.")
    if not all(one.signed for one in found):
        notes.append("Similarities are sorted by this image's rank in the target's list; they do not know harm.")
    st.caption(write.plain(" ".join(notes)))
    strip(
        "reach",
        strip_data(ws, image, found, sprite_sheet.sheet(ws, "val", shown), places, sprite_sheet.scale(ws, 42)),
        on_pick=lambda tile: on_target(tile["id"]),
    )
    lacking = [one.ranking for one in found if one.helped is None or one.helped.lists is None]
    if lacking:
        words = [*MEASURE, "--rankings", ",".join(lacking)]
        if not measurement.under_way(ws, words):
            measurement.button(ws, words, "Look through all lists")
    with st.popover("Copy command", icon=":material/terminal:", key="reach command"):
        st.code(
            cli_command.line(ws, "reach", "--image", image, "--rankings", ",".join(one.ranking for one in found)),
            language="bash",
            wrap_lines=True,
        )


def strip_data(ws: Workspace, image: int, found: list[Reach], atlas: dict, places: dict[int, int], scale: int) -> dict:
    """The strip's data: a row for each ranking and end. places: validation image -> place in `atlas`."""
    rows = []
    for one in found:
        for name, end in (("helped", one.helped), ("harmed", one.harmed))[: 1 + one.signed]:
            rows.append(_row(ws, image, one, name, end, places))
    return {
        "layout": "rows",
        "of": f"image {image}",
        "atlas": atlas,
        "scale": scale,
        "zoom": 5 if scale > 1 else 2,
        "pitch": 62,
        "selected": None,
        "top": True,
        "rows": rows,
    }


def _row(ws, image, one: Reach, name: str, end: End | None, places) -> dict:
    sign, words = TITLES[name]
    drawn = {
        "id": f"{one.ranking} {name}",
        "name": one.ranking,
        "sign": sign,
        "sign_text": words,
        "label": f"{one.ranking}: validation images that training image {image} {words}, most first",
    }
    if end is None:
        return drawn | {"tiles": [], "empty": "whose lists it stands in has not been looked up yet"}
    notes = [lists_text(one, end), place_text(ws, end)] if end.lists is not None else []
    if not len(end.targets):
        empty = f"in the first {hubs.DEPTH} of no target" if end.scores is None else "no target: no score of this sign"
        return drawn | {"tiles": [], "notes": notes, "empty": empty}
    true, given = ws.val_labels[end.targets], ws.train_labels[image]
    where = [f", #{rank} of its list" if rank else "" for rank in end.ranks]
    texts = [f"validation image {target}, {ws.classes[c]}{at}" for target, c, at in zip(end.targets, true, where)]
    captions = [f"#{rank}" if rank else f"> {hubs.DEPTH}" for rank in end.ranks] if end.scores is None else None
    marks = [f"≠ {ws.classes[c]}" if c != given else None for c in true]
    return drawn | {
        "notes": notes,
        "tiles": tiles(
            places,
            end.targets,
            texts,
            caption=captions,
            mark=marks,
            score=None if end.scores is None else [write.score(score).replace("-", "−") for score in end.scores],
        ),
    }


def lists_text(one: Reach, end: End) -> str:
    """ "in 74 of 1,000 lists"."""
    return f"in {write.count(end.lists)} of {write.count(one.possible)} lists"


def place_text(ws: Workspace, end: End) -> str:
    """Where that puts it among all training images: "hub no. 12 of 5,000"."""
    return f"hub no. {write.count(end.place)} of {write.count(ws.n_train)}"


# -- what is like it


def _alike(ws: Workspace, image: int, on_image) -> None:
    if not ws.features() or ws.n_train > duplicates.MOST:
        return
    found = _around(ws, theme.cache_key(ws), image)
    st.markdown("##### Images like it")
    st.caption(write.plain(alike_text(found)))
    strip(
        "alike",
        alike_data(ws, found, sprite_sheet.sheet(ws, "train", _shown(found)), sprite_sheet.scale(ws)),
        on_pick=lambda tile: on_image(tile["id"]),
    )


@st.cache_data(max_entries=200, show_spinner=False)
def _around(_ws, stamp: str, image: int) -> dict:
    grouped = duplicates.grouping(_ws)
    group, near, cosines = duplicates.around(_ws, image, grouped, NEAREST)
    return {**grouped, "group": group, "near": near, "cosines": cosines}


def _shown(found: dict) -> list[int]:
    return list(dict.fromkeys([*found["near"].tolist(), *found["group"][:MEMBERS].tolist()]))


def alike_text(found: dict) -> str:
    """What the strip of images like it shows."""
    n = len(found["group"])
    group = f"{write.count(n)} near-duplicate{'s' * (n != 1)}" if n else "No near-duplicate"
    group, blind = (f"At least {group}", ", which tell little apart") if n > duplicates.WHOLE else (group, "")
    few = f" {MEMBERS} of them are shown." if n > MEMBERS else ""
    return (
        f"{group} at a cosine of {found['cosine']:g} in {found['features']} features{blind}; with the nearest "
        f"others.{few} Brittleness can remove an image together with its near-duplicates."
    )


def alike_data(ws: Workspace, found: dict, atlas: dict, scale: int) -> dict:
    """The strip's data: the nearest images with their cosines, then what else is of the group, linked by others."""
    shown, members = _shown(found), set(found["group"].tolist())
    cosine = dict(zip(found["near"].tolist(), found["cosines"].tolist()))
    texts, captions = [], []
    for one in shown:
        texts.append(
            f"training image {one}, {ws.classes[ws.train_labels[one]]}"
            + (", a near-duplicate" if one in members else "")
        )
        captions.append(("= " if one in members else "") + (f"{cosine[one]:.3f}" if one in cosine else "by others"))
    return {
        "layout": "line",
        "atlas": atlas,
        "scale": scale,
        "zoom": 5 if scale > 1 else 2,
        "pitch": 96,
        "selected": None,
        "rows": [
            {
                "id": "alike",
                "label": "training images like it, nearest first",
                "tiles": tiles(
                    {one: at for at, one in enumerate(shown)},
                    shown,
                    texts,
                    caption=[f"{text} {ws.classes[ws.train_labels[one]]}" for one, text in zip(shown, captions)],
                ),
            }
        ],
    }
