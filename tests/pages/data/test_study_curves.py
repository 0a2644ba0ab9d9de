"""The curves of a study that is under way."""

from attribution.experiments.study import Study
from attribution.experiments.support_search import Support
from attribution.export import palette
from pages.data import study_curves, study_text


def study(**results):
    return Study(8, "default", {"remove": {name: dict(enumerate(one)) for name, one in results.items()}})


def flipped(k):
    return Support("flipped", k, k - 1, k)


def test_a_band_has_the_least_and_the_most_that_can_flip():
    studied = study(a=[flipped(2), Support("censored", None, 8, None), None, None])
    (panel,) = study_curves.panels(studied, {("remove", "a", 2): (4, 6)})
    assert (panel.answered, panel.targets) == (2, 4)
    assert panel.ks == (0, 1, 2, 5, 6, 8), "only the corners"
    assert panel.low == (0, 0, 0.25, 0.25, 0.5, 0.5) and panel.high == (0, 0.25, 0.5, 0.75, 0.75, 0.75)
    (closed,) = study_curves.panels(study(a=[flipped(2), flipped(8)]), {})
    assert closed.low == closed.high == (0, 0.5, 1)


def test_the_panels_of_a_kind_share_its_rows():
    names = {f"r{at}": [None] for at in range(7)}
    studied = Study(8, "default", {kind: {name: {0: None} for name in names} for kind in ("remove", "mislabel")})
    drawn = study_curves.figure(study_curves.panels(studied, {}), 8)
    assert len(drawn.data) == 28 and len(drawn.layout.annotations) == 14
    assert [one.text for one in drawn.layout.annotations][5:8] == ["r5, removal", "r6, removal", "r0, mislabelling"]
    assert drawn is study_curves.figure(study_curves.panels(studied, {}), 8), (
        "the same object, or it would be drawn anew each second"
    )
    band = drawn.data[1]
    assert band.fill == "tonexty" and band.line.color == palette.ranking_style("r0")[0] and band.line.shape == "hv"


def test_where_all_are_already_wrong_there_is_no_share():
    panels = study_curves.panels(study(a=[Support("already_wrong", None, None, None)]), {})
    assert '1 of 1</td><td class="n">–' in study_text.bands_html(panels) and study_curves.figure(panels, 8).data


def test_names_of_rankings_are_escaped():
    assert "&lt;b&gt;" in study_text.bands_html(study_curves.panels(study(**{"<b>": [None]}), {}))
