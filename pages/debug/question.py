"""The question that the drawer's verdict answers: by default the cut's, else one of the form "More tests", or a job's.

Target, ranking and k are those of the page. What a link or a job asks for besides is set before the page is drawn."""

from dataclasses import dataclass

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import disjoint, jobs, registry, retrain, support, support_table
from attribution.experiments.disjoint import DisjointSpec
from attribution.experiments.prefixes import SUPPORT_KINDS, check_support_kind, control_draws
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import SEEDS, Spec
from attribution.experiments.support import SupportSpec
from attribution.experiments.support_search import DEFAULT_K_MAX
from attribution.features import near_duplicates
from attribution.inputs.limits import shortened
from attribution.rankings import default_rankings, row_names
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.training.edits import parse_image_numbers
from pages.debug import kept_answers, retraining
from pages.debug import verdict_text as text
from pages.ui import format as write
from pages.ui import link, model_choice, state

#: what the address carries under these words; what a person reads is in TEST_NAMES
TESTS = PREFIX, CHOSEN, SEARCH = "first k", "chosen images", "find the support"
TEST_NAMES = {PREFIX: "Top k", CHOSEN: "Chosen images", SEARCH: "Smallest set that flips"}
KIND_NAMES = {"remove": "Remove", "mislabel": "Mislabel", "repair": "Repair"}
VERDICT = "verdict"  # the panel of the drawer that shows the answer
#: the form's widgets, which are there while its panel is
WIDGETS = (
    state.KIND,
    state.TEST,
    state.IDS,
    state.SEEDS,
    state.DRAWS,
    state.PROTOCOL,
    state.K_MAX,
    state.DISJOINT,
    state.WITH_NEAR_DUPLICATES,
)
JOB_OF = "question of the job"  # key: the job of the address, and what the page asked when it was opened
state_of = st.session_state


@dataclass(frozen=True)
class Asked:
    """A question. spec: None where the library refuses it, and `error` says why, in words that are fit for display."""

    spec: Spec | None
    error: UserError | None = None


def restore(ws: Workspace) -> None:
    """Sets what the form has, and target, ranking and k where the address names a job; warns of what is in vain."""
    params, errors, values = st.query_params, [], _defaults(ws)
    opens_job = "job" in params and state_of.get(JOB_OF, (None,))[0] != params["job"]
    if opens_job:
        errors += _open_job(ws, params["job"])
    checks = {
        state.TEST: link.check_choice(state.TEST, TESTS),
        state.KIND: check_support_kind,
        state.PROTOCOL: support.check_protocol,
    }
    asked = [name for name in (*checks, state.IDS) if name in params]
    errors += state.restore(values, checks, asked)
    for name in asked:  # the question is read before its widgets are drawn
        state_of.setdefault(name, link.text(name))
    if opens_job or state.RANKINGS not in state_of:
        errors += _show_ranking(ws)
    if errors:
        st.warning("  \n".join(write.sentence(error) for error in errors), icon=":material/link_off:")
    for name in WIDGETS:  # Streamlit forgets those that are not drawn
        if name in state_of:
            state_of[name] = state_of[name]


def _open_job(ws: Workspace, written: str) -> list[UserError]:
    """Sets the widgets to the job that the address names; what is wrong with it."""
    number = link.number("job")
    try:
        with ResultStore.for_workspace(ws) as store:
            job = None if number is None else store.job(number)
    except UserError as error:
        return [error]
    if job is None:
        del st.query_params["job"]
        return [UserError(f"there is no job {shortened(written)} here; the history lists those there are")]
    if job.spec.get("model") != ws.model:
        _other_model(ws, job.spec.get("model") or ws.own_recipe, job)
        return []
    values = widget_values(job.spec)
    if values.get(state.K, 0) > retraining.K_MAX:  # the job is shown as it was asked all the same
        del values[state.K]
    state_of.update(values)
    state_of[JOB_OF] = (written, None)
    return []


def _show_ranking(ws: Workspace) -> list[UserError]:
    """Adds the ranking that the address or a job cuts to the rows, where the rows are not chosen there, too."""
    name = state_of.get(state.CUT_RANKING) or link.text(state.CUT_RANKING)
    shown = state_of.get(state.RANKINGS) or st.query_params.get_all(state.RANKINGS) or default_rankings(ws)
    if not name or name in shown:
        return []
    try:
        ws.ranking(name)
    except UserError as error:
        state_of.pop(state.CUT_RANKING, None)
        st.query_params.pop(state.CUT_RANKING, None)
        return [error]
    if name in row_names(ws):
        state_of[state.RANKINGS] = [*shown, name]
    return []


def _other_model(ws: Workspace, name: str, job: Job) -> None:
    """Says that the job of the address is about another model, and leads there."""
    if name not in model_choice.options(ws):
        return st.warning(write.plain(f"Job {job.id} is about {name}, which is no longer a model of {ws.name}."))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.warning(write.plain(f"Job {job.id} is about the predictions of {name}, and this page about {ws.recipe}'s."))
        st.button(
            f"Look at {write.plain(name)}",
            key="model of the job",
            on_click=show,
            args=({**widget_values(job.spec), state.MODEL: name}, job.id),
        )


def widget_values(spec: dict) -> dict:
    """The widget values that show a job's question; empty where this page cannot show it."""
    if not any(kind.matches(spec) for kind in (RetrainSpec, SupportSpec, DisjointSpec)):
        return {}
    values = {
        state.TARGET: spec["target"],
        state.KIND: "repair" if spec.get("end") == "harmful" else spec["kind"],
        state.WITH_NEAR_DUPLICATES: bool(spec.get("groups")),
    }
    if not RetrainSpec.matches(spec):
        return values | {
            state.TEST: SEARCH,
            state.CUT_RANKING: spec["ranking"],
            state.PROTOCOL: spec["protocol"],
            state.K_MAX: spec["k_max"],
            state.DISJOINT: spec.get("count", 1),
        }
    values |= {state.SEEDS: len(spec["seeds"]), state.DRAWS: spec["draws"]}
    if spec["ranking"]:
        return values | {state.TEST: PREFIX, state.CUT_RANKING: spec["ranking"], state.K: spec["k"]}
    return values | {state.TEST: CHOSEN, state.IDS: write.number_ranges(spec["ids"]).replace("–", "-")}


def show(values: dict, job: int | None = None) -> None:
    """Sets the widgets to another question, of the job with this number if there is one, and opens its verdict; a
    callback."""
    state_of.update(values)
    leave_job()
    st.query_params["panel"] = VERDICT
    if job is not None:
        st.query_params["job"] = str(job)


def leave_job() -> None:
    """Forgets the job that was open: a control was changed, and the page is about another question; a callback."""
    st.query_params.pop("job", None)
    state_of.pop(JOB_OF, None)


def ask(ws: Workspace, spec: Spec) -> None:
    """Queues the question, unless its answer is known, and opens the verdict; a callback."""
    st.query_params["panel"] = VERDICT
    try:
        with ResultStore.for_workspace(ws) as store:
            cost = spec.cost(ws, store)
            unknown = type(spec) is SupportSpec and kept_answers.answer(ws, store, spec) is None
        leave_job()
        if cost.known < cost.max_trainings or unknown:
            number = str(jobs.submit(ws, spec))
            st.query_params["job"], state_of[JOB_OF] = number, (number, None)
    except UserError as error:
        state.set_error(error)


def ask_cut(ws: Workspace, cut: retraining.Cut) -> None:
    """Asks the cut's own question, whatever the form had; a callback."""
    defaults = _defaults(ws)
    state_of.update({name: defaults[name] for name in WIDGETS if name != state.IDS})
    state_of[state.KIND] = "repair" if cut.known.spec.end else "remove"
    ask(ws, cut.known.spec)


def asked(ws: Workspace, target: int, cut: retraining.Cut) -> Asked:
    """The question on view: of the job in the address while nothing was changed since, else of the widgets."""
    fitting = kinds(ws, target)
    if state_of[state.KIND] not in fitting:
        state_of[state.KIND] = fitting[0]
    now = (target, cut.k, cut.row and cut.row.id, *(str(state_of.get(name)) for name in WIDGETS))
    number = st.query_params.get("job")
    if number is not None:
        opened, question = state_of.get(JOB_OF, (None, None))
        if opened != number or question is None:
            state_of[JOB_OF] = (number, now)
        elif question != now:
            leave_job()
            number = None
    if number is not None and (job := _job(ws)) and job.spec.get("target") == target:
        return Asked(registry.from_json(job.spec))
    try:
        return Asked(_spec(ws, target, cut))
    except UserError as error:
        return Asked(None, error)


def _job(ws: Workspace) -> Job | None:
    number = link.number("job")
    with ResultStore.for_workspace(ws) as store:
        job = None if number is None else store.job(number)
    return job if job and widget_values(job.spec) and job.spec.get("model") == ws.model else None


def heading(ws: Workspace, target: int, spec: Spec) -> str:
    """What is tested, as a question."""
    true, predicted = ws.classes[ws.val_labels[target]], ws.classes[ws.base.prediction[target]]
    if isinstance(spec, RetrainSpec):
        what = text.edit_text(spec, ws)
        return f"Is it {true} {what}?" if true != predicted else f"Is it still {true} {what}?"
    times = f", up to {spec['count']} times over" if isinstance(spec, DisjointSpec) else ""
    if spec["kind"] == "repair":
        return f"How few of {spec['ranking']}'s harmful images, removed, make it {true}{times}?"
    edit = "removed" if spec["kind"] == "remove" else f"relabelled {ws.classes[ws.base.likeliest_wrong_class[target]]}"
    return f"How few of {spec['ranking']}'s top images, {edit}, turn it from {true}{times}?"


# -- the form


def draw_form(ws: Workspace, target: int) -> None:
    """The controls of "More tests"."""
    changed = {"on_change": leave_job}
    bound = {"bind": "query-params", **changed}
    st.segmented_control(
        "What to do with the images",
        kinds(ws, target),
        format_func=KIND_NAMES.get,
        required=True,
        key=state.KIND,
        help="Mislabel: give them the likeliest wrong class. Repair: remove the most harmful ones, to make a wrong "
        "prediction right.",
        **bound,
    )
    test = st.segmented_control(
        "Which images",
        TESTS,
        format_func=TEST_NAMES.get,
        required=True,
        key=state.TEST,
        help="Top k: those left of the cut. Smallest set: the search for the fewest top images that change the "
        "prediction.",
        **bound,
    )
    if test == CHOSEN:
        st.text_input(
            "Training images: click tiles to add or take out, or type numbers",
            key=state.IDS,
            placeholder="such as 3, 7, 10-12",
            **bound,
        )
    if test == SEARCH:
        _draw_search(ws, bound, changed)
    else:
        with st.container(horizontal=True, gap="small"):
            if not ws.get_recipe().deterministic:
                st.number_input("Seeds", 1, 20, key=state.SEEDS, width=150, **changed)
            st.number_input("Random controls", 0, 20, key=state.DRAWS, width=150, **changed)
    if ws.features():
        st.toggle(
            "With their near-duplicates",
            key=state.WITH_NEAR_DUPLICATES,
            disabled=state_of[state.KIND] == "mislabel",
            help="Training images whose features have a cosine of "
            f"{near_duplicates.DEFAULT_COSINE} or more to one that is removed go with it.",
            **changed,
        )


def _draw_search(ws: Workspace, bound: dict, changed: dict) -> None:
    st.segmented_control(
        "Protocol",
        support.PROTOCOLS,
        required=True,
        key=state.PROTOCOL,
        help="Default stops a probe once its majority is decided, and confirms both "
        "ends of the bracket with fresh seeds. Adaptive trains one model at a time where its margins leave "
        "most doubt, in a third of the trainings, to a quarter of an octave. Paper: as published, always "
        "five seeds.",
        **bound,
    )
    with st.container(horizontal=True, gap="small"):
        st.number_input("Largest k tried", 1, max(DEFAULT_K_MAX, ws.n_train), key=state.K_MAX, width=150, **changed)
        st.number_input(
            "Sets that share no image",
            1,
            disjoint.MAX_SUPPORTS,
            key=state.DISJOINT,
            width=190,
            help="The images of the first one are passed over, and the search begins again.",
            **changed,
        )


def kinds(ws: Workspace, target: int) -> list[str]:
    """What can be done for a target: no right prediction is repaired, and no wrong one broken."""
    wrong = ws.base.prediction[target] != ws.val_labels[target]
    return [kind for kind in SUPPORT_KINDS if (kind == "repair") == wrong]


def is_choosing() -> bool:
    """Whether a click on a tile adds it to the chosen images, or takes it out."""
    return st.query_params.get("panel") == VERDICT and state_of.get(state.TEST) == CHOSEN


def choose(ws: Workspace, image: int) -> None:
    """Adds a training image to the chosen ones, or takes it out; a callback."""
    try:
        ids = parse_image_numbers(state_of[state.IDS], ws.n_train) if state_of[state.IDS].strip() else []
    except UserError:  # typed by hand; the panel says what is wrong
        return
    ids = [int(i) for i in ids]
    ids = [i for i in ids if i != image] if image in ids else [*ids, int(image)]
    state_of[state.IDS] = write.number_ranges(ids).replace("–", "-")
    leave_job()


def _defaults(ws: Workspace) -> dict:
    return {
        state.TEST: PREFIX,
        state.KIND: "remove",
        state.IDS: "",
        state.SEEDS: len(SEEDS),
        state.DRAWS: control_draws(ws.recipe),
        state.PROTOCOL: support_table.default_protocol(ws),
        state.K_MAX: DEFAULT_K_MAX,
        state.DISJOINT: 1,
        state.WITH_NEAR_DUPLICATES: False,
    }


def _spec(ws: Workspace, target: int, cut: retraining.Cut) -> Spec | None:
    """The spec that the widgets describe, None where no image is chosen yet; raises UserError where the library refuses
    it."""
    kind, test = state_of[state.KIND], state_of[state.TEST]
    groups = near_duplicates.grouping_spec(ws) if state_of[state.WITH_NEAR_DUPLICATES] and kind != "mislabel" else None
    if test == CHOSEN and not state_of[state.IDS].strip():
        return None
    if test != CHOSEN and cut.row is None:
        return None
    if test == SEARCH:
        search = {
            "target": target,
            "ranking": cut.row.ranking,
            "kind": kind,
            "protocol": state_of[state.PROTOCOL],
            "k_max": state_of[state.K_MAX],
            "groups": groups,
        }
        count = state_of[state.DISJOINT]
        return disjoint.disjoint_spec(ws, count, **search) if count > 1 else support.support_spec(ws, **search)
    more = {"seeds": range(state_of[state.SEEDS]), "draws": state_of[state.DRAWS], "groups": groups}
    if test == CHOSEN:
        ids = parse_image_numbers(state_of[state.IDS], ws.n_train)
        return retrain.retrain_spec(ws, target, None, "remove" if kind == "repair" else kind, 0, ids=ids, **more)
    kind = "remove" if kind == "repair" else kind
    return retrain.retrain_spec(ws, **{**retraining.question(ws, target, cut.row, cut.k), "kind": kind, **more})
