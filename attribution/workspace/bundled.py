"""Rankings of well-known data sets that come with Lineup, computed once on real images: `assets/results/<set>/`.

They are Lineup's own Parquet (see `formats.parquet`), named like the ranking, and the digest of the labels in it
tells where it belongs: a workspace of the same images in the same order, from whichever copy of the data set.
"""

from attribution.importing import importing
from attribution.importing.formats import Declaration, parquet
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace

RESULTS_FOLDER = DEMO.parent / "results"


def import_bundled(workspace: Workspace) -> None:
    """Imports the bundled rankings of the workspace's data set, if there are any."""
    import pyarrow.parquet as pq

    labels = parquet.labels_digest(workspace.train_labels, workspace.val_labels)
    for file in sorted(RESULTS_FOLDER.glob("*/*.parquet")):
        if parquet.schema_metadata(pq.read_schema(file)).get("labels") == labels:
            incoming = parquet.load(file, Declaration(), importing.data_set_sizes(workspace))
            made_for = incoming.provenance.get("origin", {}).get("made_for")
            importing.import_ranking(
                workspace,
                incoming,
                file.stem,
                provenance={
                    "format": "parquet",
                    "file": f"assets/results/{file.parent.name}/{file.name}",
                    "made_for": made_for,
                    **command_provenance("workspace create"),
                },
            )
