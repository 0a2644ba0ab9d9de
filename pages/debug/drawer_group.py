"""The drawer's panel of a group: the training images behind all predictions that match the filters, and what becomes of
these, and of all others, without them."""

import re

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs
from attribution.experiments.group import GroupSpec
from attribution.explore import group_edit, groups
from attribution.explore.groups import Group, GroupRanking
from attribution.export.group_sentences import edit_sentences, group_sentences
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.debug.picker_filters import Filters
from pages.ui import cli_command, job_buttons, running_jobs, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.fragments import fragment
from pages.ui.tile_strip import image_row, strip, strip_data
from pages.ui.verdict import cost_text, verdict_html

POLL = "1s"
SHOWN = 24
MOST_READ = 500  # members whose scores are added up while the page is drawn
DEFAULT_K = 40
REMOVE = "Remove them"
ENDS = ("helpful", "harmful")


def draw(ws: Workspace, filters: Filters, rankings: tuple[str, ...], cut_ranking: str, on_image) -> None:
    """The panel. rankings: those on view; cut_ranking: the one that is cut; on_image(training image) is called where
    one is chosen."""
    if not filters.active or not len(filters.targets):
        st.info(
            "Set *Filters*, or click a cell of the confusion matrix behind *?*: the images that match are the group, "
            "and are explained together."
        )
        return
    if len(filters.targets) > 2 * MOST_READ:
        many = (
            f"{write.count(len(filters.targets))} images match, and at most {write.count(2 * MOST_READ)} are explained"
        )
        st.info(write.plain(f"{many} together here. Set another filter, too, or use the command `group`."))
        return
    name = groups.name_group(ws, filters.targets, *filters.classes)
    try:
        _draw(ws, name, sorted(rankings, key=lambda ranking: ranking != cut_ranking), on_image)
    except UserError as error:
        st.error(write.sentence(error))


def _draw(ws: Workspace, name: str, rankings: list[str], on_image) -> None:
    group = groups.read_group(ws, name)
    st.html(f"<h2>{write.escape(title(ws, group))}</h2>")
    if not rankings:
        st.info("Choose a ranking under *Rows*: it says which training images are behind these predictions.")
        return
    ranking, end, k, to = _controls(ws, group, rankings)
    with st.spinner("Adding up scores…", show_time=False):
        ranked = _ranked(ws, f"{theme.cache_key(ws)} {_version(ws, ranking, group)}", name, ranking, end)
    answer = group_edit.describe(ws, group, ranking, ranked, end, SHOWN)
    _images(ws, answer, k, on_image)
    state.show_error()
    words = ["group", name, "--ranking", ranking, "--end", end, "--k", k]
    words += [] if to is None else ["--relabel", ws.classes[to]]
    edit = group_edit.first_images(ws, ranked.ids, k, to)
    try:
        _change(ws, group_edit.edit_spec(ws, group, edit, ranking=ranking), {**answer, "edit": edit}, k, words)
    except UserError as error:  # of a model that cannot be trained here
        st.caption(write.sentence(error))
    for sentence in group_sentences(answer)[1:]:
        st.caption(write.plain(sentence))


def _controls(ws: Workspace, group: Group, rankings: list[str]) -> tuple[str, str, int, int | None]:
    """(ranking, end, k, the class that images are given, None where they are removed)."""
    classes = write.class_numbers(ws.classes, REMOVE)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="group-controls"):
        ranking = st.selectbox("Ranking", rankings, key=state.GROUP_RANKING, bind="query-params", width=190)
        default = group.end
        end = st.segmented_control(
            "End", ENDS, default=default, required=True, key=f"{state.GROUP_END} {default}", width="content"
        )
        most = ws.n_train - 1
        k = st.number_input("Top", 1, most, min(DEFAULT_K, most), key=state.GROUP_K, bind="query-params", width=110)
        to = st.selectbox(
            "Then", [REMOVE, *(f"Label them {name}" for name in classes)], key=state.GROUP_EDIT, width=200
        )
    numbers = {f"Label them {name}": number for name, number in classes.items()}
    return ranking, end, int(k), numbers.get(to)


def _version(ws: Workspace, ranking: str, group: Group) -> list[str | None]:
    """What changes when the ranking's order for a member may have changed."""
    found = ws.ranking(ranking)
    return [found.version_of(int(target)) for target in group.members] if found.by_target else [found.version]


@st.cache_data(max_entries=50, show_spinner=False)
def _ranked(_ws, cache_key: str, name: str, ranking: str, end: str) -> GroupRanking:
    read, _ = groups.read_group(_ws, name).halves()
    return groups.rank_group(_ws, _ws.ranking(ranking), read, end)


def title(ws: Workspace, group: Group) -> str:
    """What the group is: "11 validation images labelled Coat and predicted Shirt, 11 wrong"."""
    wrong = int((ws.base.prediction != ws.val_labels)[group.members].sum())
    about = group.about if group.about != "named by hand" else "that match the filters"
    return f"{write.counted(len(group.members), 'validation image')} {about}, {write.count(wrong)} wrong"


def _images(ws: Workspace, answer: dict, k: int, on_image) -> None:
    """The first training images behind the group; those of the cut come first."""
    ids = np.array([row["image"] for row in answer["first"]])
    captions = [row["label"] for row in answer["first"]]
    texts = [f"training image {image}, {label}, no. {at}" for at, (image, label) in enumerate(zip(ids, captions), 1)]
    scores = [write.score(row["score"]).replace("-", "−") for row in answer["first"]]
    row = image_row("group", f"{answer['ranking']}: first for the group", ids, texts, caption=captions, score=scores)
    data = strip_data("line", [row], sprite_sheet.sheet(ws, "train", ids), sprite_sheet.scale(ws, 42), pitch=62)
    strip("group images", data, on_pick=lambda tile: on_image(tile["id"]))
    more = f" of {write.count(answer['listed'])}" if answer["listed"] > len(ids) else ""
    st.caption(write.plain(f"The first {len(ids)}{more}; the top {write.count(min(k, answer['listed']))} are edited."))


def _change(ws: Workspace, spec: GroupSpec, answer: dict, k: int, words: list) -> None:
    """What the edit does: the answer where it is known, else how far its job is, or the button that asks."""
    with ResultStore.for_workspace(ws) as store:
        known, job = spec.answer(ws, store), _job_of(store, spec)
        cost = None if known else spec.cost(ws, store)
    if known:
        first, *others = map(for_page, edit_sentences({**answer, "edit": known}, k))
        st.html(verdict_html(word(known), first))
        for sentence in others:
            st.caption(write.plain(sentence))
        cli_command.popover(ws, *words, key="group command")
    elif job and not job.has_ended:
        _progress(ws, job)
    else:
        if job and job.state in ("cancelled", "failed"):
            job_buttons.ended_early(ws, job)
        what = "Remove" if answer["edit"].kind == "remove" else "Relabel"
        how = "refit" if ws.get_recipe().deterministic else "retrain"
        about = f", about {write.seconds(cost.seconds)}" if cost.known < cost.max_trainings else ", known at once"
        label = f"{what} {write.count(answer['edit'].k)} and {how}{about}"
        st.button(label, key="edit the group", type="primary", on_click=_start, args=(ws, spec))
        st.caption(write.plain(f"{write.capitalised(cost_text(cost))}, {spec.draws} random edits beside it."))
        cli_command.popover(ws, *words, key="group command")


def _job_of(store: ResultStore, spec: GroupSpec) -> Job | None:
    """The last job that asked this."""
    jobs_of_groups = store.jobs_of_verb(GroupSpec.verb, 20)
    return next((job for job in jobs_of_groups if GroupSpec.from_json(job.spec).question() == spec.question()), None)


def _start(ws: Workspace, spec: GroupSpec) -> None:
    try:
        jobs.submit(ws, spec)
    except UserError as error:
        state.set_error(error)


def _progress(ws: Workspace, job: Job) -> None:
    """The job that has not ended, drawn anew every second, with ways to pause and stop it."""
    number = job.id

    @fragment(POLL)
    def draw_now():
        with ResultStore.for_workspace(ws) as store:
            now = store.job(number)
        if now.has_ended:
            st.rerun()  # the whole page, not this fragment
        job_buttons.keep_going(ws, now)
        st.progress(running_jobs.share_done(now) or 0.0, write.plain(running_jobs.progress_text(now)))
        with st.container(horizontal=True, gap="small"):
            job_buttons.draw(ws, now, "group")

    draw_now()


def for_page(sentence: str) -> str:
    """A sentence of the command line with signs as the pages have them."""
    return re.sub(r"(?<![\w)])-(?=\d)", "−", sentence).replace("->", "→")


def word(change: dict) -> str:
    """The verdict in a word or two: whether the group's errors changed by more than random edits change them."""
    low, high = change["judged"]["error_rate_difference"]["ci"] or (0, 0)
    if high < 0:
        return "Fewer errors"
    return "More errors" if low > 0 else "No clear change"
