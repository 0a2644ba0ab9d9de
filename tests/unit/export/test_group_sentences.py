"""A group and its edit in sentences, on an answer written by hand."""

from attribution.export.group_sentences import edit_sentences, group_sentences


def moved(before, after, low=17, high=19):
    mean = {"mean": -0.1, "ci": [-0.25, 0.05], "n": 19}
    measures = ("error_rate", "error_rate_difference", "margin", "margin_difference")
    control = {"mean": 18.5, "low": low, "high": high}
    return {"n": 19, "before": before, "after": after, "control": control} | dict.fromkeys(measures, mean)


ANSWER = {
    "group": "wrong:Shirt",
    "about": "labelled Shirt and predicted otherwise",
    "recipe": "head-moco",
    "recipe_hash": "abc",
    "members": 37,
    "errors": 37,
    "ranking": "influence-moco",
    "end": "harmful",
    "by": "sum",
    "heuristic": False,
    "seed": 0,
    "checked": True,
    "read": list(range(18)),
    "judged": list(range(18, 37)),
    "ranked": 18,
    "listed": 2671,
    "edit": {
        "kind": "remove",
        "k": 40,
        "label": None,
        "classes": {"Coat": 2, "Shirt": 38},
        "draws": 20,
        "seeds": [0],
        "judged": moved(19, 17),
        "read": moved(18, 18),
        "rest": {"n": 963, "newly_wrong": 6, "newly_right": 5, "net": 1, "control": {"mean": -1, "low": -2, "high": 0}},
    },
}


def test_a_group_says_who_is_read_and_who_judges():
    assert group_sentences(ANSWER) == [
        "wrong:Shirt: 37 validation images labelled Shirt and predicted otherwise under head-moco abc, 37 of them "
        "wrong.",
        "Influence is read from 18 of them, and the other 19 judge (halves drawn by seed 0).",
        "influence-moco, harmful end, by the sum of the members' scores: 2,671 training images.",
    ]
    few = group_sentences(ANSWER | {"checked": False, "ranked": 5, "by": "mean rank", "heuristic": True, "listed": 1})
    assert few[1].startswith("Fewer than 20 are too few to check") and few[2] == (
        "influence-moco ranks 5 of the 18 that are read."
    )
    assert "by the mean rank, since it keeps its first images alone: 1 training image." in few[3]
    assert "a heuristic" in few[4]
    two = group_sentences(ANSWER | {"by": "difference", "against": "trak-10"})
    assert two[2].startswith("The members' scores by trak-10 less those by influence-moco")


def test_an_edit_says_what_it_does_beside_random_ones():
    first, controls, change, rest, read = edit_sentences(ANSWER, 40)
    assert first == (
        "Without these 40 training images (2 Coat, 38 Shirt) wrong:Shirt in the half that judges falls from 19 to 17 "
        "errors; the others change by +1."
    )
    assert controls.startswith("Random edits of the same classes (20 draws) leave 18.5 (17 to 19) errors")
    assert change.startswith("Error rate -10.0 (-25.0 to +5.0) points") and "(95 % over 19 members)" in change
    assert rest == "The other 963 validation images: 6 newly wrong, 5 newly right."
    assert read.startswith("The half that influence was read from stays at 18 errors")


def test_fewer_images_another_label_and_several_seeds_are_said():
    edit = ANSWER["edit"] | {"label": "Bar", "k": 1, "seeds": [0, 1, 2], "judged": moved(17, 18)}
    said = edit_sentences(ANSWER | {"edit": edit, "checked": False}, 40)
    assert said[0] == "Only 1 image of the 40 asked for can be edited."
    assert said[1].startswith("With the label Bar on this 1 training image") and "rises from 17 to 18 errors" in said[1]
    assert said[-1] == "Margins are means over 3 seeds; an error is a mean margin below 0."
