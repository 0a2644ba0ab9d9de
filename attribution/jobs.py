"""Jobs: what can be asked of the runner. A job is a spec (JSON) in the store, and here is what each spec needs trained.

`submit` queues a spec and sees to it that a runner is there. `searches` turns a spec into generators that yield the
retrainings they need, [(edit, seed), ...], and are sent them, [Retraining, ...]; the runner drives them. A search
starts from the beginning after any stop: what was already trained is answered from the store.
"""

import dataclasses
import fcntl
import json
import math
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from attribution import adaptive, arms, disjoint, duplicates, prune, recipes, support, supports
from attribution.edits import Edit, nothing, remove
from attribution.errors import UserError
from attribution.files import write_json
from attribution.probes import DRAWS, changeable, check_kind, check_support, control, edit_of, steps
from attribution.rankings import check_k
from attribution.store import Job, Store, trouble
from attribution.workspace import status

SEEDS = list(support.SEEDS)
PROTOCOLS = ("default", "adaptive", "paper")
UNEDITED_SEEDS = [*support.SEEDS, *support.CONFIRM_SEEDS]  # stand in for base models under another recipe
STUDY_SEED = 7  # draws the targets of a study where nobody says otherwise
LONG = ("study", "subsets", "prune", "unedited", "worth")  # verbs that let the others pass
ABOUT = "runner.json"  # in the store's folder
STARTING = 20  # seconds a runner may take until it holds its lock
_runners: dict[Path, tuple[subprocess.Popen, float]] = {}  # those this process started, by store, and when


# -- specs


def retrain_spec(
    workspace,
    target: int,
    ranking: str | None,
    kind: str,
    k: int,
    seeds=SEEDS,
    draws: int = DRAWS,
    ids=None,
    *,
    end: str = "helpful",
    groups: dict | None = None,
    recipe: str | None = None,
) -> dict:
    """Retrain after an edit, beside its controls. ids: the training images themselves instead of a ranking's first k;
    those that carry the new label already are left out. end: "harmful" takes the k that a repair would remove. groups:
    see `support_spec`; the controls then match all the images removed, and spec["groups"]["along"] says how many came
    along with the k.

    Raises UserError for a target, ranking, kind, k or ids that do not fit the workspace, and for wrong labels where
    there are no base models to name the class most easily mistaken.
    """
    target = workspace.check_target(target)
    check_kind(kind)
    _check_groups(kind, groups)
    if ids is None:
        k = check_k(k)
        if end == "harmful" and kind != "remove":
            raise UserError("the most harmful images can be removed, not relabelled; leave the labels as they are")
        found = steps(
            workspace,
            {
                "ranking": ranking,
                "target": target,
                "k_max": k,
                "groups": groups,
                "kind": "repair" if end == "harmful" else kind,
            },
        )
        if len(found) < k:
            raise UserError(
                f"k = {k} is larger than the {len(found)} images {ranking} ranks for this target; "
                f"give at most {len(found)}"
            )
        ids = np.concatenate(found)
    elif not len(ids):
        raise UserError("no training images were given; name at least one")
    for i in ids:
        if not 0 <= i < workspace.n_train:
            raise UserError(f"training image {i} is out of range; give 0 to {workspace.n_train - 1}")
    ids = changeable(workspace, target, kind, ids)
    if not len(ids):
        raise UserError("all these images carry the new label already; choose others, or remove them instead")
    edit, more = edit_of(workspace, target, kind, ids), {}
    if groups:
        k = k if ranking else edit.k
        if not ranking:
            ids = np.concatenate(duplicates.bundles(workspace, ids, groups))
            edit = edit_of(workspace, target, kind, ids)
        more["groups"] = groups | {"along": edit.k - k}
    if ranking and end == "harmful":
        more["end"] = end
    if not len(seeds):
        raise UserError("give at least one seed")
    return {
        **common(workspace, recipe),
        "verb": "retrain",
        "target": target,
        "ranking": ranking,
        "kind": kind,
        "k": k if groups else edit.k,
        "ids": [int(i) for i in ids],
        "seeds": [int(s) for s in seeds],
        "draws": int(draws),
        **more,
    }


def support_spec(
    workspace,
    target: int,
    ranking: str,
    kind: str,
    protocol: str = "default",
    k_max: int = support.K,
    *,
    groups: dict | None = None,
    recipe: str | None = None,
) -> dict:
    """Find one target's support. groups: a `duplicates.grouping`: each image is removed with its near-duplicates, and k
    counts such groups. recipe: by name, the workspace's if not given. Raises UserError for a target, ranking, kind,
    protocol or recipe that does not fit the workspace, and where there are no base models to say what the target was
    taken for."""
    _check_search(workspace, protocol)
    workspace.ranking(ranking)
    _check_groups(check_support(kind), groups)
    return {
        **common(workspace, recipe),
        "verb": "support",
        "target": workspace.check_target(target),
        "ranking": ranking,
        "kind": kind,
        "protocol": protocol,
        "k_max": check_k(k_max),
        **({"groups": groups} if groups else {}),
    }


def _check_groups(kind, groups):
    if groups and kind == "mislabel":
        raise UserError("near-duplicates are removed together, not relabelled; choose a kind that removes")


def study_spec(
    workspace,
    targets: list[int],
    rankings: list[str],
    kinds: list[str],
    protocol: str = "default",
    k_max: int = support.K,
    recipe: str | None = None,
) -> dict:
    """Find the supports of many targets under several rankings and kinds. Raises UserError as `support_spec` does, and
    where repairs are asked for together with other kinds: they are of other targets."""
    _check_search(workspace, protocol)
    if "repair" in kinds and len(set(kinds)) > 1:
        raise UserError("repairs are of wrong targets, the other kinds of right ones; make two studies")
    if not (targets and rankings and kinds):
        raise UserError("a study needs at least one target, one ranking and one kind")
    for ranking in rankings:
        workspace.ranking(ranking)
    return {
        **common(workspace, recipe),
        "verb": "study",
        "targets": [workspace.check_target(t) for t in targets],
        "rankings": list(rankings),
        "kinds": [check_support(kind) for kind in kinds],
        "protocol": protocol,
        "k_max": check_k(k_max),
    }


def check_protocol(protocol: str) -> str:
    """`protocol`. Raises UserError when it is not one of a support search."""
    if protocol not in PROTOCOLS:
        raise UserError(f"protocol {protocol!r} is not known; say {', '.join(PROTOCOLS[:-1])} or {PROTOCOLS[-1]}")
    return protocol


def _check_search(workspace, protocol):
    workspace.check_base()
    check_protocol(protocol)
    if protocol == "adaptive" and not workspace.base.noise > 0:
        raise UserError(
            "the adaptive protocol weighs margins by how much base models differ, and these do not; "
            "bring more of them, or ask for the default protocol"
        )


def subsets_spec(workspace, first: int, count: int, seeds, draw: int, both: bool = False) -> dict:
    """Train on random halves first .. first + count - 1 of the sequence that `half` draws, each under `seeds`. both:
    and on the complement of each, so that every image is left out equally often."""
    return {
        **common(workspace),
        "verb": "subsets",
        "first": first,
        "count": count,
        "seeds": list(seeds),
        "draw": draw,
        **({"both": True} if both else {}),
    }


def common(workspace, recipe: str | None = None) -> dict:
    """What every spec holds. recipe: by name, the workspace's if not given. Raises UserError for an unknown one."""
    name = recipe or workspace.recipe
    recipes.get(name)  # says which there are
    return {"workspace": str(Path(workspace.path).resolve()), "recipe": name}


def half(n_train: int, draw: int, number: int) -> np.ndarray:
    """Random half `number` of sequence `draw`: bool [n_train], True for the images that stay."""
    kept = np.zeros(n_train, bool)
    kept[np.random.default_rng([draw, number]).permutation(n_train)[: n_train // 2]] = True
    return kept


def half_edit(workspace, draw: int, number: int, complement: bool = False) -> Edit:
    """Removes all but random half `number` of sequence `draw`, or that half itself."""
    kept = half(workspace.n_train, draw, number)
    return remove(np.flatnonzero(kept if complement else ~kept))


def half_seed(draw: int, number: int, seed: int, complement: bool = False) -> int:
    """Its training seed: another for each half, so that no initialisation is shared, and far from all other seeds."""
    return 1_000_000 * draw + 10_000 * seed + number + 500_000 * complement


def describe(spec: dict) -> str:
    """One line for people: what the job is."""
    verb, kind = spec["verb"], {"remove": "without", "mislabel": "with wrong labels on"}.get(spec.get("kind"), "")
    along = " with near-duplicates" if spec.get("groups") else ""
    if verb == "retrain":
        which = "most harmful" if spec.get("end") == "harmful" else "first"
        whose = f"the {which} {spec['k']} of {spec['ranking']}" if spec["ranking"] else f"{spec['k']} chosen images"
        return f"target {spec['target']}: retrain {kind} {whose}{along}"
    if verb in ("support", "disjoint"):
        what = f"up to {spec['count']} disjoint {spec['kind']} supports" if verb == "disjoint" else None
        return f"target {spec['target']}: {what or spec['kind'] + ' support'} of {spec['ranking']}{along}"
    if verb == "prune":
        return f"prune by {spec['ranking']}: {', '.join(map(str, spec['shares']))} %, {len(spec['seeds'])} seeds each"
    if verb == "worth":
        return (
            f"audit: {spec['relabelled']} relabelled and {spec['removed']} removed, beside none and "
            f"{spec['decided']} random images, {len(spec['seeds'])} seeds each"
        )
    if verb == "unedited":
        return f"{len(spec['seeds'])} models of {spec['recipe']} on the images as they are"
    if verb == "study":
        return f"study: {len(spec['targets'])} targets, {', '.join(spec['rankings'])}, {' and '.join(spec['kinds'])}"
    what = "pairs of complementary halves" if spec.get("both") else "random halves"
    return f"{spec['count']} {what}, {len(spec['seeds'])} seeds each"


# -- what a spec needs trained


def retrain_edits(workspace, spec: dict) -> dict[str, list[Edit]]:
    """The edits of a retrain spec: "edit" (one), "none" (one) and "random" (`draws` of them)."""
    edit = edit_of(workspace, spec["target"], spec["kind"], spec["ids"])
    return {"edit": [edit], "none": [nothing()], "random": [control(workspace, edit, d) for d in range(spec["draws"])]}


def searches(workspace, store: Store, spec: dict) -> Iterator:
    """Generators that together do the job, in the order they should be started."""
    verb = spec["verb"]
    if verb == "retrain":
        for edits in retrain_edits(workspace, spec).values():
            for edit in edits:
                for seed in spec["seeds"]:
                    yield _once([(edit, seed)])
    elif verb == "support":
        yield _support(workspace, store, spec)
    elif verb == "study":
        yield _once([(nothing(), seed) for seed in SEEDS])  # the control every probe shares
        every = study_supports(spec)
        for one, known in zip(every, supports.known(supports.table(workspace, store, spec["recipe"]), every)):
            yield _once([]) if known else _support(workspace, store, one)
    elif verb == "subsets":
        for number in range(spec["first"], spec["first"] + spec["count"]):
            for seed in spec["seeds"]:
                for complement in (False, True) if spec.get("both") else (False,):
                    yield _once(
                        [
                            (
                                half_edit(workspace, spec["draw"], number, complement),
                                half_seed(spec["draw"], number, seed, complement),
                            )
                        ]
                    )
    elif verb == "disjoint":
        yield _disjoint(workspace, store, spec)
    elif verb in ("prune", "worth"):
        question = {"prune": prune, "worth": arms}[verb]
        wanted = question.wanted(workspace, spec)
        for one in wanted:
            yield _once([one])
        yield question.measure(workspace, store, spec, wanted)
    elif verb == "unedited":
        for seed in spec["seeds"]:
            yield _once([(nothing(), seed)])


def total(spec: dict) -> int:
    """How many searches the job has: what its progress counts. Raises UserError for a verb of another Lineup."""
    if spec["verb"] not in ("retrain", "support", "disjoint", "study", "subsets", "prune", "unedited", "worth"):
        raise UserError(f"this Lineup knows no job {spec['verb']!r}; use the one that queued it")
    if spec["verb"] == "retrain":
        return len(spec["seeds"]) * (2 + spec["draws"])
    if spec["verb"] == "study":
        return 1 + len(study_supports(spec))
    if spec["verb"] == "prune":
        return 1 + len(spec["seeds"]) * (1 + 2 * len(spec["shares"]))
    if spec["verb"] == "worth":
        return 1 + len(spec["seeds"]) * len(spec["arms"])
    if spec["verb"] == "unedited":
        return len(spec["seeds"])
    if spec["verb"] == "subsets":
        return spec["count"] * len(spec["seeds"]) * (2 if spec.get("both") else 1)
    return 1


def study_supports(spec: dict) -> list[dict]:
    """The support specs of a study, target by target, so that a study cut short holds whole targets."""
    shared = {name: spec[name] for name in ("workspace", "recipe", "protocol", "k_max")}
    return [
        {**shared, "verb": "support", "target": target, "ranking": ranking, "kind": kind}
        for target in spec["targets"]
        for kind in spec["kinds"]
        for ranking in spec["rankings"]
    ]


def _once(wanted):
    yield wanted


def _support(workspace, store, spec):
    """Drives one support search and keeps its answer."""
    target, kind = spec["target"], spec["kind"]
    parts, label = steps(workspace, spec), workspace.val_labels[target]
    standing, noise = yield from _unedited(workspace, spec)
    asked = {"already_wrong": standing == "already_wrong", "repair": kind == "repair"}
    if spec["protocol"] == "adaptive":
        search = adaptive.search(label, len(parts), noise=noise, **asked)
    else:
        search = support.search(label, len(parts), protocol=spec["protocol"], **asked)
    answer = None
    while True:
        try:
            request = search.send(answer)
        except StopIteration as stop:
            found = dataclasses.asdict(stop.value)
            if spec.get("groups"):
                found["images"] = found["hi"] and sum(map(len, parts[: found["hi"]]))
            supports.keep(store, spec, workspace.ranking(spec["ranking"]).version, found)
            return
        edit = edit_of(workspace, target, kind, np.concatenate(parts[: request.k] or [[]]))
        done = yield [(edit, seed) for seed in request.seeds]
        answer = [
            support.Outcome(seed, int(one.predicted[target]), float(one.margins[target]))
            for seed, one in zip(request.seeds, done)
        ]


def _unedited(workspace, spec):
    """What the models of the unedited images say of a support spec's target: its status and the margins' noise over
    seeds (see `BaseModels`). They are the base models under the workspace's recipe, or as many trainings under another
    one."""
    weighed = spec["protocol"] == "adaptive"  # the one base model that is enough otherwise has no noise
    if spec["recipe"] == workspace.recipe:
        return workspace.base.status(spec["target"]), workspace.base.noise if weighed else None
    done = yield [(nothing(), seed) for seed in UNEDITED_SEEDS]
    right = sum(one.predicted[spec["target"]] == workspace.val_labels[spec["target"]] for one in done)
    spread = np.nanvar([one.margins.astype(float) for one in done], axis=0, ddof=1)
    return status(right, len(done)), float(np.sqrt(np.nanmean(spread)))


def _disjoint(workspace, store, spec):
    """Drives the searches of a disjoint spec, one after the other."""
    while (last := disjoint.chain(workspace, store, spec)[-1])[1] is None:
        yield from _support(workspace, store, last[0])


# -- asking


def submit(workspace, spec: dict) -> int:
    """Queues a spec, sees to it that a runner is there, and returns the job's number.

    Raises UserError where the data folder cannot be used, and where runners end as soon as they are started.
    """
    store = Store.of(workspace)
    try:
        under = f", recipe {spec['recipe']}" if spec["recipe"] != workspace.recipe else ""
        number = store.add_job(spec, describe(spec) + under)
    except sqlite3.Error as error:
        raise trouble(error, store.folder) from None
    finally:
        store.close()
    ensure_runner(workspace)
    return number


def follow(workspace, spec: dict, progress) -> Job:
    """Queues a spec and waits for its end; progress(text, done, total) on the way. Interrupted, it cancels the job.

    Raises UserError where the job is paused or ends as anything but done, and as `submit` does.
    """
    number = submit(workspace, spec)
    store = Store.of(workspace)
    try:
        while (job := store.job(number)).open:
            store.check_there()
            progress(job.what, job.done, job.total or None)
            ensure_runner(workspace)
            time.sleep(0.3)
    except KeyboardInterrupt:
        store.cancel_job(number)
        raise UserError(
            f"job {number} was cancelled; what it trained is kept, and the same command goes on from there"
        ) from None
    finally:
        store.close()
    if job.state == "paused":
        raise UserError(
            f"job {number} was paused by someone else, and what it trained is kept; "
            f"`jobs resume {number}` or the same command lets it go on"
        )
    if job.state != "done":
        raise UserError(f"job {number} ended as {job.state}: {job.message or 'cancelled by someone else'}")
    return job


def cancel(workspace, number: int) -> bool:
    """Asks for a job to be stopped and sees to it that a runner is there to do it. False when it is not open."""
    store = Store.of(workspace)
    try:
        asked = store.cancel_job(number)
    finally:
        store.close()
    if asked:
        ensure_runner(workspace)
    return asked


def pause(workspace, number: int) -> bool:
    """Asks for nothing more of a job to be started until it is resumed; trainings under way are finished, and kept.
    False when it is not queued or running."""
    store = Store.of(workspace)
    try:
        return store.pause_job(number)
    finally:
        store.close()


def resume(workspace, number: int) -> bool:
    """Lets a paused job go on, with a runner to do it. False when it is not paused."""
    store = Store.of(workspace)
    try:
        resumed = store.resume_job(number)
    finally:
        store.close()
    if resumed:
        ensure_runner(workspace)
    return resumed


def ensure_runner(workspace) -> None:
    """Starts a detached runner for the workspace's store unless one is alive. Cheap: call it while waiting for a job.

    Raises UserError where the one started last ended by an error.
    """
    folder = Store.folder_of(workspace).resolve()
    if runner_alive(folder):
        return
    log = folder / "runner.log"
    if folder in _runners:
        process, since = _runners[folder]
        if process.poll() is None and time.monotonic() - since < STARTING:
            return
        del _runners[folder]
        if process.returncode and process.returncode > 0:  # killed ones, below 0, are simply replaced
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
            raise UserError(f"the background runner cannot work: {last[0]} (more in {log})")
    with open(log, "a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "attribution", "runner", "--workspace", str(Path(workspace.path).resolve())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "LINEUP_DATA": str(folder.parent)},
            cwd=Path(__file__).resolve().parent.parent,
        )
    _runners[folder] = process, time.monotonic()


def runner_alive(folder: Path) -> bool:
    """True while a runner holds the store in `folder`."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: askers must not take each other for a runner
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def hold(folder: Path, patience: float = 0.5) -> int | None:
    """Takes the runner's lock on the store in `folder`: a file descriptor to keep open, or None where it is taken.

    It is on the folder itself: a file in it could be deleted and made anew, and then two would hold it. The kernel
    frees it however the holder ends. patience: seconds; those who ask `runner_alive` hold it for a moment.
    """
    handle = os.open(folder, os.O_RDONLY)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(handle)
                return None
        time.sleep(0.02)


def note(folder: Path, about: dict) -> None:
    """Writes down what the runner that holds the store in `folder` works with, for `runner_about`."""
    with suppress(OSError):  # a full disk
        write_json(folder / ABOUT, about)


def runner_about(folder: Path) -> dict | None:
    """What the runner that holds the store in `folder` works with (`Executor.about`); None where there is none."""
    if not runner_alive(folder):
        return None
    try:
        return json.loads((folder / ABOUT).read_text())
    except (OSError, ValueError):  # it has only just started
        return None


# -- answers


def retrain_answer(workspace, store: Store, spec: dict) -> dict:
    """What is known so far of a retrain spec, from the store alone, in design.md's JSON shape.

    "wrong" of "n" seeds predict another class than the true one; "flipped" is True, False, or None while undecided.
    Under "controls": "none" and "random" with the same keys ("random" over all draws). "complete": all is trained.
    "newest": when the last of them was trained, seconds since 1970, or None. A margin that is no number is None.
    """
    recipe = recipes.get(spec["recipe"]).hash
    label, target = int(workspace.val_labels[spec["target"]]), spec["target"]
    live = store.live()
    parts, newest, seconds = {}, None, 0.0
    for part, edits in retrain_edits(workspace, spec).items():
        runs = []
        for draw, edit in enumerate(edits):
            for seed in spec["seeds"]:
                key = store.key(recipe, edit, seed)
                found = store.get(key)
                run = {"seed": seed, "draw": draw, "state": "queued"}
                if found:
                    margin = float(found.margins[target])
                    run |= {
                        "state": "done",
                        "predicted": int(found.predicted[target]),
                        "margin": margin if math.isfinite(margin) else None,
                    }
                    newest = max(newest or 0, found.created)
                    seconds += found.seconds
                elif key in live:
                    run |= {"state": "running", "epoch": live[key]["epoch"], "epochs": live[key]["epochs"]}
                runs.append(run)
        done = [run for run in runs if run["state"] == "done"]
        wrong = sum(run["predicted"] != label for run in done)
        verdict = None
        if runs and 2 * wrong >= len(runs):
            verdict = True
        elif runs and 2 * (len(done) - wrong) > len(runs):
            verdict = False
        parts[part] = {
            "runs": runs,
            "wrong": wrong,
            "n": len(done),
            "of": len(runs),
            "flipped": verdict,
            "predictions": [run["predicted"] for run in done],
            "margins": [run["margin"] for run in done],
        }
    edit = parts.pop("edit")
    complete = all(part["n"] == part["of"] for part in (edit, *parts.values()))
    more = {name: spec[name] for name in ("end", "groups") if name in spec}
    return {
        "target": target,
        "ranking": spec["ranking"],
        "kind": spec["kind"],
        "k": spec["k"],
        "recipe": spec["recipe"],
        "recipe_hash": recipe,
        "seeds": spec["seeds"],
        **edit,
        "controls": parts,
        "complete": complete,
        "newest": newest,
        "seconds": round(seconds, 2),
        **more,
    }


def missing(workspace, store: Store, spec: dict) -> int:
    """How many retrainings a retrain spec still needs: its cost, before it is run."""
    recipe = recipes.get(spec["recipe"]).hash
    keys = {
        store.key(recipe, edit, seed)
        for edits in retrain_edits(workspace, spec).values()
        for edit in edits
        for seed in spec["seeds"]
    }
    return sum(store.get(key) is None for key in keys)


def job_json(job) -> dict:
    """A job in design.md's `jobs list` shape."""
    return {
        "id": job.id,
        "state": job.state,
        "what": job.what,
        "done": job.done,
        "total": job.total,
        "seconds": round(job.seconds, 1),
        "message": job.message,
    }
