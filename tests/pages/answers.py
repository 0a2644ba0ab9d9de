"""Stored retrainings that answer a job, without a runner."""

import numpy as np

from attribution.training import recipes


def put(ws, store, edit, seed, predicted):
    """Stores the retraining of one edit and seed: `predicted` is the class of all validation images, or of each."""
    store.put(
        recipes.get_recipe(ws.recipe).hash,
        edit,
        seed,
        seconds=1.0,
        device="cpu",
        library="x",
        threads=1,
        predicted=np.full(ws.n_val, predicted),
        margins=np.full(ws.n_val, 0.5),
    )


def retrained(ws, store, spec, right, wrong, parts=()):
    """Fills in all that a retrain spec needs: images are read as class `wrong` in the `parts` named, else `right`."""
    for part, edits in spec.edits(ws).items():
        for edit in edits:
            for seed in spec["seeds"]:
                put(ws, store, edit, seed, wrong if part in parts else right)


def answered(ws, store, spec, predict):
    """Does a job: `predict(edit, seed)` is what every validation image is read as."""
    recipe = recipes.get_recipe(ws.recipe).hash
    for search in spec.searches(ws, store):
        answer = None
        while True:
            try:
                wanted = search.send(answer)
            except StopIteration:
                break
            for edit, seed in wanted:
                put(ws, store, edit, seed, predict(edit, seed))
            answer = [store.get(store.key(recipe, edit, seed)) for edit, seed in wanted]
