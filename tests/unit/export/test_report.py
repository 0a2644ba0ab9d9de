"""The report: one file that needs nothing else, says what is known, and lets no name become HTML."""

import json
from html.parser import HTMLParser

import pytest

from attribution import UserError, Workspace
from attribution.evaluation import agreement, candidate_sets
from attribution.experiments.retrain import retrain_spec
from attribution.explore.lineup import lineup_rows
from attribution.export import report, report_html
from attribution.store.results import ResultStore
from attribution.training import recipes
from tests import tiny
from tests.unit.evaluation.test_candidate_sets import give_halves

EVIL = '</title></style><script>alert("x")</script><img src=x onerror=alert(1)>'
VOID = {"meta", "img", "link", "br"}


def put(ws, store, target, ranking, k, predictions, unedited=None):
    """A single retraining that was asked for, its edit and the unedited control trained with seeds 0, 1, ..; unedited:
    what the control predicts, class 0 if not given."""
    spec = retrain_spec(ws, target, ranking, "remove", k, list(range(len(predictions))), 1)
    store.add_job(spec, spec.describe())
    edits = spec.edits(ws)
    unedited = unedited or [0] * len(predictions)
    for seed, predicted in enumerate(zip(predictions, unedited)):
        for edit, value, margin in zip((edits["edit"][0], edits["none"][0]), predicted, (-1.0, 2.0)):
            store.put(
                recipes.get_recipe(ws.recipe).hash,
                edit,
                seed,
                predicted=[value] * ws.n_val,
                margins=[margin] * ws.n_val,
                seconds=1.0,
                device="cpu",
                library="t",
                threads=1,
            )
    return spec


class Read(HTMLParser):
    """Tags with attributes, the text of each cell, and whether tags close in order."""

    def __init__(self, content: bytes):
        super().__init__()
        self.tags, self.open, self.rows, self.text = [], [], [], ""
        self.feed(content.decode())
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_it_needs_nothing_else(ws, store):
    read = Read(report.build_report(ws, store, 0))
    names = {tag for tag, _ in read.tags}
    assert not names & {"script", "link", "iframe", "object", "base", "form"}
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("data:image/png;base64,", "#"))
    (policy,) = (one["content"] for one in read.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "script-src" not in policy


def test_it_can_be_read_by_everyone(ws, store):
    content = report.build_report(ws, store, 0).decode()
    read = Read(content.encode())
    assert read.of("html") == [{"lang": "en"}]
    assert all(one.get("alt") for one in read.of("img")) and all(one.get("scope") for one in read.of("th"))
    assert all(one.get("aria-label") for one in read.of("svg"))
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert (
        "prefers-color-scheme: dark" in content and "@media print" in content and report_html.PLACEHOLDER not in content
    )


def test_every_name_is_escaped(ws, store):
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["name"] = manifest["dataset"]["name"] = EVIL
    manifest["dataset"]["classes"] = [EVIL, f"{EVIL}2", "\ud800 Dot"]
    manifest["parts"]["rankings/trak-10"] |= {
        "about": EVIL,
        "method": EVIL,
        "command": EVIL,
        "device": EVIL,
        "versions": {"python": EVIL},
    }
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    evil = Workspace.open(ws.path)
    put(evil, store, 0, "trak-10", 4, [2, 2, 2])
    read = Read(report.build_report(evil, store, 0))
    assert read.text.count(EVIL) > 20 and not read.of("script")
    assert not [one for one in read.of("img") if "onerror" in one or not one["src"].startswith("data:")]


def test_the_same_bytes_but_for_the_date(ws, store):
    assert report.build_report(ws, store, 0, today="2026-01-02") == report.build_report(
        ws, store, 0, today="2026-01-02"
    )
    assert b"<dd>2026-01-02</dd>" in report.build_report(ws, store, 0, today="2026-01-02")


def test_lineup_with_its_cut_and_support(ws, store):
    rows = lineup_rows(ws, 0, ["trak-10", "random"], 6)
    read = Read(report.build_report(ws, store, 0, rows, k=2))
    tiles = read.of("li")[:12]
    assert [at for at, one in enumerate(tiles) if "cut" in one["class"]] == [1, 7]
    alts = [one["alt"] for one in read.of("img")]
    assert alts[:3] == ["validation image 0, Bar", "training image 0, Bar", "training image 6, Bar"]
    assert read.text.count("▲ 4") == 1 and "no flip within 20" in read.text
    assert "k = 4" in Read(report.build_report(ws, store, 0, rows)).text  # the support, where nobody says where to cut
    harmful = Read(report.build_report(ws, store, 0, lineup_rows(ws, 0, ["trak-10"], 4, "harmful")))
    assert "label: Box <b>" in harmful.text and "− against Bar" in harmful.text


def test_what_was_not_measured_is_left_out(ws, store):
    bare = Read(report.build_report(ws, store, 4)).text
    for words in (
        "Agreement of rankings",
        "candidates they choose from",
        "Changes of the margin",
        "Retrainings of",
        "LDS over",
    ):
        assert words not in bare
    give_halves(ws)
    agreement.save(ws, agreement.compute(ws, ["trak-10", "random"], 5), {"command": "a", "made": "b"})
    candidate_sets.save(ws, candidate_sets.compute(ws, ["trak-10"], k=5, resamples=20), {})
    full = Read(report.build_report(ws, store, 4)).text
    assert (
        "Agreement of rankings" in full
        and "candidates they choose from" in full
        and "Changes of the margin" not in full
    )


def test_without_base_models(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    ws = tiny.write(tmp_path / "bare", base=False)
    store = ResultStore.for_workspace(ws)
    read = Read(report.build_report(ws, store))
    store.close()
    assert "no model has been trained here yet" in read.text and "Support CDFs" not in read.text


def test_colour_images(tmp_path):
    ws = tiny.write(tmp_path / "colour", colour=True)
    store = ResultStore.for_workspace(ws)
    assert len(Read(report.build_report(ws, store, 0)).of("img")) > 10
    store.close()


def test_files_and_mistakes(ws, store, tmp_path):
    file = report.save_report(ws, store, tmp_path / "a.html", 0)
    assert file.read_bytes().startswith(b"<!DOCTYPE html>")
    for name, why in (("a.pdf", "a.pdf is none of .html, .htm"), ("missing/a.html", "cannot be written")):
        with pytest.raises(UserError, match=why):
            report.save_report(ws, store, tmp_path / name, 0)
    with pytest.raises(UserError, match="out of range"):
        report.build_report(ws, store, 99)
    for k in (0, -3):
        with pytest.raises(UserError, match=f"k = {k} is not a number"):
            report.build_report(ws, store, 0, k=k)


def test_the_demo_is_small(tmp_path):
    ws = Workspace.open()
    store = ResultStore.for_workspace(ws)
    assert len(report.build_report(ws, store)) < 3_000_000
    store.close()
