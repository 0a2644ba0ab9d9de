"""Verbs about detectors of mislabeled training images: detectors build, detectors list."""

from typing import Annotated

import typer

from attribution.audit import detectors
from attribution.cli import JsonOption, ProgressBar, WorkspaceOption, add_group, print_json, print_table, split_names
from attribution.errors import UserError
from attribution.workspace.workspace import DEMO

detectors_app = add_group("detectors", "Detectors of mislabeled training images: build, list.")


@detectors_app.command("build")
def detectors_build(
    names: Annotated[
        str | None, typer.Argument(help="Names, with commas; if not given all that can be had and are not there yet.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Compute detectors and store them. Where no models are known that did not see the images, eight half-models are
    trained first; trainings that were done are not repeated."""
    if names is not None and not split_names(names):
        raise UserError("no detector is named; give names with commas between, or none for all")
    with ProgressBar() as progress:
        built = detectors.build_detectors(ws, split_names(names) if names is not None else None, progress)
    if as_json:
        return print_json({"workspace": ws.name, "detectors": built})
    if not built:
        print(f"every detector that {ws.name} can have is there")
    for name, about in built.items():
        print(f"{name}: {about['about']}")


@detectors_app.command("list")
def detectors_list(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """The stored detectors, and those that can be built or why not."""
    rows = []
    for name in detectors.names(ws):
        one = detectors.load(ws, name)
        rows.append(
            {
                "name": name,
                "family": one.family,
                "built": True,
                "about": one.description,
                "uses_val": one.uses_val,
                "suggests": one.suggestion is not None,
                "needs": "",
            }
        )
    known = {row["name"] for row in rows}
    rows += [
        {
            "name": name,
            "family": None,
            "built": False,
            "about": None,
            "uses_val": None,
            "suggests": None,
            "needs": needs,
        }
        for name, needs in detectors.available(ws).items()
        if name not in known
    ]
    if as_json:
        return print_json({"detectors": rows})
    print_table(
        "",
        [
            {
                "detector": row["name"],
                "family": row["family"],
                "": row["about"] or row["needs"] or "can be built",
                "reads validation images": {True: "the first half", False: "no"}.get(row["uses_val"]),
            }
            for row in rows
        ],
    )
