"""Disjoint supports: without the images of the first support, is there a second set that decides the prediction?

Each search goes over the same ranking and passes over the images of the supports before it; the training set is whole
again each time. Where one is censored, the ranking holds no further set up to K, and the chain ends. An unstable
support counts with the images it was measured at.
"""

import numpy as np

from attribution import supports
from attribution.probes import steps

MOST = 3


def chain(workspace, store, spec: dict) -> list[tuple[dict, dict | None]]:
    """The searches of a disjoint spec as far as they are decided, [(support spec, its answer)], at least one and at
    most spec["count"]; the last answer is None while that search is still to be done."""
    found, without = [], []
    asked = {name: value for name, value in spec.items() if name != "count"} | {"verb": "support"}
    while len(found) < spec["count"]:
        one = asked | ({"without": sorted(without)} if without else {})
        answer = supports.answer(workspace, store, one)
        found.append((one, answer))
        if answer is None or answer["support"] is None:
            break
        without += np.concatenate(steps(workspace, one)[: answer["support"]]).tolist()
    return found
