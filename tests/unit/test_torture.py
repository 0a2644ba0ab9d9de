"""Nothing is lost and nothing is doubled, whoever is killed, and whenever: see tests/torture.py.

A short run, in which everything that can happen happens once; tests/benchmarks/torture.py does the long one."""

from tests import tiny
from tests.torture import VICTIMS, torture

KILLS = 10


def test_a_study_under_fire(tmp_path):
    counts = torture(tmp_path, tiny.large(tmp_path / "large", 8), KILLS, seed=36)
    print(dict(counts))
    assert sum(counts[victim] for victim in VICTIMS) >= KILLS and counts["pair"] > 1
    assert min(counts[victim] for victim in VICTIMS) > 0 and counts["retrainings"] > 10
    assert counts["clock set"] and counts["file cut"] and counts["decisions"] > 20
    assert (counts["lost"], counts["doubled"], counts["wrong"]) == (0, 0, 0)
