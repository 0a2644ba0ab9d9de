"""Below a training image's card: which targets it helps and harms, whose lists it is in, and images like it."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.explore import hubs
from attribution.explore.influence import ImageInfluence, InfluenceEnd, image_influence
from attribution.features import near_duplicates
from pages.ui import cli_command, measurement, sprite_sheet, theme
from pages.ui import format as write
from pages.ui.tile_strip import image_row, strip, strip_data, tiles

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
        _targets(ws, image, _reaches(ws, theme.cache_key(ws), image, tuple(rankings)), on_target)
        _alike(ws, image, on_image)
    except UserError as error:
        st.error(write.sentence(error))


@st.cache_data(max_entries=200, show_spinner=False)
def _reaches(_ws, cache_key: str, image: int, rankings: tuple[str, ...]) -> list[ImageInfluence]:
    return [image_influence(_ws, image, name) for name in rankings]


def _targets(ws: Workspace, image: int, reaches: list[ImageInfluence], on_target) -> None:
    st.markdown("### Predictions it helps or harms most")
    ends = [end for row in reaches for end in (row.helped, row.harmed) if end is not None]
    shown = np.unique(np.concatenate([np.zeros(0, np.int64), *(end.targets for end in ends)]))
    places = {int(target): at for at, target in enumerate(shown)}
    notes = [
        f"Validation images: click one to debug it. A list is a target's top {hubs.DEFAULT_K} images, of targets that "
        "may rank this image; hub no. 1 stands in most lists."
    ]
    if any(row.signed for row in reaches):
        notes.append("Signed rankings are sorted by score over targets, which takes their unit to be the same for all.")
    if not all(row.signed for row in reaches):
        notes.append("Similarities are sorted by this image's rank in the target's list; they do not know harm.")
    st.caption(write.plain(" ".join(notes)))
    strip(
        "reach",
        reach_data(ws, image, reaches, sprite_sheet.sheet(ws, "val", shown), places, sprite_sheet.scale(ws, 42)),
        on_pick=lambda tile: on_target(tile["id"]),
    )
    lacking = [row.ranking for row in reaches if row.helped is None or row.helped.n_lists is None]
    if lacking:
        words = [*MEASURE, "--rankings", ",".join(lacking)]
        if not measurement.under_way(ws, words):
            measurement.button(ws, words, "Look through all lists")
    names = ",".join(row.ranking for row in reaches)
    cli_command.popover(ws, "reach", "--image", image, "--rankings", names, key="reach command")


def reach_data(
    ws: Workspace, image: int, reaches: list[ImageInfluence], atlas: dict, places: dict[int, int], scale: int
) -> dict:
    """The strip's data: a row for each ranking and end. places: validation image -> place in `atlas`."""
    rows = [
        _row(ws, image, reach, name, end, places)
        for reach in reaches
        for name, end in (("helped", reach.helped), ("harmed", reach.harmed))[: 1 + reach.signed]
    ]
    return strip_data("rows", rows, atlas, scale, of=f"image {image}", pitch=62, top=True)


def _row(ws, image, reach: ImageInfluence, name: str, end: InfluenceEnd | None, places) -> dict:
    sign, words = TITLES[name]
    drawn = {
        "id": f"{reach.ranking} {name}",
        "name": reach.ranking,
        "sign": sign,
        "sign_text": words,
        "label": f"{reach.ranking}: validation images that training image {image} {words}, most first",
    }
    if end is None:
        return drawn | {"tiles": [], "empty": "whose lists it stands in has not been looked up yet"}
    notes = [lists_text(reach, end), place_text(ws, end)] if end.n_lists is not None else []
    if not len(end.targets):
        empty = (
            f"in the top {hubs.LIST_DEPTH} of no target" if end.scores is None else "no target: no score of this sign"
        )
        return drawn | {"tiles": [], "notes": notes, "empty": empty}
    true, given = ws.val_labels[end.targets], ws.train_labels[image]
    where = [f", #{rank} of its list" if rank else "" for rank in end.ranks]
    texts = [f"validation image {target}, {ws.classes[c]}{at}" for target, c, at in zip(end.targets, true, where)]
    captions = [f"#{rank}" if rank else f"> {hubs.LIST_DEPTH}" for rank in end.ranks] if end.scores is None else None
    marks = [f"label: {ws.classes[c]}" if c != given else None for c in true]
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


def lists_text(reach: ImageInfluence, end: InfluenceEnd) -> str:
    """ "in 74 of 1,000 lists"."""
    return f"in {write.count(end.n_lists)} of {write.count(reach.n_targets)} lists"


def place_text(ws: Workspace, end: InfluenceEnd) -> str:
    """Where that puts it among all training images: "hub no. 12 of 5,000"."""
    return f"hub no. {write.count(end.hub_rank)} of {write.count(ws.n_train)}"


# -- what is like it


def _alike(ws: Workspace, image: int, on_image) -> None:
    if not ws.features() or ws.n_train > near_duplicates.MAX_IMAGES:
        return
    alike = _around(ws, theme.cache_key(ws), image)
    st.markdown("### Images like it")
    st.caption(write.plain(alike_text(alike)))
    data = alike_data(ws, alike, sprite_sheet.sheet(ws, "train", _shown(alike)), sprite_sheet.scale(ws))
    strip("alike", data, on_pick=lambda tile: on_image(tile["id"]))


@st.cache_data(max_entries=200, show_spinner=False)
def _around(_ws, cache_key: str, image: int) -> dict:
    grouped = near_duplicates.grouping_spec(_ws)
    group, near, cosines = near_duplicates.group_and_nearest(_ws, image, grouped, NEAREST)
    return {**grouped, "group": group, "near": near, "cosines": cosines}


def _shown(alike: dict) -> list[int]:
    return list(dict.fromkeys([*alike["near"].tolist(), *alike["group"][:MEMBERS].tolist()]))


def alike_text(alike: dict) -> str:
    """What the strip of images like it shows."""
    n = len(alike["group"])
    group = f"{write.count(n)} near-duplicate{'s' * (n != 1)}" if n else "No near-duplicate"
    group, blind = (f"At least {group}", ", which tell little apart") if n > near_duplicates.MAX_WALKED else (group, "")
    few = f" {MEMBERS} of them are shown." if n > MEMBERS else ""
    return (
        f"{group} at a cosine of {alike['cosine']:g} in {alike['features']} features{blind}; with the nearest "
        f"others.{few} More tests, beside the verdict, can remove an image together with its near-duplicates."
    )


def alike_data(ws: Workspace, alike: dict, atlas: dict, scale: int) -> dict:
    """The strip's data: the nearest images with their cosines, then what else is of the group, linked by others."""
    shown, members = _shown(alike), set(alike["group"].tolist())
    cosine = dict(zip(alike["near"].tolist(), alike["cosines"].tolist()))
    classes = [ws.classes[ws.train_labels[other]] for other in shown]
    texts = [
        f"training image {other}, {name}" + (", a near-duplicate" if other in members else "")
        for other, name in zip(shown, classes)
    ]
    captions = [
        ("= " if other in members else "") + (f"{cosine[other]:.3f}" if other in cosine else "by others") + f" {name}"
        for other, name in zip(shown, classes)
    ]
    row = image_row("alike", "training images like it, nearest first", shown, texts, caption=captions)
    return strip_data("line", [row], atlas, scale, pitch=96)
