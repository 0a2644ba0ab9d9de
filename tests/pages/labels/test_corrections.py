"""The corrections, as pictures and as files."""

import numpy as np

from pages.labels import corrections, decision_cache
from pages.ui import state
from tests.pages.labels.entries import entry, run, words


def test_captions_say_what_stands(ws, log, queue):
    one, two, three, four = queue.items[:4]
    log.append(
        [entry(one, "relabel", label=0), entry(two), entry(three, "remove"), entry(four, "unsure")], "me", "b", 1
    )
    log.append([entry(one, "remove")], "Ann", "hers", 1)
    standing, _ = decision_cache.DecisionCache().read(log)
    given = [ws.classes[ws.train_labels[i]] for i in queue.items[:4]]
    assert [corrections.caption(ws, standing[i]) for i in queue.items[:4]] == [
        "Bar or removed",
        given[1],
        f"{given[2]}, removed",
        f"{given[3]}?",
    ]


def test_nothing_decided_yet(ws):
    page = run()
    page.segmented_control(key=state.STEP).set_value(state.EXPORT_STEP).run()
    assert not page.exception and "No decisions yet" in words(page)


def test_counts_files_and_the_command(ws, log, queue, tmp_path):
    log.append([entry(queue.items[0], "relabel", label=0), entry(queue.items[1])], "me", "b", 1)
    log.append([entry(queue.items[1], "remove")], "Ann", "hers", 1)
    page = run()
    page.segmented_control(key=state.STEP).set_value(state.EXPORT_STEP).run()
    assert not page.exception and "labels.npy" in words(page).replace("\\", "")
    page.button(key="queue of conflicts").click().run()
    assert log.queues()[0].spec["of"] == "conflicts" and log.queues()[0].n == 1
    page.segmented_control(key=state.STEP).set_value(state.EXPORT_STEP).run()
    page.text_input(key=state.FOLDER).set_value(str(tmp_path / "out")).run()
    page.button(key="write corrections").click().run()
    assert "Written to" in words(page) and (tmp_path / "out" / "corrections.csv").exists()
    page.text_input(key=state.FOLDER).set_value(str(ws.path / "workspace.json")).run()
    page.button(key="write corrections").click().run()
    assert page.error and not page.exception


def test_all_files_in_one(ws, log, queue):
    import io
    import zipfile

    log.append([entry(queue.items[0], "relabel", label=0)], "me", "b", 1)
    archive = zipfile.ZipFile(io.BytesIO(corrections.packed(ws)))
    assert {"corrections.csv", "labels.npy", "log.csv"} <= set(archive.namelist())
    assert np.load(archive.open("labels.npy"))[3] == 0


def test_people_who_decided_the_same_images_are_compared(ws, log, queue):
    for who, last in (("Ann", "keep"), ("Ben", "unsure")):
        entries = [entry(item) for item in queue.items[:11]] + [entry(queue.items[11], last)]
        log.append([*entries, entry(queue.items[12], "remove")], who, who, 1)
    page = run()
    page.segmented_control(key=state.STEP).set_value(state.EXPORT_STEP).run()
    assert not page.exception
    assert "Ann and Ben both decided 13 images, 92 % alike: Cohen's kappa" in words(page).replace("\\", "")
