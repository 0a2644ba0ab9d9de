"""Questions beyond the one support: disjoint supports, pruning, and models of another recipe. Their specs, for
`attribution.jobs.submit`, and the answers that need putting together."""

from attribution import disjoint, prune
from attribution.errors import UserError
from attribution.jobs import SEEDS, UNEDITED_SEEDS, common, support_spec


def disjoint_spec(workspace, count: int = disjoint.MOST, **asked) -> dict:
    """Find up to `count` supports of one target that share no image. asked: as `support_spec`, which raises."""
    if not 2 <= count <= disjoint.MOST:
        raise UserError(f"disjoint supports are 2 to {disjoint.MOST}, not {count}; leave it out for the one support")
    return support_spec(workspace, **asked) | {"verb": "disjoint", "count": int(count)}


def disjoint_answer(workspace, store, spec: dict) -> dict:
    """What is known of a disjoint spec, JSON: {"target", "ranking", "kind", "protocol", "k_max", "count", "supports":
    [an answer a support, as `support` gives it], "trainings", "complete"}."""
    found = [answer for _, answer in disjoint.chain(workspace, store, spec)]
    done = [answer for answer in found if answer is not None]
    shown = {name: spec[name] for name in ("target", "ranking", "kind", "protocol", "k_max", "count")}
    return shown | {"supports": done, "trainings": sum(one["trainings"] for one in done), "complete": done == found}


def prune_spec(workspace, ranking: str, shares=prune.SHARES, seeds=SEEDS, recipe: str | None = None) -> dict:
    """Train without the least influential shares (whole percents) of the training images, beside random ones. Raises
    UserError for a ranking that says too little, and for shares or seeds that cannot be."""
    prune.check(workspace, ranking, shares)
    if not len(seeds):
        raise UserError("give at least one seed")
    return {
        **common(workspace, recipe),
        "verb": "prune",
        "ranking": ranking,
        "shares": sorted({int(share) for share in shares}),
        "seeds": [int(s) for s in seeds],
    }


def unedited_spec(workspace, recipe: str) -> dict:
    """Train on the images as they are under another recipe, as base models are: see `attribution.transfer`."""
    return {**common(workspace, recipe), "verb": "unedited", "seeds": UNEDITED_SEEDS}
