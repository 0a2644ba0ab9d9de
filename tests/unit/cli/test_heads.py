"""What heads alone can answer: the commands that measure it, and how they refuse in one sentence."""

import json

from attribution import Workspace
from attribution.evaluation import adaptive_supports


def test_the_orders_are_measured_stored_and_printed(ws, run):
    done = run("evaluate", "adaptive-supports", "--recipe", "head-moco", "--k-max", 30, "--json")
    told = json.loads(done.out)
    assert done.code == 0 and set(told["orders"]) == {"prefix", "adaptive"} and told["K"] == 30
    assert told["smaller"] + told["equal"] + told["larger"] == told["both"] <= told["targets"]
    stored = adaptive_supports.load(Workspace.open(ws.path, "head-moco"))
    assert len(stored.table) == told["targets"]
    done = run("evaluate", "adaptive-supports", "--model", "head-moco", "--k-max", 30)
    assert done.code == 0 and "influence recomputed after every 8 images" in done.out and "Traceback" not in done.err


def test_what_cannot_be_measured_is_one_sentence(ws, run):
    for command in ("adaptive-supports", "support-transfer"):
        done = run("evaluate", command)
        assert done.code == 2 and "demo-cnn is no head" in done.err and done.err.count("\n") <= 2, done.err
    done = run("evaluate", "support-transfer", "--recipe", "head-moco")
    assert done.code == 2 and "head-moco has no supports by removal here yet" in done.err


def test_what_exact_refits_tell_is_printed(ws, run):
    done = run("evaluate", "loo", "--model", "head-moco", "--images", 20, "--rankings", "influence-moco,random")
    assert done.code == 0 and "without each of 20 training images" in done.out and "influence-moco" in done.out
    done = run("evaluate", "removal", "--model", "head-moco", "--share", 0.05, "--rankings", "trak-10,random")
    assert done.code == 0 and "the first 3 images (5.0 %) removed" in done.out and "random, any class" in done.out
    done = run("evaluate", "subclass", "--merge", "Bar+Dot", "--rankings", "influence-moco", "--k", 3)
    assert done.code == 0 and "merged: Bar + Dot" in done.out and "head-moco with merged labels" in done.out
    done = run("evaluate", "subclass", "--rankings", "l2-moco")
    assert done.code == 0 and "merged: Box <b> + Dot (the pairs that demo-cnn confuses most)" in done.out


def test_a_group_is_ranked_edited_and_printed(ws, run):
    done = run("group", "class:Dot", "--ranking", "influence-moco", "--k", 12, "--model", "head-moco", "--draws", 2)
    assert done.code == 0 and "class:Dot: 4 validation images labelled Dot under head-moco" in done.out
    assert "Fewer than 20 are too few to check" in done.out and "by the sum of the members' scores" in done.out
    assert "Without these 12 training images (" in done.out and "; the others change by +" in done.out
    assert "Random edits of the same classes (2 draws) leave" in done.out and "95 % over 4 members" in done.out
    done = run("group", "ids:0", "--ranking", "l2-moco", "--k", 999, "--relabel", 1, "--model", "head-moco", "--json")
    told = json.loads(done.out)["edit"]
    assert done.code == 0 and (told["kind"], told["label"], list(told["classes"])) == ("relabel", "Box <b>", ["Bar"])
    done = run("group", "Box <b>->Dot", "--ranking", "l2-moco", "--top", 2)  # a network, and nothing is edited
    assert done.code == 0 and "have no sign" in done.out and "Without" not in done.out


def test_a_network_is_refused_in_one_sentence(ws, run):
    for words, why in (
        (("loo",), "demo-cnn is no head"),
        (("removal",), "under demo-cnn this reads stored trainings"),
        (("subclass", "--merge", "Bar+Tree"), "no class 'Tree'"),
    ):
        done = run("evaluate", *words)
        assert done.code == 2 and why in done.err and "Traceback" not in done.err, done.err
    for words, why in (
        (("class:Dot", "--k", 3, "--draws", 0), "--draws 0 is out of range"),
        (("Dot->Bar",), "no validation image is labelled Dot and predicted Bar"),
    ):
        done = run("group", *words, "--ranking", "l2-moco")
        assert done.code == 2 and why in done.err and done.err.count("\n") == 1, done.err
