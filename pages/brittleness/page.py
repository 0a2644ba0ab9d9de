"""Brittleness: the laboratory. Remove or relabel training images, retrain in the background, read the verdict."""

import json

import numpy as np
import streamlit as st

from attribution import UserError, Workspace, disjoint, duplicates, jobs, questions, recipes, replay, supports
from attribution.edits import parse_images
from attribution.lineup import default_rankings
from attribution.opening import opening
from attribution.probes import SUPPORTS, check_support, steps
from attribution.store import Store
from attribution.support import K
from pages.brittleness import backend, several, studies, trace, words
from pages.ui import cli_command, job_buttons, ranking_choice, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.target_card import card_html
from pages.ui.tile_strip import strip, tiles
from pages.ui.verdict import cost_text, verdict_html

VIEWS = ONE, STUDIES = "one target", "studies"
TESTS = PREFIX, CHOSEN, SEARCH = "first k", "chosen images", "find the support"
PREVIEW = 128
HISTORY, ALL = 8, 100  # jobs listed at first, and at most
#: what the address carries, besides a job
BOUND = (state.VIEW, state.TARGET, state.KIND, state.TEST, state.CUT_RANKING, state.K, state.IDS, state.PROTOCOL)
#: the widgets of the question
ASKED = (
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
    state.TOGETHER,
)
state_of = st.session_state


def main() -> None:
    ws = theme.workspace()
    if not ws.has_base:
        return _nothing_trained(ws)
    try:
        store = Store.of(ws)
    except UserError as error:
        st.error(write.sentence(error))
        return
    try:
        _start(ws, store)
        with st.container(gap="small"):
            view = st.segmented_control(
                "What to look at",
                VIEWS,
                required=True,
                key=state.VIEW,
                bind="query-params",
                label_visibility="collapsed",
            )
            if state.ERROR in state_of:
                st.error(write.sentence(state_of.pop(state.ERROR)))
            if view == STUDIES:
                state_of[state.AWAY] = True
            if state_of.get(state.AWAY):
                for name in ASKED:  # Streamlit forgets a widget that is not drawn, and has to tell the browser again
                    state_of[name] = state_of[name]
            if view == STUDIES:
                return studies.draw(ws)
            spec, error = _question(ws, store)
            target = state_of[state.TARGET]
            st.header(write.plain(_heading(ws, target, spec)), anchor=False)
            with st.container(horizontal=True, gap="medium"):
                with st.container(width=204):
                    st.html(
                        card_html(
                            ws, target, {}, sprite_sheet.image_url(ws, "val", target), sprite_sheet.scale(ws, 168)
                        )
                    )
                    st.page_link(
                        "pages/explore/page.py",
                        label="Its lineup in Explore",
                        icon=":material/arrow_back:",
                        query_params={"target": str(target)},
                    )
                with st.container(gap="small"):
                    if error:
                        st.error(write.sentence(error), icon=":material/error:")
                    else:
                        _preview(ws, spec)
                        _answer(ws, store, spec)
            history, measured = st.columns([1.25, 1], gap="large")
            with history.container(gap="xxsmall"):
                _history(ws, store)
            with measured.container(gap="xxsmall"):
                _measured(ws, store, target)
        state_of[state.AWAY] = False  # not before a whole run: one cut short may not have reached the browser
    finally:
        store.close()


def _nothing_trained(ws: Workspace) -> None:
    st.header("No model has been trained here yet", anchor=False)
    with st.container(width=760):
        theme.train_first(
            ws,
            "Brittleness asks whether a prediction changes when training images are taken away or "
            "relabelled, so it needs models that predict.",
        )
        st.page_link("pages/explore/page.py", label="The lineups in Explore", icon=":material/arrow_back:")


# -- the question


def _start(ws: Workspace, store: Store) -> None:
    """Sets what the address leaves open, from the job it names or from what was looked at last, and says what in the
    address cannot be had."""
    link, wrong = st.query_params, []
    first = _opening(ws, str(ws.path))
    names = default_rankings(ws)
    values = {
        state.TARGET: first.target if first else 0,
        state.K: first.k if first else 10,
        state.CUT_RANKING: first.ranking if first else names[0] if names else "random",
        state.TEST: PREFIX,
        state.KIND: "remove",
        state.IDS: "",
        state.SEEDS: len(jobs.SEEDS),
        state.DRAWS: jobs.DRAWS,
        state.PROTOCOL: supports.usual_protocol(ws),
        state.K_MAX: K,
        state.DISJOINT: 1,
        state.TOGETHER: False,
        state.VIEW: ONE,
    } | state_of[state.KEPT]
    checks = {
        state.TARGET: ws.check_target,
        state.K: lambda k: _check_k(k, ws.n_train),
        state.CUT_RANKING: ws.ranking,
        state.KIND: check_support,
        state.PROTOCOL: jobs.check_protocol,
    }
    if "job" in link:
        job, error = _job(store, link["job"])
        if job:
            values |= _values_of(job.spec)
        else:
            wrong.append(error)
            del link["job"]
    if state_of.get(state.K, 1) > ws.n_train:
        del state_of[state.K]
    for name, value in values.items():
        if name in state_of:
            continue
        try:
            if name in link and name in BOUND:
                checks.get(name, str)(link[name])
                continue
        except UserError as error:
            wrong.append(error)
        state_of[name] = value
    if wrong:
        st.warning("  \n".join(write.sentence(error) for error in wrong), icon=":material/link_off:")


@st.cache_resource(ttl=60, show_spinner=False)
def _opening(_ws, path: str):
    return opening(_ws)


def _check_k(k: str, most: int) -> None:
    if not (k.isdigit() and 1 <= int(k) <= most):
        raise UserError(f"k = {k} is not a number of training images; give a whole number from 1 to {most}")


def _job(store: Store, number: str):
    """(the job of that number or None, what is wrong with the number)."""
    job = store.job(int(number)) if number.isdigit() else None
    return job, UserError(f"there is no job {number} here; the history below lists those there are")


def _values_of(spec: dict) -> dict:
    """What the widgets show for a job: its question, or the studies."""
    if spec["verb"] == "study":
        return {state.VIEW: STUDIES}
    if spec["verb"] not in ("retrain", "support", "disjoint"):
        return {}
    shown = {
        state.TARGET: spec["target"],
        state.KIND: "repair" if spec.get("end") == "harmful" else spec["kind"],
        state.TOGETHER: bool(spec.get("groups")),
        state.VIEW: ONE,
    }
    if spec["verb"] != "retrain":
        return shown | {
            state.TEST: SEARCH,
            state.CUT_RANKING: spec["ranking"],
            state.PROTOCOL: spec["protocol"],
            state.K_MAX: spec["k_max"],
            state.DISJOINT: spec.get("count", 1),
        }
    shown |= {state.SEEDS: len(spec["seeds"]), state.DRAWS: spec["draws"]}
    if spec["ranking"]:
        return shown | {state.TEST: PREFIX, state.CUT_RANKING: spec["ranking"], state.K: spec["k"]}
    return shown | {state.TEST: CHOSEN, state.IDS: write.number_ranges(spec["ids"]).replace("–", "-")}


def _question(ws: Workspace, store: Store) -> tuple[dict | None, UserError | None]:
    """The row of controls: (the spec they make, or None and what is wrong with it)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        target = st.number_input(
            "Target", 0, ws.n_val - 1, key=state.TARGET, bind="query-params", width=120, on_change=_leave_job
        )
        kind = st.segmented_control(
            "What to do",
            SUPPORTS,
            required=True,
            key=state.KIND,
            bind="query-params",
            on_change=_leave_job,
            help="Mislabel: give them the target's most likely wrong class. Repair: remove the "
            "most harmful ones, to make a wrong prediction right.",
        )
        test = st.segmented_control(
            "With", TESTS, required=True, key=state.TEST, bind="query-params", on_change=_leave_job
        )
        ranking, k, text = None, None, ""
        if test == CHOSEN:
            text = st.text_input(
                "Training images",
                key=state.IDS,
                bind="query-params",
                width=330,
                on_change=_leave_job,
                placeholder="such as 3, 7, 10-12",
            )
        else:
            if test == PREFIX:
                k = st.number_input(
                    "k", 1, ws.n_train, key=state.K, bind="query-params", width=120, on_change=_leave_job
                )
            ranking = st.selectbox(
                "of",
                ranking_choice.rankings(ws),
                key=state.CUT_RANKING,
                bind="query-params",
                width=190,
                on_change=_leave_job,
            )
        with st.popover("Options", icon=":material/tune:"):
            if test == SEARCH:
                k_max = st.number_input(
                    "Give up above k =", 1, max(K, ws.n_train), key=state.K_MAX, on_change=_leave_job
                )
                protocol = st.segmented_control(
                    "Protocol",
                    jobs.PROTOCOLS,
                    required=True,
                    key=state.PROTOCOL,
                    bind="query-params",
                    on_change=_leave_job,
                    help="Default stops a probe once its majority is decided, and confirms both "
                    "ends of the bracket with fresh seeds. Adaptive trains one model at a time where its margins leave "
                    "most doubt, in a third of the trainings, to a quarter of an octave. Paper: as published, always "
                    "five seeds.",
                )
                count = st.number_input(
                    "Supports that share no image",
                    1,
                    disjoint.MOST,
                    key=state.DISJOINT,
                    on_change=_leave_job,
                    help="The images of the first one are passed over, and the search begins again.",
                )
            else:
                seeds = st.number_input("Seeds", 1, 20, key=state.SEEDS, on_change=_leave_job)
                draws = st.number_input("Draws of random images", 0, 10, key=state.DRAWS, on_change=_leave_job)
            together = st.toggle(
                "With their near-duplicates",
                key=state.TOGETHER,
                on_change=_leave_job,
                disabled=kind == "mislabel",
                help="Training images whose features have a cosine of "
                f"{duplicates.COSINE} or more to one that is removed go with it.",
            )
        try:
            groups = duplicates.grouping(ws) if together and kind != "mislabel" else None
            if test == SEARCH:
                asked = {
                    "target": target,
                    "ranking": ranking,
                    "kind": kind,
                    "protocol": protocol,
                    "k_max": k_max,
                    "groups": groups,
                }
                spec = questions.disjoint_spec(ws, count, **asked) if count > 1 else jobs.support_spec(ws, **asked)
            else:
                ids = parse_images(text, ws.n_train) if test == CHOSEN else None
                spec = jobs.retrain_spec(
                    ws,
                    target,
                    ranking,
                    "remove" if kind == "repair" else kind,
                    k,
                    range(seeds),
                    draws,
                    ids,
                    end="harmful" if kind == "repair" else "helpful",
                    groups=groups,
                )
        except UserError as error:
            return None, error
        st.button(
            "Find the support" if test == SEARCH else "Retrain",
            key="run",
            type="primary",
            on_click=_run,
            args=(ws, spec),
        )
    return spec, None


def _leave_job() -> None:
    """A control was changed: the page is about that question now, not about the job that was open."""
    st.query_params.pop("job", None)


def _heading(ws: Workspace, target: int, spec: dict | None) -> str:
    true = ws.classes[ws.val_labels[target]]
    if spec and spec["verb"] == "retrain":
        asked = f"Is target {target} read as {true}" if spec.get("end") else f"Is target {target} still read as {true}"
        return f"{asked} {words.doing(spec, ws)}?"
    times = f", up to {spec['count']} times over" if spec and spec["verb"] == "disjoint" else ""
    if spec and spec["kind"] == "repair":
        return f"How few harmful images of {spec['ranking']}, taken away, let target {target} be read as {true}{times}?"
    if spec:
        edit = "taken away" if spec["kind"] == "remove" else f"relabelled {ws.classes[ws.base.runner_up[target]]}"
        return f"How few images of {spec['ranking']}, {edit}, turn target {target} from {true}{times}?"
    return f"Target {target}, {true}"


def _run(ws: Workspace, spec: dict) -> None:
    """Queues the question, unless its answer is known: then the page shows that already."""
    store = Store.of(ws)
    try:
        cost = replay.cost(ws, store, spec)
        if cost.known < cost.most or spec["verb"] == "support" and backend.answer(ws, store, spec) is None:
            st.query_params["job"] = str(jobs.submit(ws, spec))
        else:
            _leave_job()
    except UserError as error:
        st.error(write.sentence(error))
    finally:
        store.close()


# -- what would be changed


def _preview(ws: Workspace, spec: dict) -> None:
    """The training images that the edit changes; for a search, those it would take from, in their order."""
    target, label = spec["target"], ws.val_labels[spec["target"]]
    ids = _preview_ids(ws, json.dumps(spec))
    if not len(ids):
        st.info("This ranking has no image for this target that the edit could change.")
        return
    places = {int(image): at for at, image in enumerate(sorted(ids))}
    given = ws.train_labels[ids]
    new = ws.classes[ws.base.runner_up[target]]
    relabel = spec["kind"] == "mislabel"
    captions = [f"{ws.classes[c]} → {new}" if relabel else ws.classes[c] for c in given]
    texts = [f"training image {i}, {caption}" for i, caption in zip(ids, captions)]
    marks = [None if relabel or c == label else f"≠ {ws.classes[c]}" for c in given]
    strip(
        "preview",
        {
            "layout": "line",
            "atlas": sprite_sheet.sheet(ws, "train", sorted(ids)),
            "scale": sprite_sheet.scale(ws),
            "zoom": 5,
            "pitch": 108 if relabel else 76,
            "selected": None,
            "of": target,
            "rows": [
                {
                    "id": "preview",
                    "label": f"{len(ids)} training images that would be changed",
                    "tiles": tiles(places, ids, texts, caption=captions, mark=marks),
                }
            ],
        },
    )
    classes, counts = np.unique(given, return_counts=True)
    mix = ", ".join(f"{n} {ws.classes[c]}" for c, n in sorted(zip(classes, counts), key=lambda one: -one[1]))
    first = "most harmful" if spec["kind"] == "repair" else "best"
    how = f"Searched, {first} first: up to" if "k_max" in spec else "Relabelled:" if relabel else "Removed:"
    planted = f" Labels are as given, with {ws.planted} planted errors." if ws.planted else ""
    note = words.heuristic(ws, spec) + words.along(spec)
    st.caption(write.plain(f"{how} {len(ids)} of {write.count(ws.n_train)} training images ({mix}).{note}{planted}"))


@st.cache_data(max_entries=200, ttl=60, show_spinner=False)
def _preview_ids(_ws, asked: str) -> np.ndarray:
    """asked: the spec as JSON."""
    spec = json.loads(asked)
    if "ids" in spec:
        return np.array(spec["ids"])
    found = steps(_ws, spec | {"k_max": min(spec["k_max"], PREVIEW)})
    return np.concatenate(found)[:PREVIEW] if found else np.zeros(0, np.int64)


# -- the answer


def _answer(ws: Workspace, store: Store, spec: dict) -> None:
    """What is known of the question, drawn anew every second while a job of it is at work."""
    job = _open_job(store, spec)
    running = bool(job and job.open)
    view = {"retrain": _retraining, "support": _search, "disjoint": _disjoint}[spec["verb"]]

    @st.fragment(run_every="1s" if running else None)
    def draw():
        inside = Store.of(ws)
        try:
            now = inside.job(job.id) if job else None
            if now and now.open:
                jobs.ensure_runner(ws)
            view(ws, inside, spec, now)
        finally:
            inside.close()
        if running != bool(now and now.open):
            st.rerun()

    draw()


def _open_job(store: Store, spec: dict):
    """The job that the address names, if it is about this question, else one about it that has not ended, or None."""
    number = st.query_params.get("job", "")
    named = store.job(int(number)) if number.isdigit() else None
    if named and _same(named.spec, spec):
        return named
    return next((job for job in store.jobs_called(jobs.describe(spec)) if _same(job.spec, spec)), None)


def _same(one: dict, other: dict) -> bool:
    """Whether two specs ask the same; they may have been written on other machines' paths."""

    def rest(spec):
        return {name: value for name, value in spec.items() if name != "workspace"}

    return rest(one) == rest(other)


def _retraining(ws: Workspace, store: Store, spec: dict, job) -> None:
    answer = jobs.retrain_answer(ws, store, spec)
    found = words.verdict(ws, spec, answer)
    if not job and not found and not answer["n"]:
        st.markdown(f"**Not tested yet.** {write.plain(cost_text(replay.cost(ws, store, spec)))}.")
        _command(ws, spec)
        return
    if found:
        st.html(verdict_html(*found))
    st.html(words.groups_html(ws, spec, answer))
    _job_line(ws, store, spec, job, answer["newest"] if answer["complete"] else None)
    _provenance(ws, f"seeds {write.number_ranges(spec['seeds'])}; trained in {write.seconds(answer['seconds'])} in all")
    _command(ws, spec)


def _search(ws: Workspace, store: Store, spec: dict, job) -> None:
    target, label = spec["target"], int(ws.val_labels[spec["target"]])
    found = backend.answer(ws, store, spec)
    played = replay.replay(ws, store, spec)
    answer = played.answer or (found and found["answer"])
    shipped = not played.answer and found and found["shipped"]
    probes = words.probes_of(answer["trace"]) if answer and not played.answer else played.probes
    if not answer and not job and not played.trained:
        st.markdown(f"**Not searched yet.** {write.plain(cost_text(replay.cost(ws, store, spec)))}.")
        _command(ws, spec)
        return
    if answer:
        st.html(verdict_html(*words.support_verdict(ws, target, spec["ranking"], spec["kind"], answer)))
    if probes:
        table, chart = st.columns([1.35, 1], gap="medium")
        table.html(words.probes_html(ws, target, probes, spec["kind"]))
        chart.plotly_chart(
            trace.figure(
                tuple((p["k"], p["confirm"], *trace.share(p, label)) for p in probes),
                answer and answer["lo"],
                answer and answer["hi"],
                tuple(words.outcomes(spec["kind"]).items()),
            ),
            key="trace",
            height=250,
            config={"displayModeBar": False},
            alt="share of wrong models at each k tried; the table beside it has the same numbers",
        )
    if answer and answer["hi"] and spec["verb"] == "support":
        if st.button(
            f"Retrain at k = {answer['hi']} beside its controls",
            key="at support",
            on_click=_retrain_at,
            args=(answer["hi"],),
        ):
            st.rerun()  # the whole page, not this fragment
    if shipped:
        st.caption(f"From the shipped study, {write.date_time(found['created'])}: nothing was trained here.")
    else:
        _job_line(ws, store, spec, job, played.newest if answer else None)
    count = answer["trainings"] if answer else played.trained
    _provenance(
        ws,
        f"protocol {spec['protocol']}, K = {spec['k_max']}; {count} trainings asked for"
        + ("" if answer else " so far"),
    )
    _command(ws, spec)


def _disjoint(ws: Workspace, store: Store, spec: dict, job) -> None:
    known = several.draw(ws, store, spec)
    if not known and not job:
        st.markdown(f"**Not searched yet.** {write.plain(cost_text(replay.cost(ws, store, spec)))}.")
    else:
        _job_line(ws, store, spec, job, known)
    _provenance(
        ws,
        f"protocol {spec['protocol']}, K = {spec['k_max']}; each search passes over the images of the "
        "supports before it, and trains on all others",
    )
    _command(ws, spec)


def _retrain_at(k: int) -> None:
    state_of[state.TEST] = PREFIX
    state_of[state.K] = int(k)
    _leave_job()


def _job_line(ws: Workspace, store: Store, spec: dict, job, known_since: float | None) -> None:
    """How the job stands, with ways to pause and stop it; or since when the answer is known."""
    if job and not job.ended:
        waits = {"queued": "Waiting for the runner", "cancelling": "Stopping", "paused": "Paused"}
        text = waits.get(job.state) or f"Running for {write.seconds(job.seconds)}"
        ahead = store.ahead(job.id)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            before = f", {ahead} before it" if ahead and job.state == "queued" else ""
            closed = " It goes on when this page is closed." if job.open else ""
            st.caption(write.plain(f"Job {job.id}: {text}{before}.{closed}"), width="content")
            job_buttons.draw(ws, job)
    elif job and job.state in ("cancelled", "failed"):
        reason = f" {job.message}." if job.message else ""
        st.warning(
            write.plain(
                f"Job {job.id} {'was cancelled' if job.state == 'cancelled' else 'failed'}.{reason} "
                "What it trained is kept: asked again, it goes on from there."
            )
        )
    elif job:
        st.caption(write.plain(f"Job {job.id}: done in {write.seconds(job.seconds)}, {write.date_time(job.finished)}."))
    elif known_since:
        st.caption(write.plain(f"Known since {write.date_time(known_since)}: nothing was trained for this."))
    else:
        st.caption(write.plain("Partly known from other jobs: " + cost_text(replay.cost(ws, store, spec)) + "."))


def _provenance(ws: Workspace, more: str) -> None:
    recipe = recipes.get(ws.recipe)
    planted = f"; labels as given, with {ws.planted} planted errors" if ws.planted else ""
    st.caption(write.plain(f"Recipe {recipe.name} {recipe.hash}; {more}{planted}."))


def _command(ws: Workspace, spec: dict) -> None:
    """The command line that asks the same, where there is one."""
    ask = cli_command.arguments(spec)
    if ask:
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(cli_command.line(ws, *ask), language="bash", wrap_lines=True)


# -- what is known besides


def _measured(ws: Workspace, store: Store, target: int) -> None:
    """The supports found for this target, under all rankings; one opens its trace."""
    found = [one for one in backend.kept(ws, store) if one["target"] == target]
    if not found:
        return
    st.markdown("##### Supports found for this target")
    for one in sorted(found, key=lambda one: (one["kind"] != "remove", one["answer"]["support"] or 10**6)):
        word, _ = words.support_verdict(ws, target, one["ranking"], one["kind"], one["answer"])
        source = "shipped study" if one["shipped"] else f"found {write.date_time(one['created'])}"
        status = ", unstable" if one["answer"]["status"] == "unstable" else ""
        status += f" · {one['protocol']}" if one["protocol"] != "default" else ""
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                f"{one['ranking']}, {one['kind']}",
                type="tertiary",
                on_click=_open_support,
                args=(one,),
                key=f"support {one['ranking']} {one['kind']} {one['protocol']} {one['k_max']}",
            )
            st.caption(write.plain(f"{word.lower()}{status} · {one['answer']['trainings']} trainings · {source}"))


def _open_support(one: dict) -> None:
    for name, value in (
        (state.TEST, SEARCH),
        (state.KIND, one["kind"]),
        (state.CUT_RANKING, one["ranking"]),
        (state.PROTOCOL, one["protocol"]),
        (state.K_MAX, one["k_max"]),
        (state.DISJOINT, 1),
        (state.TOGETHER, False),
    ):
        state_of[name] = value
    _leave_job()


def _history(ws: Workspace, store: Store) -> None:
    """The jobs of this data set, newest first, drawn anew every other second while one is at work."""
    st.markdown("##### History")

    polled = store.busy()

    @st.fragment(run_every="2s" if polled else None)
    def draw():
        inside = Store.of(ws)
        count, busy = inside.count_jobs(), inside.busy()
        found = inside.jobs(ALL if state_of.get("all jobs") else HISTORY)
        inside.close()
        if busy and not polled:
            st.rerun()
        if not found:
            st.caption("No job yet. What is asked for here, in Explore or on the command line stays listed here.")
        for job in found:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if st.button(
                    f"{job.id}",
                    key=f"job {job.id}",
                    on_click=_open,
                    args=(job,),
                    help="Open this job",
                    disabled=not _values_of(job.spec),
                    width=64,
                ):
                    st.rerun()  # the whole page, not this fragment
                st.html(words.job_html(job))
                job_buttons.draw(ws, job, str(job.id), "tertiary")
        if count > HISTORY:
            st.toggle(f"All {count}" if count <= ALL else f"The newest {ALL} of {write.count(count)}", key="all jobs")
        if busy:
            jobs.ensure_runner(ws)

    draw()


def _open(job) -> None:
    for name, value in _values_of(job.spec).items():
        state_of[name] = value
    st.query_params["job"] = str(job.id)


main()
