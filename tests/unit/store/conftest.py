"""A store of its own for each test, and a way to save a retraining in it."""

import pytest

from attribution.store.results import ResultStore
from attribution.training.edits import remove

RUN = {"seconds": 1.5, "device": "cpu", "library": "torch", "threads": 1}


@pytest.fixture
def store(tmp_path):
    store = ResultStore(tmp_path / "store", "f" * 64)
    yield store
    store.close()


@pytest.fixture
def put():
    """put(store, ...) saves a retraining and returns whether it is new."""

    def save(store, edit=None, seed=0, recipe="r", predicted=(1, 2), margins=(0.5, -1.25), **more):
        return store.put(recipe, edit or remove([3, 1]), seed, predicted=predicted, margins=margins, **RUN | more)

    return save
