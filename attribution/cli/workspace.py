"""Commands about workspaces of your own: workspace create, carry-over, poison, locate, remove."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from attribution import data
from attribution.cli import (
    JsonOption,
    WorkspaceOption,
    fraction_option,
    print_answer,
    print_line,
    recipe_name,
    user_name,
    whole_option,
    with_progress,
)
from attribution.errors import UserError
from attribution.inputs import limits
from attribution.workspace import copies
from attribution.workspace.workspace import DEMO, Workspace

MAX_NAMED = 10  # of what was left out
REMOVABLE = ("rankings", "features", "detectors", "truth")  # kinds of parts that may be taken out again


def workspace_create(
    path: Path,
    dataset: Annotated[
        str, typer.Option(help=f"{', '.join(data.NAMES)}, or FILE:FUNCTION, which returns torch datasets.")
    ],
    root: Annotated[
        Path | None, typer.Option(help="Where the data set is; else it is downloaded where that is possible.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="For people; else the folder's name.")] = None,
    skip_corrupt: Annotated[bool, typer.Option("--skip-corrupt", help="Leave corrupt images out.")] = False,
    side: Annotated[
        int | None,
        whole_option(
            "--side",
            8,
            512,
            "Side in pixels that images are resized to, but those of CIFAR and Fashion-MNIST: 8 to 512. If not given, "
            "images of one size up to 64 stay as they are, others become 64 x 64.",
        ),
    ] = None,
    val_share: Annotated[
        float | None,
        fraction_option("--val-share", 0, 1, "Share that is held back where there are no validation images: 0.1."),
    ] = None,
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="Read images by links, and by paths, that lead out of the folder."),
    ] = False,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", parser=recipe_name, metavar="NAME|FILE:CLASS", help="What trains on it: see `recipe list`."
        ),
    ] = "demo-cnn",
    as_json: JsonOption = False,
):
    """A new workspace of your images. They are read where they are, and copied only where that cannot be."""
    from attribution.workspace.create import create, earlier_workspaces

    options = {"skip_corrupt": skip_corrupt, "side": side, "val_share": val_share, "follow_links": follow_links}
    ws = with_progress(create, path, dataset, root, name=name, recipe=recipe, **options)
    made = ws.manifest["parts"]["data"]
    skipped, notes = made.get("skipped", []), made.get("notes", [])
    rankings = [part.split("/")[1] for part in ws.manifest["parts"] if part.startswith("rankings/")]
    left_out = f", {len(skipped)} left out" if skipped else ""
    lines = [
        f"{ws.name}: {ws.n_train:,} training and {ws.n_val:,} validation images, {len(ws.classes)} classes{left_out}"
    ]
    lines += [*notes, *(f"left out: {line}" for line in skipped[:MAX_NAMED])]
    if len(skipped) > MAX_NAMED:
        lines.append(f"left out: {len(skipped) - MAX_NAMED:,} more, see --json or workspace.json")
    if resized := data.resizing(ws.manifest["dataset"]):
        lines.append(resized + ("" if side else "; --side chooses another size"))
    if read_as := data.depth(ws.manifest["dataset"]):
        lines.append(read_as)
    if rankings:
        lines.append(f"with it come the rankings {', '.join(rankings)}")
    exact = copies.load(ws)["exact"]
    if exact["pairs"]:
        lines.append(f"{copies.exact_text(ws, exact)}; see them: duplicates --between train-val, or Data & jobs")
    earlier = earlier_workspaces(ws)
    for other in earlier:
        lines.append(
            f"{other.path} was created from this folder, and its images or labels were others: it is another data set, "
            "whose results stay with it. Carry over what was decided about images that are the same with: python -m "
            f"attribution workspace carry-over {shlex.quote(str(other.path))} --workspace {shlex.quote(str(path))}"
        )
    answer = {
        "workspace": ws.name,
        "path": str(path),
        "n_train": ws.n_train,
        "n_val": ws.n_val,
        "classes": ws.classes,
        "fingerprint": ws.fingerprint,
        "skipped": skipped,
        "notes": notes,
        "rankings": rankings,
        "images": data.images_json(ws.manifest["dataset"]),
        "exact_copies": {name: exact[name] for name in ("images", "pairs")},
        "earlier": [str(other.path) for other in earlier],
    }
    see_it = f"see it: python -m attribution.serve --workspace {shlex.quote(str(path))}"
    print_answer(as_json, answer, *lines, see_it)


def workspace_poison(
    path: Path,
    label: Annotated[
        str, typer.Option("--class", help="What the poisoned images are labelled as: a class's name or number.")
    ],
    n: Annotated[int, whole_option("--n", 1, limits.MAX_IMAGES, "Training images of other classes to poison.")] = 100,
    targets: Annotated[
        int, whole_option("--targets", 1, limits.MAX_IMAGES, "Validation images to add with the patch.")
    ] = 200,
    side: Annotated[int, whole_option("--side", 1, limits.MAX_IMAGES, "Pixels of the patch's side.")] = 4,
    seed: Annotated[int, whole_option("--seed", 0, limits.MAX_SEED, "Draws the images.")] = 0,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """A copy of a workspace with a backdoor in it: can rankings find the poisoned images?"""
    from attribution.evaluation.poison import create_poisoned_copy

    poisoned = create_poisoned_copy(ws, path, _parse_class(ws, label), n, targets, side, seed)
    provenance = poisoned.manifest["parts"]["data"]["poison"]
    print_answer(
        as_json,
        {"workspace": poisoned.name, "path": str(path), **provenance},
        f"{poisoned.name}: {n} training images of other classes carry a patch and the label "
        f"{ws.classes[provenance['class']]}; {targets} triggered validation images come last, from {ws.n_val}. Next, "
        f"with --workspace {shlex.quote(str(path))}: base train, features train, rankings build trak, evaluate "
        "backdoor",
    )


def workspace_carry_over(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The earlier workspace.")],
    who: Annotated[str | None, typer.Option(help="In whose name; yours if not given.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Carry over what was decided about labels in another workspace, for images that are the same in both."""
    from attribution.audit.carry_over import carry_over

    earlier = Workspace.open(path)
    answer = with_progress(carry_over, earlier, ws, user_name() if who is None else who)
    lines = [
        f"{answer['imported']:,} decisions of {earlier.name} carried over to {ws.name}; {answer['same']:,} stood "
        f"already, {answer['changed']:,} are about images that are not the same here, {answer['unknown']:,} name a "
        f"class that is not here, {answer['skipped']:,} were in conflict"
    ]
    if answer["conflicts"]:
        lines.append(f"{answer['conflicts']:,} differ from what was decided here; settle them in Clean labels")
    print_answer(as_json, answer, *lines)


def workspace_locate(
    root: Annotated[Path, typer.Option(help="The data set's folder on this machine.")], ws: WorkspaceOption = DEMO
):
    """Set where on this machine the images of a workspace are."""
    from attribution.workspace.create import locate_images

    locate_images(ws, root)
    print_line(f"the images of {ws.name} are read from {root}")


def workspace_remove(
    part: Annotated[str, typer.Argument(help="Such as rankings/my-scores or features/my-features.")],
    ws: WorkspaceOption = DEMO,
):
    """Take out a ranking, a feature set, a detector or the true labels that were added."""
    if part not in ws.manifest["parts"] or part.split("/")[0] not in REMOVABLE:
        removable = [name for name in ws.manifest["parts"] if name.split("/")[0] in REMOVABLE]
        raise UserError(f"no part {part!r} in {ws.name}; there is {', '.join(removable)}")
    ws.remove_part(part)
    print_line(f"{part} is no longer in {ws.name}")


def _parse_class(ws: Workspace, text: str) -> int:
    """The number of a class, from it or from its name. Raises UserError for any other text."""
    if text in ws.classes:
        return ws.classes.index(text)
    number = limits.read_whole(text)
    if number is not None and 0 <= number < len(ws.classes):
        return number
    raise UserError(f"no class {text!r} in {ws.name}; it has {', '.join(ws.classes)}")
