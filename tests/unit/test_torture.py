"""Nothing is lost and nothing is doubled, whoever is killed, and whenever: see tests/torture.py."""

from tests import tiny
from tests.torture import torture

KILLS = 30


def test_a_study_under_fire(tmp_path):
    counts = torture(tmp_path, tiny.large(tmp_path / "large", 8), KILLS, seed=2)
    print(dict(counts))
    assert counts["worker"] + counts["runner"] + counts["server"] >= KILLS and counts["pair"] > 3
    assert min(counts["worker"], counts["runner"], counts["server"]) > 0 and counts["retrainings"] > 20
