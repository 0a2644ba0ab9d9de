"""What several charts are put together from: mark_series, axes of names, and the parts of a caption."""

from attribution.export.charts.base import Series
from attribution.workspace.workspace import Workspace


def mark_series(name: str, points: list[tuple], colour: str, marker: str, ci: str = "x_ci", **options) -> Series:
    """points: (x, y, interval, description); ci: the axis of the interval."""
    xs, ys, intervals, descriptions = map(list, zip(*points)) if points else ([], [], [], [])
    options |= {ci: intervals, "descriptions": descriptions}
    return Series(name, xs, ys, colour, None, marker, **options)


def names_axis(names) -> dict:
    """A panel's y axis with a line for each name, the first on top."""
    return {"y_range": (len(names) - 0.5, -0.5), "y_ticks": {float(i): name for i, name in enumerate(names)}}


def recipe_caption(workspace: Workspace) -> str:
    """The data set and the recipe."""
    planted = f", {workspace.planted} planted errors among the labels" if workspace.planted else ""
    return (
        f"{workspace.name}: {workspace.manifest['dataset']['name']}, {workspace.n_train:,} training images{planted}"
        f"; recipe {workspace.recipe} {workspace.get_recipe().hash}"
    )


def provenance_caption(workspace: Workspace, part: str) -> str:
    """When and by which command a part was made."""
    provenance = workspace.manifest["parts"].get(part, {})
    return f"made {provenance.get('made', 'on an unknown day')} by {provenance.get('command', 'an unknown command')}"


def halves_caption(answer: dict, n_targets: int) -> str:
    """What LDS was measured on. answer: has "masks" and "seeds"."""
    return (
        f"{n_targets:,} targets, {answer['masks']} held-out halves with {answer['seeds']} seeds each; 95 % intervals "
        "over halves and targets"
    )
