"""Wherever a job is watched, a page says why it does not go on, and stays a page."""

import pytest

from attribution import UserError
from attribution.experiments import jobs
from attribution.experiments.retrain import retrain_spec
from tests.pages.page import open_page, texts


@pytest.fixture
def waiting(ws, store):
    """The number of a job that waits, of target 0."""
    spec = retrain_spec(ws, 0, "trak-10", "remove", 2)
    return store.add_job(spec, spec.describe())


def test_a_full_disk_is_said(waiting, monkeypatch):
    monkeypatch.setattr(jobs, "trouble", lambda folder: "the disk with the results is full; make room there")
    app = open_page(panel="verdict", target="0", job=str(waiting))
    assert "The disk with the results is full; make room there." in texts(app) and not app.exception


def test_a_runner_that_cannot_work_is_said(waiting, monkeypatch):
    def broken(workspace):
        raise UserError("the background runner cannot work: no memory")

    monkeypatch.setattr(jobs, "ensure_runner", broken)
    app = open_page(panel="verdict", target="0", job=str(waiting))
    assert "The background runner cannot work: no memory." in texts(app) and not app.exception


def test_a_training_that_is_tried_again_is_said(waiting, store):
    store.start_job(waiting, 25)
    store.note_job(waiting, "a training that stood still for 60 s was begun again elsewhere")
    assert "stood still for 60 s" in texts(open_page(panel="verdict", target="0", job=str(waiting)))
