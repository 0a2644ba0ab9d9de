"""Rankings by what they compute, and the comparison in one feature set."""

from attribution.evaluation import lds_families
from attribution.rankings import similarity


def test_every_ranking_has_a_family_and_a_line(ws):
    assert {lds_families.family_of(f"{method}-moco") for method in similarity.METHODS} == {"similarity"}
    names = [
        "l2-moco",
        "l2-dino",
        "esvm-moco",
        "influence-moco",
        "influence-dino",
        "influence-all",
        "trak-10",
        "random",
    ]
    assert lds_families.group(names) == {
        "similarity": {"l2": ["l2-moco", "l2-dino"], "esvm": ["esvm-moco"]},
        "head": {"influence": ["influence-moco", "influence-dino"], "influence-all": ["influence-all"]},
        "network": {"trak-10": ["trak-10"]},
        "control": {"random": ["random"]},
    }
    assert list(lds_families.group(["random", "trak-10"])) == ["network", "control"]


def test_influence_is_compared_with_the_best_similarity_of_its_features(ws):
    rows = {
        "l2-moco": {"lds": 0.1, "ci": (0.05, 0.15)},
        "esvm-moco": {"lds": 0.2, "ci": (0.1, 0.3)},
        "influence-moco": {"lds": 0.4, "ci": (0.29, 0.5)},
        "l2-pixels": {"lds": 0.3, "ci": (0.2, 0.4)},
    }
    compared = lds_families.compare(ws, rows)
    one = {"features": "moco", "influence": "influence-moco", "similarity": "esvm-moco", "ratio": 2.0, "apart": False}
    assert compared == {"sets": [one], "best": "l2-pixels"}
    rows["influence-moco"]["ci"] = (0.31, 0.5)
    assert lds_families.compare(ws, rows)["sets"][0]["apart"]
    assert lds_families.compare(ws, {"trak-10": {"lds": 0.5, "ci": None}}) == {"sets": [], "best": None}
