"""A spec: what a job was asked, as a typed value in the code and as JSON in the store.

Each kind of job is a subclass of `Spec` in a file of its own, and stands in `attribution.experiments.registry`. The
JSON of a spec is frozen: it is the question that a stored answer is found by, and jobs queued by an earlier version
have to run.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from attribution.errors import UserError
from attribution.experiments import support_search
from attribution.experiments.estimate import JobCost, StudyCost, cost_of
from attribution.inputs import limits
from attribution.store.results import ResultStore, Retraining
from attribution.training import all_recipes
from attribution.training.edits import Edit
from attribution.workspace.workspace import Workspace

SEEDS = list(support_search.SEEDS)
#: of models of the unedited images, which stand in for base models under another recipe
UNEDITED_SEEDS = [*support_search.SEEDS, *support_search.CONFIRM_SEEDS]

Training = tuple[Edit, int]  # an edit and a seed
#: yields the trainings it needs next, is sent their results in the same order, and may return an answer; what a worker
#: does as a whole, such as a search under a head, whose refits take milliseconds, it yields as a spec, and is sent its
#: answer
Search = Generator[list[Any], list[Any], Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spec(Mapping):
    """What every kind of job has. workspace: its path; recipe: by name; hash: of a recipe that is not built in, as it
    was when the job was asked: what is edited meanwhile is another recipe. model: whose base predictions say what a
    target is taken for, where that is not the workspace's own recipe.

    It is also a read-only mapping of its JSON, so that `spec["target"]` reads a spec and a stored job alike. A field
    that has a default is left out of the JSON as long as it has that value.
    """

    #: names the kind of job in the store
    verb: ClassVar[str]
    #: whether all other jobs go first, so that a person never waits for this one
    long: ClassVar[bool] = False
    #: whether trainings also predict the images that they were made without
    out_of_subset: ClassVar[bool] = False

    workspace: str
    recipe: str
    hash: str | None = None
    model: str | None = None

    def __post_init__(self):
        limits.check_numbers({field.name: getattr(self, field.name) for field in fields(self)})

    # -- what a subclass says

    def describe(self) -> str:
        """One line for people: what the job is."""
        raise NotImplementedError

    @property
    def total(self) -> int:
        """How many searches the job has: what its progress counts."""
        return 1

    def searches(self, workspace: Workspace, store: ResultStore) -> Iterator[Search]:
        """The searches that together do the job, in the order they should be started.

        Each starts from the beginning after any stop: what was already trained is answered from the store.
        """
        raise NotImplementedError

    def cost(self, workspace: Workspace, store: ResultStore) -> JobCost | StudyCost:
        """What the job costs before it is run, less what is known already."""
        raise NotImplementedError

    def answer(self, workspace: Workspace, store: ResultStore) -> dict | None:
        """What is known of the question, JSON-serialisable; None where nothing is, or only the trainings matter."""
        return None

    def keep(self, store: ResultStore, answer: dict) -> None:
        """Stores what a worker answered to this spec as a whole, where that is worth keeping though nobody waits for it
        any more."""

    # -- as JSON

    def to_json(self) -> dict:
        """The spec as it is stored."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}
        return {"workspace": self.workspace, "recipe": self.recipe, "verb": self.verb, **given}

    @classmethod
    def from_json(cls, data: Mapping) -> Self:
        """The spec of a stored job. Raises UserError for keys that this version does not know, and for missing ones."""
        names = {field.name for field in fields(cls)}
        required = {field.name for field in fields(cls) if field.default is MISSING}
        given = {name: data[name] for name in data if name != "verb"}
        if wrong := sorted(given.keys() - names) or sorted(required - given.keys()):
            raise UserError(
                f"this Lineup cannot read {', '.join(wrong)} of a job {cls.verb!r}; use the one that queued it"
            )
        return cls(**given)

    @classmethod
    def matches(cls, data: Mapping) -> bool:
        """Whether a stored spec is of this kind of job."""
        return data["verb"] == cls.verb

    def __getitem__(self, name: str):
        return self.to_json()[name]

    def __iter__(self):
        return iter(self.to_json())

    def __len__(self):
        return len(self.to_json())

    # -- its stored answer

    @property
    def recipe_hash(self) -> str:
        """The hash that results and answers are stored under."""
        return self.hash or all_recipes.get_recipe(self.recipe).hash

    def question(self) -> dict:
        """What is asked, without where and under which recipe: the key of the stored answer."""
        return {name: value for name, value in self.to_json().items() if name not in ("workspace", "recipe", "hash")}

    def save_answer(self, store: ResultStore, answer: dict) -> None:
        """Stores the answer to the question."""
        store.put_answer(self.recipe_hash, self.question(), answer)

    def load_answer(self, store: ResultStore) -> dict | None:
        """The stored answer to the question with `created`, seconds since 1970; or None."""
        return store.answer(self.recipe_hash, self.question())


@dataclass(frozen=True, kw_only=True, eq=False)
class FixedSpec(Spec):
    """A job whose trainings are known before the first one is made."""

    def trainings(self, workspace: Workspace) -> Iterable[Training]:
        """All trainings of the job, in the order they should be started."""
        raise NotImplementedError

    def searches(self, workspace: Workspace, store: ResultStore) -> Iterator[Search]:
        """As `Spec.searches`."""
        for training in self.trainings(workspace):
            yield request([training])

    def training_keys(self, workspace: Workspace, store: ResultStore) -> set[str]:
        """The keys of its trainings in the store."""
        recipe = self.recipe_hash
        return {store.key(recipe, edit, seed) for edit, seed in self.trainings(workspace)}

    def missing(self, workspace: Workspace, store: ResultStore) -> int:
        """How many of its trainings are still to be made."""
        return self._count_missing(workspace, store, self.training_keys(workspace, store))

    def _count_missing(self, workspace: Workspace, store: ResultStore, keys: set[str]) -> int:
        """How many of these are to be made; keys: of its trainings."""
        return sum(store.get(key) is None for key in keys)

    def cost(self, workspace: Workspace, store: ResultStore) -> JobCost:
        """As `Spec.cost`."""
        keys = self.training_keys(workspace, store)
        known = len(keys) - self._count_missing(workspace, store, keys)
        return cost_of(workspace, store, self.recipe_hash, len(keys), len(keys), known)


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredSpec(FixedSpec):
    """A job that stores what it measures on all of its trainings, once they are made."""

    def measure(self, workspace: Workspace, trainings: list[Training], results: list[Retraining]) -> dict:
        """The answer, JSON-serialisable. results: of `trainings`, in their order."""
        raise NotImplementedError

    def searches(self, workspace: Workspace, store: ResultStore) -> Iterator[Search]:
        """As `Spec.searches`."""
        trainings = list(self.trainings(workspace))
        for training in trainings:
            yield request([training])
        yield self._measure_all(workspace, store, trainings)

    def _measure_all(self, workspace, store, trainings) -> Search:
        results = yield trainings
        self.save_answer(store, self.measure(workspace, trainings, results))


def needed_seeds(workspace: Workspace, recipe: str | None, seeds: Iterable[int]) -> list[int]:
    """Those of `seeds` that say something new: the first alone where the recipe is deterministic (by name, that of the
    model looked at if not given)."""
    seeds = [int(seed) for seed in seeds]
    return seeds[:1] if workspace.get_recipe(recipe).deterministic else seeds


def request(trainings: list[Training]) -> Search:
    """The search that asks for these trainings at once, and returns their results."""
    return (yield trainings)


def common_fields(workspace: Workspace, recipe: str | None = None) -> dict:
    """The fields that every spec has. recipe: by name, that of the model looked at if not given. Raises UserError for
    an unknown one, and for one that cannot train."""
    found = workspace.get_recipe(recipe)
    if found.problem:
        raise UserError(found.problem)
    is_plain = found.kind == "built in" and found.hash == all_recipes.get_recipe(found.name).hash
    version = {} if is_plain else {"hash": found.hash}  # what the name alone does not say
    model = {"model": workspace.model} if workspace.model else {}
    return {"workspace": str(Path(workspace.path).resolve()), "recipe": found.name, **version, **model}
