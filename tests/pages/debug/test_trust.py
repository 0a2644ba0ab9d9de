"""How far rows can be trusted, as Debug says it: the mark of each row, and the panel of what it rests on."""

import numpy as np
import pytest

from attribution import Workspace
from attribution.builds import firsts
from attribution.evaluation import trust as evaluation
from attribution.experiments.retrain import retrain_spec
from attribution.explore.lineup import lineup_rows
from pages.debug import lineup_view, trust
from tests.pages.page import commands, html, open_page, texts


@pytest.fixture
def kept(ws):
    """Two models of trak-10 that share 15 of their first 20."""
    one = -np.tile(np.arange(60, dtype=np.float32), (12, 1))
    models = [lambda start, stop, by=by: np.roll(one, by, axis=1)[start:stop] for by in (0, 5)]
    firsts.save(ws, firsts.compute("trak-10", 60, np.arange(12), models), {})
    return Workspace.open(ws.path)


def test_every_row_but_the_control_has_a_mark(kept):
    rows = lineup_rows(kept, 0, ["trak-10", "l2-moco", "random"], 20, "both")
    marks = trust.marks(kept, 0, rows)
    assert list(marks) == ["trak-10 helpful", "trak-10 harmful", "l2-moco helpful"]
    assert "15 of 20" in marks["trak-10 helpful"]["text"]
    assert marks["l2-moco helpful"] == {
        "level": "not_tested", "text": "not tested here", "details": "Not tested here."
    }  # fmt: skip


def test_the_mark_says_the_verdict(kept):
    """Chance gives 5.7 of 20 here, where a class has 20 images; 15 is beyond its range."""
    mark = trust.marks(kept, 3, lineup_rows(kept, 3, ["trak-10"], 20, candidates="all"))["trak-10 helpful"]
    said = evaluation.TrustMeter(kept).row(3, "trak-10", candidates="all")
    assert (mark["level"], mark["text"]) == (said.verdict, said.short)
    assert mark["details"] == f"{said.sentence[0].upper()}{said.sentence[1:]}."


def test_fewer_tiles_do_not_change_what_is_compared(kept):
    few, many = (trust.of_rows(kept, 0, lineup_rows(kept, 0, ["trak-10"], n)) for n in (6, 30))
    assert len(few["trak-10 helpful"].ids) == 20
    assert few["trak-10 helpful"].ids.tolist() == many["trak-10 helpful"].ids.tolist()


def test_what_cannot_be_read_leaves_the_rows_without_marks(kept):
    file = kept.folder("firsts/trak-10") / "ids.npy"
    file.write_bytes(b"x" * file.stat().st_size)
    assert trust.marks(Workspace.open(kept.path), 0, lineup_rows(kept, 0, ["trak-10"], 20)) == {}
    app = open_page("debug", target="0", rankings=["trak-10"], panel="trust")
    assert not app.exception and "ids.npy cannot be read" in texts(app)


def test_a_retraining_of_this_machine_is_read(ws, store, monkeypatch):
    asked = []
    monkeypatch.setattr(trust, "removals_of_target", lambda ws, store, target: asked.append(target))
    rows = {target: lineup_rows(ws, target, ["trak-10"], 20) for target in (3, 4)}
    trust.marks(ws, 3, rows[3])
    assert not asked
    spec = retrain_spec(ws, 3, "trak-10", "remove", 5, seeds=[0], draws=1)
    store.finish_job(store.add_job(spec, spec.describe()), "done")
    for target in (3, 4):
        trust.marks(ws, target, rows[target])
    assert asked == [3]


def test_the_strip_is_given_the_marks(kept):
    rows = lineup_rows(kept, 0, ["trak-10"], 6)
    places = {int(image): at for at, image in enumerate(rows[0].ids)}
    mark = {"level": "partly", "text": "7 of 20 between seeds", "details": "Rely on it in part."}
    data = lineup_view.strip_data(
        kept, 0, rows, {"url": "x", "width": 8, "height": 8}, places, k=4, shown=6, cut_max=128, chosen="trak-10",
        selected=None, supports={}, explain="true", scores=False, planted=None, scale=7,
        trust={"trak-10 helpful": mark}, present=False, ahead=None,
    )  # fmt: skip
    assert data["rows"][0]["trust"] == mark


def test_the_panel_has_the_numbers_and_the_reasons(kept):
    app = open_page("debug", target="0", rankings=["trak-10", "l2-moco"], panel="trust")
    said = html(app)
    assert not app.exception and "two of its models" in said and "15 of 20" in said and "it and l2-moco" in said
    assert "it has no seeds of its own" in said and "detectors build self-influence" in said
    assert "the largest self-influence" in texts(app)
    assert any("evaluate trust --target 0 --rankings trak-10,l2-moco" in line for line in commands(app))


def test_without_base_models_the_panel_is_there(tmp_path, monkeypatch):
    from tests import tiny

    monkeypatch.setenv("LINEUP_WORKSPACE", str(tiny.write(tmp_path / "tiny", base=False).path))
    app = open_page("debug", target="0", panel="trust")
    assert not app.exception and "Not tested here" in html(app)
