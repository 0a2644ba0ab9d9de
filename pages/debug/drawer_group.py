"""The drawer's panel of a group: the training images behind all predictions that match the filters, and what becomes of
these, and of all others, without them."""

import re
from dataclasses import dataclass

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
REMOVE, ALONE = "Remove them", "no other"
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
    kind, other = filters.versus or (None, None)
    name = groups.name_group(ws, filters.targets, *filters.classes, f"{kind}:{other}" if other else None)
    try:
        _draw(ws, name, other, sorted(rankings, key=lambda ranking: ranking != cut_ranking), on_image)
    except UserError as error:
        st.error(write.sentence(error))


@dataclass(frozen=True)
class Asked:
    """What the controls say. against: the ranking that is compared with, None for none; end: of the ranking; k: how
    many images are edited; to: the number of the class that they are given, None where they are removed."""

    ranking: str
    against: str | None
    end: str
    k: int
    to: int | None

    def words(self, ws: Workspace, group: str) -> list:
        """The command that says the same."""
        words = ["group", group, "--ranking", self.ranking, "--end", self.end, "--k", self.k]
        words += ["--against", self.against] if self.against else []
        return words + ([] if self.to is None else ["--relabel", ws.classes[self.to]])


def _draw(ws: Workspace, name: str, other: str | None, rankings: list[str], on_image) -> None:
    """other: the second model that tells the group apart, None where none does."""
    group = groups.read_group(ws, name)
    st.html(f"<h2>{write.escape(title(ws, group))}</h2>")
    if not rankings:
        st.info("Choose a ranking under *Rows*: it says which training images are behind these predictions.")
        return
    asked = _controls(ws, group, rankings, other)
    with st.spinner("Adding up scores…", show_time=False):
        names = [asked.ranking, *filter(None, [asked.against])]
        versions = [_version(ws, ranking, group) for ranking in names]
        ranked = _ranked(ws, f"{theme.cache_key(ws)} {versions}", name, names, asked.end)
    answer = group_edit.describe(ws, group, asked.ranking, ranked, asked.end, SHOWN) | {"against": asked.against}
    _images(ws, answer, asked.k, on_image)
    state.show_error()
    second = _second_model(ws, asked.against)
    for model in (ws.recipe, *filter(None, [second])):
        if second:
            st.html(f"<h3>Under {write.escape(model)}</h3>")
        try:
            edit = group_edit.first_images(ws, ranked.ids, asked.k, asked.to)
            remembered = {"ranking": asked.ranking, "against": asked.against, "end": asked.end}
            spec = group_edit.edit_spec(ws, group, edit, recipe=None if model == ws.recipe else model, **remembered)
            _change(ws, spec, {**answer, "edit": edit}, asked.k)
        except UserError as error:  # of a model that cannot be trained here, and where no image is left to relabel
            st.caption(write.sentence(error))
    words = asked.words(ws, name) + (["--other-model", second] if second else [])
    cli_command.popover(ws, *words, key="group command")
    for sentence in group_sentences(answer)[1:]:
        st.caption(write.plain(sentence))


def _second_model(ws: Workspace, against: str | None) -> str | None:
    """The model that the ranking `against` explains, None where that is the one looked at or not known."""
    if against is None:
        return None
    model = group_edit.head_of(ws, against) or (ws.ranking(against).made_for or {}).get("recipe")
    return model if model != ws.recipe and model in ws.models() else None


def _controls(ws: Workspace, group: Group, rankings: list[str], other: str | None) -> Asked:
    """Draws the controls. other: as of `_draw`."""
    classes = write.class_numbers(ws.classes, REMOVE)
    to = {state.RELABEL.format(name): number for name, number in classes.items()}
    if other:
        rankings = sorted(rankings, key=lambda name: not _compares(ws, name))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="group-controls"):
        ranking = st.selectbox("Ranking", rankings, key=state.GROUP_RANKING, bind="query-params", width=190)
        against = _draw_against(ws, ranking, other)
        _set_end(group)
        end = st.segmented_control(
            "End",
            ENDS,
            default=ENDS[0],
            required=True,
            key=state.GROUP_END,
            bind="query-params",
            width="content",
            help=against and f"helpful: images that help more by {ranking} than by {against}; harmful: the reverse",
        )
        most = ws.n_train - 1
        k = st.number_input("Top", 1, most, min(DEFAULT_K, most), key=state.GROUP_K, bind="query-params", width=110)
        then = st.selectbox("Then", [REMOVE, *to], key=state.GROUP_EDIT, bind="query-params", width=200)
    return Asked(ranking, against, end, int(k), to.get(then))


def _draw_against(ws: Workspace, ranking: str, other: str | None) -> str | None:
    """Which ranking to compare with: the images are then those that the two score most unlike. Offered where both
    rankings can be compared; a second model's own ranking is what it begins with."""
    others = [name for name in ws.rankings() if name != ranking and _compares(ws, name)]
    if not others or not _compares(ws, ranking):
        return None
    own = [name for name in others if other and _second_model(ws, name) == other]
    asked = st.session_state.get(state.GROUP_AGAINST)
    if asked not in (None, ALONE, *others):
        del st.session_state[state.GROUP_AGAINST]
    options = [ALONE, *others]
    chosen = st.selectbox(
        "Compared with",
        options,
        options.index(own[0]) if own else 0,
        key=state.GROUP_AGAINST,
        bind="query-params",
        width=190,
        help="Takes the images that the two rankings score most unlike, and makes the edit under both models.",
    )
    return None if chosen == ALONE else chosen


def _compares(ws: Workspace, ranking: str) -> bool:
    """Whether `rank_difference` takes a ranking."""
    try:
        found = ws.ranking(ranking)
    except UserError:  # such as one of the user's own that cannot be read, which its row says
        return False
    return bool(found.signed and found.complete)


def _set_end(group: Group) -> None:
    """Begins each group at its own end, unless a link says which."""
    session = st.session_state
    before = session.get(state.GROUP)
    if before != group.name and not (before is None and state.GROUP_END in st.query_params):
        session[state.GROUP_END] = group.end
    session[state.GROUP] = group.name


def _version(ws: Workspace, ranking: str, group: Group) -> list[str | None]:
    """What changes when the ranking's order for a member may have changed."""
    found = ws.ranking(ranking)
    return [found.version_of(int(target)) for target in group.members] if found.by_target else [found.version]


@st.cache_data(max_entries=50, show_spinner=False)
def _ranked(_ws, cache_key: str, name: str, rankings: list[str], end: str) -> GroupRanking:
    """The order by one ranking, or by what two differ in."""
    read, _ = groups.read_group(_ws, name).halves()
    first, *others = map(_ws.ranking, rankings)
    return (
        groups.rank_difference(_ws, first, *others, read, end) if others else groups.rank_group(_ws, first, read, end)
    )


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


def _change(ws: Workspace, spec: GroupSpec, answer: dict, k: int) -> None:
    """What the edit does: the answer where it is known, else how far its job is, or the button that asks."""
    with ResultStore.for_workspace(ws) as store:
        known, job = spec.answer(ws, store), _job_of(store, spec)
        cost = None if known else spec.cost(ws, store)
    if known:
        called = "the group" if ":" in answer["group"] else answer["group"]  # which the heading says
        first, *others = map(for_page, edit_sentences({**answer, "group": called, "edit": known}, k))
        st.html(verdict_html(word(known), first))
        for sentence in others:
            st.caption(write.plain(sentence))
    elif job and not job.has_ended:
        _progress(ws, job)
    else:
        if job and job.state in ("cancelled", "failed"):
            job_buttons.ended_early(ws, job)
        what = "Remove" if answer["edit"].kind == "remove" else "Relabel"
        how = "refit" if ws.get_recipe(spec.recipe).deterministic else "retrain"
        about = f", about {write.seconds(cost.seconds)}" if cost.known < cost.max_trainings else ", known at once"
        label = f"{what} {write.count(answer['edit'].k)} and {how}{about}"
        st.button(label, key=f"edit the group {spec.recipe}", type="primary", on_click=_start, args=(ws, spec))
        st.caption(write.plain(f"{write.capitalised(cost_text(cost))}, {spec.draws} random edits beside it."))


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
            job_buttons.draw(ws, now, f"group {now.spec['recipe']}")

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
