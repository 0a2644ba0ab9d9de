"""How far a study has come, read from the store while a runner is at it: nothing here trains, and nothing is written.

A study may have thousands of searches, and a page asks every second. So answers are read again only when one has come
in, and of the searches without one only those that have begun are played again, each when a training of its own is new.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from attribution.experiments import support_table
from attribution.experiments.estimate import median_training_seconds
from attribution.experiments.replay import replay_search
from attribution.experiments.study import Study, StudySpec, load_supports
from attribution.store.lock import runner_alive
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

MAX_IDLE_SEARCHES = 4  # searches begin in their order, nearly: after so many without a training the rest has not begun
MAX_READ_SECONDS = 0.15  # that one reading may play searches; the others wait for the next, as they were known before


@dataclass(frozen=True)
class StudyProgress:
    """study: its answers, None where unfinished; brackets: (kind, ranking, target) -> (lo, hi], what an unfinished
    search that has begun knows so far, hi None where nothing has flipped.

    searches: how many there are; answered: of these. trained: trainings they asked for that are done, those known from
    before included; running: under way for this job; retried: those, of any job, that a worker died under and that have
    not succeeded since; trainings_left: those expected still, judged by `measured` searches as `estimate.StudyCost`
    says; each: seconds a training, the median of the last `timed` ones here, or a guess where that is 0; workers:
    trainings under way at once, of any job, or as many as this machine starts where there are none."""

    study: Study
    brackets: dict[tuple[str, str, int], tuple[int, int | None]]
    searches: int
    answered: int
    trained: int
    running: int
    retried: int
    trainings_left: float
    measured: int
    each: float
    timed: int
    workers: int

    @property
    def seconds(self) -> float:
        """What is left to train, shared by the workers: an estimate, as if no other job came between."""
        return self.trainings_left / self.workers * self.each


class StudyMonitor:
    """Reads how far one study is. Threads may share it, each with a store of its own."""

    def __init__(self, workspace: Workspace, spec: StudySpec):
        self.workspace = workspace
        self.spec = spec
        self.searches = spec.supports()
        self.lock = threading.Lock()
        self.answers_version = None  # of the answers that were read last
        self.last_retraining = 0  # number of the newest one that was read
        self.begun: dict[int, _StartedSearch] = {}

    def read(self, store: ResultStore, job: Job) -> StudyProgress:
        """How far the study is, as `job` (its row in the store) has it done."""
        with self.lock:
            self._read_answers(store)
            self._play(store, time.monotonic() + MAX_READ_SECONDS)
            begun = {number: self.begun[number] for number in self.unfinished if number in self.begun}
            keys = [(spec.kind, spec.ranking, spec.target) for spec in self.searches]
            live = store.live_trainings() if runner_alive(store.folder) else {}
            trained = sum(search.trained for search in begun.values())
            timed = store.median_seconds(self.spec.recipe_hash)
            return StudyProgress(
                study=self.study,
                brackets={keys[number]: search.bracket for number, search in begun.items() if search.trained},
                searches=len(self.searches),
                answered=self.cost.known,
                trained=self.paid + trained,
                running=sum(row["job"] == job.id for row in live.values()),
                retried=store.count_retried(),
                trainings_left=max(float(len(self.unfinished)), self.cost.trainings - trained),
                measured=self.cost.measured,
                each=median_training_seconds(self.workspace, store, self.spec.recipe_hash),
                timed=timed[1] if timed else 0,
                workers=len(live) or self.cost.workers,
            )

    def _read_answers(self, store):
        file = self.workspace.supports_file
        version = (store.supports_version(), _modified_time(file))
        if version == self.answers_version:
            return
        spec = self.spec
        seen = self.workspace.with_model(spec.model)
        answers = support_table.load_support_table(seen, store, spec.recipe, spec.recipe_hash, traces=False)
        known = load_supports(self.workspace, store, spec.protocol, spec.k_max, answers=answers)
        tables = {
            kind: {
                ranking: {target: known[kind].get(ranking, {}).get(target) for target in spec.targets}
                for ranking in spec.rankings
            }
            for kind in spec.kinds
        }
        self.study = Study(spec.k_max, spec.protocol, tables)
        self.cost = spec.cost(self.workspace, store, answers)
        self.paid = sum(
            support.trainings
            for rankings in tables.values()
            for supports in rankings.values()
            for support in supports.values()
            if support
        )
        self.unfinished = [
            number
            for number, search in enumerate(self.searches)
            if tables[search.kind][search.ranking][search.target] is None
        ]
        self.answers_version = version

    def _play(self, store, until):
        """Brings up to date what the searches that have begun know."""
        if self.begun:
            new, self.last_retraining = store.retrained_since(self.last_retraining)
        else:
            new, self.last_retraining = set(), store.last_retraining_number()
        for search in self.begun.values():
            search.stale = search.stale or not search.missing.isdisjoint(new)
        untouched = 0
        for number in self.unfinished:
            if number not in self.begun or self.begun[number].stale:
                if time.monotonic() > until:
                    return
                played = replay_search(self.workspace, store, self.searches[number])
                self.begun[number] = _StartedSearch(played.bracket(self.spec.protocol), played.trained, played.missing)
            untouched = 0 if self.begun[number].trained else untouched + 1
            if untouched == MAX_IDLE_SEARCHES:
                return


@dataclass
class _StartedSearch:
    """A search that was played: what it knows, and the trainings it waits for; stale once one of them has come in."""

    bracket: tuple[int, int | None]
    trained: int
    missing: set[str] = field(default_factory=set)
    stale: bool = False


def _modified_time(file: Path) -> float | None:
    return file.stat().st_mtime if file.exists() else None
