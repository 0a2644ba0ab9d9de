"""A workspace as a notebook has it, and the two functions that open and create one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from attribution.builds.halves import load_held_out_halves
from attribution.data import objects
from attribution.errors import UserError
from attribution.evaluation import lds_report
from attribution.experiments import jobs, support_search, support_table
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.spec import SEEDS, Spec
from attribution.experiments.support import support_spec
from attribution.explore.lineup import lineup_rows
from attribution.explore.opening_target import opening_target
from attribution.export.numbers import estimate, number, percent, score
from attribution.export.tables import to_html
from attribution.files import user_path
from attribution.importing.formats import DataSetSizes
from attribution.importing.importing import import_ranking
from attribution.notebook import frame
from attribution.notebook.answers import Answer, Lineup, TopImages
from attribution.notebook.progress import Progress
from attribution.notebook.scores import NamedScores, in_notebook_words, read_scores
from attribution.notebook.server import Server, no_server_reason, running_server, start_server
from attribution.rankings import default_rankings
from attribution.rankings.base import Ranking
from attribution.training import own
from attribution.workspace import create as creation
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace

FIGURE_TILES = 10  # of a row, where nobody says how many
#: what is known of a search by its end, and what a person reads
OUTCOMES = {
    "flipped": "support {support}",
    "repaired": "support {support}",
    "unstable": "about {support}",
    "censored": "none up to {lo}",
    "already_wrong": "already wrong, nothing to flip",
    "already_right": "already right, nothing to repair",
}


def open(path: str | Path = DEMO, model: str | None = None) -> "OpenWorkspace":
    """Opens the workspace in the folder `path`; the bundled demo if it is not given. model: whose predictions it speaks
    about, by the recipe; the workspace's own if not given. Raises UserError where there is no workspace, or no such
    model.

    >>> ws = open()
    >>> ws.name, ws.top(44, "trak-10", k=3).ids.tolist()
    ('demo', [3786, 2338, 1833])
    """
    return OpenWorkspace(Workspace.open(user_path(path), model))


def create(
    path: str | Path,
    train=None,
    val=None,
    *,
    dataset: str | None = None,
    root: str | Path | None = None,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    recipe: str = "demo-cnn",
    side: int | None = None,
    val_share: float | None = None,
    skip_corrupt: bool = False,
    follow_links: bool = False,
) -> "OpenWorkspace":
    """Creates a workspace in the new folder `path`, of a data set in memory or of one on the disk.

    train, val, classes: as of `attribution.data.objects.from_objects`. dataset: the name of one that can be loaded,
    "image-folder" where only a root is given, with root and follow_links as of the command `workspace create`. Of both:
    side (in pixels), val_share (the share held back) and skip_corrupt (leave unreadable images out). recipe: what
    trains on it, a name or FILE:CLASS. Raises UserError where the data cannot be had or are not fit, and where `path`
    is not new.
    """
    if isinstance(train, str) and val is None:
        train, dataset = None, train
    if dataset is None and root is not None:
        dataset = "image-folder"
    if (train is None) == (dataset is None):
        raise UserError("a workspace is of images in memory or on the disk; give train and val, or dataset and root")
    if train is not None and (root is not None or follow_links):
        raise UserError("root and follow_links are of a data set on the disk; leave them out, or train and val")
    if dataset is not None and (val is not None or classes is not None):
        raise UserError("a data set on the disk has its own validation images and classes; leave val and classes out")
    options = {"side": side, "val_share": val_share, "skip_corrupt": skip_corrupt}
    name = name or Path(path).name
    with Progress() as progress:
        if train is not None:
            data_set = objects.from_objects(train, val, classes, name, progress, **options)
            made = creation.create(path, data_set, name=name, recipe=_recipe(recipe))
        else:
            options |= {"follow_links": follow_links, "name": name, "recipe": _recipe(recipe), "progress": progress}
            made = in_notebook_words(creation.create, path, dataset, root, **options)
    return OpenWorkspace(made)


class OpenWorkspace:
    """An opened workspace; `workspace` is the library's, with images, labels, features and predictions.

    What it says about predictions, it says about one model: see `attribution.open`.
    """

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    @property
    def name(self) -> str:
        """What it is called."""
        return self.workspace.name

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.workspace.path

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self._facts().items())

    def _repr_html_(self) -> str:
        return to_html(["", ""], self._facts().items())

    def _facts(self) -> dict[str, str]:
        ws = self.workspace
        facts = {
            "workspace": ws.name,
            "images": f"{ws.n_train:,} training, {ws.n_val:,} validation, {len(ws.classes)} classes",
            "rankings": ", ".join(ws.rankings()),
            "models": ", ".join(ws.models()) or "none yet",
            "folder": str(ws.path),
        }
        server = self.server
        return facts | ({"server": server.address} if server else {})

    # -- what is known

    def rankings(self) -> list[str]:
        """The names of its rankings."""
        return self.workspace.rankings()

    def ranking(self, name: str) -> Ranking:
        """The ranking `name`. Raises UserError for an unknown one."""
        return self.workspace.ranking(name)

    def top(
        self, target: int, ranking: str, k: int = 10, *, end: str = "helpful", candidates: str | None = None
    ) -> TopImages:
        """The first k training images of a ranking for a target. end, candidates, and what is raised: as of
        `attribution.rankings.base.Ranking.top`."""
        top = self.workspace.ranking(ranking).top(target, k, candidates, end)
        return TopImages(self.workspace, int(target), ranking, end, candidates, top.ids, top.scores)

    def lineup(
        self,
        target: int,
        rankings: str | Sequence[str] | None = None,
        n: int = FIGURE_TILES,
        *,
        k: int | None = None,
        end: str = "helpful",
        explain: str = "true",
        candidates: str | None = None,
    ) -> Lineup:
        """The lineup of a target: n training images of each ranking, those that a page opens with if none are named. k:
        where the cut is drawn. end: "helpful", "harmful" or "both"; explain, candidates, and what is raised: as of
        `attribution.explore.lineup.lineup_rows`."""
        asked = [rankings] if isinstance(rankings, str) else list(rankings or default_rankings(self.workspace))
        rows = lineup_rows(self.workspace, target, asked, n, end, explain, candidates)
        return Lineup(self.workspace, int(target), rows, k)

    def figure(self, target: int, path: str | Path | None = None, **options) -> Image.Image | Path:
        """The lineup of a target as a picture of Pillow's, which a notebook shows; or the path of a file that it is
        written to: .png, .svg, .pdf, or .csv for the table behind it. options: as of `lineup`."""
        lineup = self.lineup(target, **options)
        return lineup.image() if path is None else lineup.save(path)

    def trust(
        self,
        target: int,
        rankings: str | Sequence[str] | None = None,
        *,
        end: str = "helpful",
        candidates: str | None = None,
    ) -> Answer:
        """How far a target's rows can be trusted, those that a page opens with if none are named, by what is stored:
        what `evaluate trust --target --json` prints. Raises UserError as `attribution.evaluation.trust`."""
        from attribution.evaluation import trust
        from attribution.store.results import ResultStore

        asked = [rankings] if isinstance(rankings, str) else list(rankings or default_rankings(self.workspace))
        with ResultStore.for_workspace(self.workspace) as store:
            rows = trust.rows_of_target(self.workspace, store, target, asked, end, candidates)
        shown = [{"ranking": row.ranking, "": row.sentence} for row in rows]
        return Answer(trust.target_report(target, rows), f"the first images for validation image {target}", shown)

    # -- what is trained

    def retrain(
        self,
        target: int,
        ranking: str | None = None,
        k: int | None = None,
        *,
        ids: Sequence[int] | None = None,
        kind: str = "remove",
        end: str = "helpful",
        seeds: int | Sequence[int] = len(SEEDS),
        draws: int | None = None,
        recipe: str | None = None,
    ) -> Answer:
        """Retrains without the first k images of a ranking, or without the images `ids`, and waits for it.

        Beside it: as many trainings with nothing removed, and `draws` times (once, under a head 20 times) without as
        many random images of the same classes. kind: "remove", or "mislabel" for wrong labels on them. end: "harmful"
        takes the most harmful images. seeds: how many trainings an edit, or which. recipe: a name or FILE:CLASS; the
        model's if not given. Returns what `retrain --json` prints. What was trained before is not trained again. Raises
        UserError for a question that does not fit the workspace, and where it cannot be trained.
        """
        if (ranking is None) == (ids is None) or (ranking is None) != (k is None):
            raise UserError("say which images: a ranking with k, or ids without both")
        seeds = range(seeds) if isinstance(seeds, int) else list(seeds)
        options = {"end": end, "recipe": recipe and _recipe(recipe)}
        spec = retrain_spec(self.workspace, target, ranking, kind, k or 0, seeds, draws, ids, **options)
        answer = self._answered(spec)
        controls = answer["controls"]
        rows = [
            ("the edit", answer),
            ("random, same classes", controls["random"]),
            ("nothing removed", controls["none"]),
        ]
        shown = [{"": name, "wrong": f"{row['wrong']} of {row['of']}"} for name, row in rows if row["of"]]
        return Answer(answer, f"{spec.describe()}, recipe {answer['recipe']}", shown)

    def find_support(
        self,
        target: int,
        ranking: str,
        kind: str = "remove",
        *,
        protocol: str | None = None,
        k_max: int = support_search.DEFAULT_K_MAX,
        recipe: str | None = None,
    ) -> Answer:
        """Searches the fewest first images of a ranking whose removal flips a target, and waits for it.

        kind: "remove", "mislabel" or "repair". protocol: "default", "adaptive" or "paper"; as the command `support`
        chooses if not given. k_max: where it gives up. recipe: a name or FILE:CLASS; the model's if not given. Returns
        what `support --json` prints. Raises UserError as `retrain`.
        """
        spec = support_spec(
            self.workspace,
            target,
            ranking,
            kind,
            protocol or support_table.default_protocol(self.workspace),
            k_max,
            recipe=recipe and _recipe(recipe),
        )
        answer = {"recipe": spec.recipe, **self._answered(spec)}
        found = OUTCOMES[answer["status"]].format(**answer)
        shown = [
            {
                "k": probe["k"],
                "wrong": f"{probe['wrong']} of {len(probe['seeds'])}",
                "margin": "" if probe["margin"] is None else score(probe["margin"]),
            }
            for probe in answer["trace"]
        ]
        title = f"target {spec.target}, {ranking}, {kind}: {found}, {answer['trainings']} trainings"
        return Answer(answer, title, shown)

    def _answered(self, spec: Spec) -> dict:
        def run() -> None:
            with Progress() as progress:
                jobs.run_job(self.workspace, spec, progress)

        return jobs.answered(self.workspace, spec, run)

    # -- what is added

    def add_scores(
        self,
        scores,
        *,
        sign: str | Mapping[str, str] | None = None,
        orientation: str | Mapping[str, str] | None = None,
        force: bool = False,
    ) -> list[str]:
        """Imports scores as rankings, checked, says how they fit, and returns their names. A ranking of such a name is
        replaced.

        scores, sign, orientation: as of `attribution.notebook.scores.read_scores`. force: keeps them although they do
        not pass the alignment check. Raises UserError as that and `attribution.importing.importing.import_ranking` do.
        """
        ws = self.workspace
        named = read_scores(scores, DataSetSizes(ws.train_labels, ws.val_labels), sign, orientation)
        with Progress() as progress:
            for one in named:
                import_scores(ws, one, force, progress)
        for one in named:
            print(import_text(ws, one.name))
        return [one.name for one in named]

    # -- the dashboard

    @property
    def server(self) -> Server | None:
        """The server of this workspace, where `show` has started one that still runs."""
        return running_server(self.path)

    def show(
        self,
        target: int | None = None,
        rankings: Sequence[str] | None = None,
        *,
        port: int | None = None,
        height: int = 900,
        serve: bool = True,
    ) -> None:
        """Shows the dashboard: in a notebook in a frame, `height` pixels high, elsewhere by its address.

        The server is started in the background, at `port` or any that is free, and ends with `stop` or with this
        process. Where none may run, or serve is False, the lineup of the target is shown as a picture. target: the one
        that it opens with; rankings: its rows. Nothing is trained. Raises UserError for a port that cannot be had.
        """
        ws = self.workspace
        target = self._opening_target() if target is None else ws.check_target(target)
        lineup = self.lineup(target, rankings)
        reason, server = (no_server_reason() if serve else "none was asked for"), None
        if reason is None:
            try:
                server = in_notebook_words(start_server, self.path, port)
            except UserError as error:
                if port is not None:
                    raise
                reason = str(error)
        if server is not None:
            query = {"target": target, "rankings": rankings or [], **({"model": ws.model} if ws.model else {})}
            print(
                f"Lineup is at {server.link(query)} (this link works once, within ten minutes; link() gives another, "
                "stop() ends the server)"
            )
        if (shell := frame.kernel_shell()) is not None:
            content = frame.frame_html(server, query, lineup.png(), lineup.one_line(), height) if server else None
            html = content or frame.picture_html(lineup.png(), lineup.one_line())
            shell.display_pub.publish({"text/html": html, "text/plain": repr(lineup)})
        if reason is not None:
            print(f"No server is started: {reason}. lineup({target}) is what the page would open with.")

    def link(self) -> str:
        """An address of the running dashboard that lets a browser in once, within ten minutes. Raises UserError where
        no server runs."""
        if self.server is None:
            raise UserError(f"no server of {self.name} runs; show() starts one")
        return self.server.link()

    def wait(self) -> None:
        """Returns when the server has ended; Ctrl-C ends it. For scripts, at whose end the server ends."""
        if self.server is not None:
            self.server.wait()

    def stop(self) -> None:
        """Ends the server, if there is one."""
        if self.server is not None:
            self.server.stop()

    def _opening_target(self) -> int:
        """As the pages have it, else the first that the models get wrong, else the first."""
        ws = self.workspace
        if first := opening_target(ws):
            return first.target
        wrong = (ws.base.prediction != ws.val_labels).nonzero()[0] if ws.has_base else ()
        return int(wrong[0]) if len(wrong) else 0


def import_scores(ws: Workspace, scores: NamedScores, force: bool, progress) -> dict:
    """Imports scores into a workspace, and returns their provenance. Raises UserError as `import_ranking`."""
    made = {**command_provenance("import"), "command": "attribution.show", "values": scores.digest}
    return in_notebook_words(
        import_ranking, ws, scores.ranking, scores.name, provenance=made, force=force, progress=progress
    )


def import_text(ws: Workspace, name: str) -> str:
    """What is known of imported scores: how the alignment check went, and the LDS where there are halves."""
    made = ws.manifest["parts"][f"rankings/{name}"]
    alignment = made["alignment"]
    text = (
        f"{name}: its first training image has the target's class for {percent(alignment['top1_same_class'])} of "
        f"{alignment['n']:,} targets (chance {percent(alignment['chance'])})"
    ) + (f"; warning: {alignment['warning']}" if alignment["warning"] else "")
    try:
        load_held_out_halves(ws)
    except UserError:  # most workspaces have none, and nothing is trained for a look
        return text
    try:
        report = lds_report.compute(ws, [name])
        row = report["rankings"][name]
        text += (
            f"; LDS {estimate(row['lds'], row['ci'])} on {report['masks']} halves x {report['seeds']} seeds, noise "
            f"ceiling {number(report['ceiling'])}"
        )
    except UserError as error:
        text += f"; no LDS: {error}"
    return text


def _recipe(text: str) -> str:
    """The name of the recipe that `text` says: a name, or FILE:CLASS, which is then added to this machine's recipes."""
    return own.add(text).name if own.is_place(text) else text
