"""What the tabs of Compare have in common: a heading, a stored answer or the way to it, charts, downloads, and rows of
images that lead to Debug. A tab adds its content."""

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.ui import (
    cli_command,
    downloads,
    job_buttons,
    link,
    measurement,
    model_choice,
    sprite_sheet,
    state,
    theme,
)
from pages.ui import format as write
from pages.ui.fragments import fragment
from pages.ui.target_card import wall_data
from pages.ui.tile_strip import strip

POLL = "2s"

# -- heading and text


def header(question: str) -> None:
    """The tab's question, and below it what went wrong in the last callback."""
    st.header(question, anchor=False)
    if state.ERROR in st.session_state:
        st.error(write.sentence(st.session_state.pop(state.ERROR)))


def section(question: str) -> None:
    """The question of a part of a tab."""
    st.subheader(question, anchor=False)


def caption(text: str) -> None:
    """Small grey text, shown as it is."""
    st.caption(write.plain(text))


def command_line(ws: Workspace, *words) -> None:
    """The command line that does it, to be copied."""
    st.code(cli_command.line(ws, *words), language="bash", wrap_lines=True)


def provenance(part: dict) -> str:
    """ "Made <day> by <command>", without the full stop. part: its entry of the manifest."""
    return f"Made {part.get('made', '')} by {part.get('command', '')}"


def look_at_other_model(why: str, other: str) -> None:
    """Why there is nothing to show of the model that is looked at, and a button that turns to another; "" for none."""
    st.info(write.plain(why))
    if other:
        st.button(f"Look at {write.plain(other)}", key=f"turn to {other}", on_click=model_choice.show, args=(other,))


def held_out_halves(answer: dict) -> str:
    """What LDS was measured on. answer: has "masks", their number, and "seeds", how many each."""
    return f"{answer['masks']} held-out halves with {write.counted(answer['seeds'], 'seed')} each"


# -- answers


def stored_answer(
    ws: Workspace,
    words: list[str],
    load: Callable[[Workspace], Any],
    missing: str = "",
    button: str = "",
    ask: Callable[[Workspace], None] | None = None,
    running: bool | None = None,
):
    """What `load` finds of the measurement that the command `words` makes; None where there is nothing to show.

    Shows the progress of one under way, else, where none is stored, how to get it: the sentence `missing` and a button
    of this label, or whatever `ask` draws. running: whether one is under way, where that is shown already."""
    if running is None:
        running = measurement.under_way(ws, words)
    try:
        answer = load_answer(ws, load)
    except UserError as error:
        st.error(write.sentence(error))
        return None
    if answer is None and ask and not running:
        ask(ws)
    elif answer is None and not running:
        st.info(missing)
        measurement.button(ws, words, button)
    return answer


def load_answer(ws: Workspace, load: Callable[[Workspace], Any]):
    """`load` of the workspace; called again when a part of it has changed."""
    return _loaded(ws, load, f"{load.__module__}.{load.__qualname__}", theme.cache_key(ws))


@st.cache_resource(max_entries=32, show_spinner=False)
def _loaded(_ws, _load, name: str, stamp: str):
    return _load(_ws)


def from_store(ws: Workspace, name: str, compute: Callable[[Workspace, ResultStore], Any]):
    """`compute` of the workspace and its store; called again when a part, an answer or a study has come in."""
    with ResultStore.for_workspace(ws) as store:
        version = (theme.cache_key(ws), store.supports_version(), store.newest_job())
        return _computed(ws, store, compute, name, version)


@st.cache_resource(max_entries=8, show_spinner="Comparing supports")
def _computed(_ws, _store, _compute, name: str, version: tuple):
    return _compute(_ws, _store)


# -- the target that is looked at


def shown_target(ws: Workspace) -> int | None:
    """The target that the address says, else the one that was looked at in Debug; None where there is none. The address
    then says it, so that a reload and Back keep it."""
    if state.TARGET in st.query_params:
        if error := link.check(state.TARGET, ws.check_target):
            st.warning(write.sentence(error), icon=":material/link_off:")
            return None
        return link.number(state.TARGET)
    target = st.session_state.get(state.CARRIED, {}).get(state.TARGET)
    if target is None or not 0 <= target < ws.n_val:
        return None
    st.query_params[state.TARGET] = str(target)
    return int(target)


# -- jobs


def submit(ws: Workspace, spec: dict) -> None:
    """Callback: queues what `spec` asks; what goes wrong is shown when the page is drawn."""
    try:
        jobs.submit(ws, spec)
    except UserError as error:
        state.set_error(error)


def watch_job(
    ws: Workspace,
    job: Job,
    sentence: Callable[[Job, int], str],
    buttons: Callable[[Job], None],
    redraw: Callable[[Job], bool],
) -> None:
    """How far a job is, read again every two seconds, and buttons below. sentence: of the job and how many jobs are
    ahead of it; redraw: whether the whole page is to be drawn anew."""

    @fragment(POLL)
    def draw():
        with ResultStore.for_workspace(ws) as store:
            now, ahead = store.job(job.id), store.count_jobs_ahead(job.id)
        job_buttons.keep_going(ws, now)
        if redraw(now):
            st.rerun()
        st.progress(now.done / now.total if now.total else 0.0, write.plain(sentence(now, ahead)))
        buttons(now)

    draw()


# -- charts and files


def chart(figure, key: str, alt: str, picture: str = "", **options):
    """A Plotly chart. alt: what it shows, in words; picture: names the SVG that its one button makes, if any."""
    config = {"displayModeBar": False}
    if picture:
        config = {
            "modeBarButtons": [["toImage"]],
            "displayModeBar": True,
            "displaylogo": False,
            "toImageButtonOptions": {"format": "svg", "filename": picture},
        }
    return st.plotly_chart(figure, key=key, config=config, alt=alt, **options)


def download_line(ws: Workspace, files: dict, commands=(), figure: str = "", **options):
    """A line of buttons: CSV files, the figure, and the command lines that print the same. files: file name -> (label,
    text or what returns it); figure, options: as `downloads.figure_popover`. Returns the line, for more buttons."""
    line = st.container(horizontal=True, gap="small")
    with line:
        download_buttons(ws, files, commands, figure, **options)
    return line


def download_buttons(ws: Workspace, files: dict, commands=(), figure: str = "", **options) -> None:
    """The buttons of `download_line`, in a line that is there already."""
    for file_name, (label, text) in files.items():
        st.download_button(
            label, data=text, file_name=file_name, on_click="ignore", icon=":material/download:", key=file_name
        )
    if figure:
        downloads.figure_popover(ws, figure, **options)
    if commands:
        with st.popover("Copy command", icon=":material/terminal:", key=f"command of {next(iter(files))}"):
            for words in commands:
                command_line(ws, *words)


# -- images


def open_lineup(target: int) -> None:
    """Callback: the page switches to Debug with this target."""
    st.session_state[state.GO_TO] = target


def target_wall(ws: Workspace, key: str, captions: dict[int, tuple[str, str]], marks: bool = True) -> None:
    """Validation images that lead to their lineup. captions: target -> (what stands below its image, what is added to
    its description); marks: whether wrong predictions are marked."""
    ids = np.array(list(captions))
    data = wall_data(ws, ids, sprite_sheet.sheet(ws, "val", ids), None, True, sprite_sheet.scale(ws))
    for tile in data["rows"][0]["tiles"]:
        if not marks:
            tile.pop("mark", None)
        tile["caption"], more = captions[tile["id"]]
        tile["text"] += f", {more}"
    strip(key, data, on_pick=lambda tile: open_lineup(tile["id"]))


def target_rows(ws: Workspace, key: str, target: int, rows: list[dict], shown, **options) -> None:
    """A validation image beside rows of training images, which lead to its lineup. rows, options: of `strip`; shown:
    ids of all training images in them, in the order of the sprite sheet."""
    scale, name = sprite_sheet.scale(ws), write.escape(ws.classes[int(ws.val_labels[target])])
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        st.html(
            f'<div class="lu-card"><img src="{sprite_sheet.image_url(ws, "val", target)}" '
            f'width="{scale * ws.val_images.shape[2]}" alt="validation image {target}, {name}">'
            f'<div class="name">{name}</div><div class="lu-faint">validation image {target}</div></div>',
            width=150,
        )
        with st.container():
            image_rows(
                ws, key, "train", rows, shown, on_pick=lambda tile: open_lineup(target), **{"of": target, **options}
            )


def image_rows(ws: Workspace, key: str, split: str, rows: list[dict], shown, on_pick=None, **options) -> None:
    """Rows of images of one split, as `strip` draws them."""
    scale = sprite_sheet.scale(ws)
    data = {
        "layout": "rows",
        "of": split,
        "rows": rows,
        "selected": None,
        "scale": scale,
        "atlas": sprite_sheet.sheet(ws, split, shown),
        "zoom": 5 if scale > 1 else 2,
    }
    strip(key, data | options, on_pick=on_pick)
