"""The question that Brittleness asks: its controls, what of them a link restores, and the experiment they describe."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import disjoint, jobs, retrain, support, support_table
from attribution.experiments.disjoint import DisjointSpec
from attribution.experiments.prefixes import CONTROL_DRAWS, SUPPORT_KINDS, check_support_kind
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import SEEDS, Spec
from attribution.experiments.study import StudySpec
from attribution.experiments.support import SupportSpec
from attribution.experiments.support_search import DEFAULT_K_MAX
from attribution.explore.opening_target import opening_target
from attribution.features import near_duplicates
from attribution.inputs.limits import shortened
from attribution.rankings import default_rankings
from attribution.store.results import ResultStore
from attribution.training.edits import parse_image_numbers
from pages.brittleness import kept_answers, text
from pages.ui import format as write
from pages.ui import link, model_choice, ranking_choice, state

VIEWS = ONE, STUDIES = "one target", "studies"
TESTS = PREFIX, CHOSEN, SEARCH = "first k", "chosen images", "find the support"
#: what the address carries, besides a job
IN_ADDRESS = (
    state.VIEW,
    state.TARGET,
    state.KIND,
    state.TEST,
    state.CUT_RANKING,
    state.K,
    state.IDS,
    state.PROTOCOL,
)
WIDGETS = (
    state.TARGET,
    state.KIND,
    state.TEST,
    state.IDS,
    state.K,
    state.CUT_RANKING,
    state.SEEDS,
    state.DRAWS,
    state.PROTOCOL,
    state.K_MAX,
    state.DISJOINT,
    state.WITH_NEAR_DUPLICATES,
)
state_of = st.session_state


def restore(ws: Workspace, store: ResultStore) -> None:
    """Sets what the address leaves open, from the job it names or from what was looked at last, and warns of what it
    asks for in vain."""
    params, errors = st.query_params, []
    values = _defaults(ws) | state_of[state.CARRIED]
    if "job" in params:
        number = link.number("job")
        job = None if number is None else store.job(number)
        if job and job.spec.get("model") != ws.model:
            _other_model(ws, job.spec.get("model") or ws.own_recipe, number, widget_values(job.spec))
        elif job:
            values |= widget_values(job.spec)
        else:
            errors.append(
                UserError(f"there is no job {shortened(params['job'])} here; the history below lists those there are")
            )
            del params["job"]
    if state_of.get(state.K, 1) > ws.n_train:
        del state_of[state.K]
    checks = {
        state.TARGET: ws.check_target,
        state.K: link.check_k(ws.n_train),
        state.VIEW: link.check_choice(state.VIEW, VIEWS),
        state.TEST: link.check_choice(state.TEST, TESTS),
        state.CUT_RANKING: ws.ranking,
        state.KIND: check_support_kind,
        state.PROTOCOL: support.check_protocol,
    }
    errors += state.restore(values, checks, [name for name in IN_ADDRESS if name in params])
    if errors:
        st.warning("  \n".join(write.sentence(error) for error in errors), icon=":material/link_off:")


def _other_model(ws: Workspace, name: str, number: int, values: dict) -> None:
    """Says that the job of the address is about another model, and leads there."""
    if name not in model_choice.options(ws):
        return st.warning(write.plain(f"Job {number} is about {name}, which is no longer a model of {ws.name}."))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.warning(write.plain(f"Job {number} is about the predictions of {name}, and this page about {ws.recipe}'s."))
        st.button(
            f"Look at {write.plain(name)}",
            key="model of the job",
            on_click=show,
            args=({**values, state.MODEL: name}, number),
        )


def keep_widgets() -> None:
    """Keeps the values of widgets that are not drawn, which Streamlit would forget, and tells the browser of them."""
    for name in WIDGETS:
        state_of[name] = state_of[name]


def draw(ws: Workspace) -> tuple[dict | None, UserError | None]:
    """The row of controls: (the spec they describe, or None and what is wrong with it)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        test = _what(ws)
        _of_which_images(ws, test)
        with st.popover("Options", icon=":material/tune:"):
            _options(ws, test)
        try:
            spec = _spec(ws, test)
        except UserError as error:
            return None, error
        label = "Find the support" if test == SEARCH else "Retrain"
        st.button(label, key="run", type="primary", on_click=ask, args=(ws, spec))
    return spec, None


def widget_values(spec: Spec) -> dict:
    """The widget values that show a job's question, or the studies; empty where this page cannot show it."""
    if StudySpec.matches(spec):
        return {state.VIEW: STUDIES}
    if not any(kind.matches(spec) for kind in (RetrainSpec, SupportSpec, DisjointSpec)):
        return {}
    values = {
        state.TARGET: spec["target"],
        state.KIND: "repair" if spec.get("end") == "harmful" else spec["kind"],
        state.WITH_NEAR_DUPLICATES: bool(spec.get("groups")),
        state.VIEW: ONE,
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
    """Sets the widgets to another question, of the job with this number if there is one; a callback."""
    state_of.update(values)
    leave_job()
    if job is not None:
        st.query_params["job"] = str(job)


def leave_job() -> None:
    """Forgets the job that was open: a control was changed, and the page is about another question; a callback."""
    st.query_params.pop("job", None)


def ask(ws: Workspace, spec: Spec) -> None:
    """Queues the question, unless its answer is known: then the page shows that already; a callback."""
    try:
        with ResultStore.for_workspace(ws) as store:
            cost = spec.cost(ws, store)
            unknown = type(spec) is SupportSpec and kept_answers.answer(ws, store, spec) is None
        if cost.known < cost.max_trainings or unknown:
            st.query_params["job"] = str(jobs.submit(ws, spec))
        else:
            leave_job()
    except UserError as error:
        st.error(write.sentence(error))


def heading(ws: Workspace, target: int, spec: Spec | None) -> str:
    """The question as a sentence; the target alone where there is no spec."""
    true = ws.classes[ws.val_labels[target]]
    if not spec:
        return f"Target {target}, {true}"
    if isinstance(spec, RetrainSpec):
        still = "" if spec.get("end") else "still "
        return f"Is target {target} {still}read as {true} {text.edit_text(spec, ws)}?"
    times = f", up to {spec['count']} times over" if isinstance(spec, DisjointSpec) else ""
    if spec["kind"] == "repair":
        return f"How few harmful images of {spec['ranking']}, taken away, let target {target} be read as {true}{times}?"
    edit = (
        "taken away" if spec["kind"] == "remove" else f"relabelled {ws.classes[ws.base.likeliest_wrong_class[target]]}"
    )
    return f"How few images of {spec['ranking']}, {edit}, turn target {target} from {true}{times}?"


# -- the widgets


def _defaults(ws: Workspace) -> dict:
    first, rankings = _opening(ws, f"{ws.path} {ws.recipe}"), default_rankings(ws)
    return {
        state.TARGET: first.target if first else 0,
        state.K: first.k if first else min(10, int(np.unique(ws.train_labels, return_counts=True)[1].min())),
        state.CUT_RANKING: first.ranking if first else rankings[0] if rankings else "random",
        state.TEST: PREFIX,
        state.KIND: "remove",
        state.IDS: "",
        state.SEEDS: len(SEEDS),
        state.DRAWS: CONTROL_DRAWS,
        state.PROTOCOL: support_table.default_protocol(ws),
        state.K_MAX: DEFAULT_K_MAX,
        state.DISJOINT: 1,
        state.WITH_NEAR_DUPLICATES: False,
        state.VIEW: ONE,
    }


@st.cache_resource(ttl=60, show_spinner=False)
def _opening(_ws, path: str):
    return opening_target(_ws)


def _what(ws: Workspace) -> str:
    """The target, the edit and the kind of test; returns the last."""
    bound = {"bind": "query-params", "on_change": leave_job}
    st.number_input("Target", 0, ws.n_val - 1, key=state.TARGET, width=120, **bound)
    st.segmented_control(
        "What to do",
        SUPPORT_KINDS,
        required=True,
        key=state.KIND,
        help="Mislabel: give them the target's most likely wrong class. Repair: remove the "
        "most harmful ones, to make a wrong prediction right.",
        **bound,
    )
    return st.segmented_control("With", TESTS, required=True, key=state.TEST, **bound)


def _of_which_images(ws: Workspace, test: str) -> None:
    bound = {"bind": "query-params", "on_change": leave_job}
    if test == CHOSEN:
        st.text_input("Training images", key=state.IDS, width=330, placeholder="such as 3, 7, 10-12", **bound)
        return
    if test == PREFIX:
        st.number_input("k", 1, ws.n_train, key=state.K, width=120, **bound)
    st.selectbox("of", ranking_choice.rankings(ws), key=state.CUT_RANKING, width=190, **bound)


def _options(ws: Workspace, test: str) -> None:
    changed = {"on_change": leave_job}
    if test == SEARCH:
        st.number_input("Give up above k =", 1, max(DEFAULT_K_MAX, ws.n_train), key=state.K_MAX, **changed)
        st.segmented_control(
            "Protocol",
            support.PROTOCOLS,
            required=True,
            key=state.PROTOCOL,
            bind="query-params",
            help="Default stops a probe once its majority is decided, and confirms both "
            "ends of the bracket with fresh seeds. Adaptive trains one model at a time where its margins leave "
            "most doubt, in a third of the trainings, to a quarter of an octave. Paper: as published, always "
            "five seeds.",
            **changed,
        )
        st.number_input(
            "Supports that share no image",
            1,
            disjoint.MAX_SUPPORTS,
            key=state.DISJOINT,
            help="The images of the first one are passed over, and the search begins again.",
            **changed,
        )
    else:
        st.number_input("Seeds", 1, 20, key=state.SEEDS, **changed)
        st.number_input("Draws of random images", 0, 10, key=state.DRAWS, **changed)
    st.toggle(
        "With their near-duplicates",
        key=state.WITH_NEAR_DUPLICATES,
        disabled=state_of[state.KIND] == "mislabel",
        help="Training images whose features have a cosine of "
        f"{near_duplicates.DEFAULT_COSINE} or more to one that is removed go with it.",
        **changed,
    )


def _spec(ws: Workspace, test: str) -> dict:
    """The spec that the widgets describe; raises UserError where the library refuses it."""
    target, kind = state_of[state.TARGET], state_of[state.KIND]
    groups = near_duplicates.grouping_spec(ws) if state_of[state.WITH_NEAR_DUPLICATES] and kind != "mislabel" else None
    if test == SEARCH:
        search = {
            "target": target,
            "ranking": state_of[state.CUT_RANKING],
            "kind": kind,
            "protocol": state_of[state.PROTOCOL],
            "k_max": state_of[state.K_MAX],
            "groups": groups,
        }
        count = state_of[state.DISJOINT]
        return disjoint.disjoint_spec(ws, count, **search) if count > 1 else support.support_spec(ws, **search)
    return retrain.retrain_spec(
        ws,
        target,
        None if test == CHOSEN else state_of[state.CUT_RANKING],
        "remove" if kind == "repair" else kind,
        state_of[state.K] if test == PREFIX else None,
        range(state_of[state.SEEDS]),
        state_of[state.DRAWS],
        parse_image_numbers(state_of[state.IDS], ws.n_train) if test == CHOSEN else None,
        end="harmful" if kind == "repair" else "helpful",
        groups=groups,
    )
