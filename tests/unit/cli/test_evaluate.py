"""`evaluate lds-supports` and `evaluate calibration` on the bundled demo, and refused in one sentence."""

import json

from tests import tiny


def test_both_print_one_object_of_what_the_demo_brings(run):
    done = run("evaluate", "lds-supports", "--json")
    told = json.loads(done.out)
    assert done.code == 0 and set(told["kinds"]) == {"remove", "mislabel"} and told["K"] == 128
    assert told["kinds"]["remove"]["rankings"]["trak-10"]["n"] == 40
    done = run("evaluate", "calibration", "--json")
    told = json.loads(done.out)
    assert done.code == 0 and set(told["rankings"]) == {"trak-10", "datamodels-2k"} and "l2-moco" in told["unsigned"]


def test_what_is_missing_is_said_in_a_sentence(tmp_path, run):
    folder = tiny.write(tmp_path / "w").path
    done = run("evaluate", "lds-supports", "--workspace", folder)
    assert done.code == 2 and "no held-out models" in done.err and "Traceback" not in done.err
    (folder / "supports.parquet").unlink()
    done = run("evaluate", "lds-supports", "--workspace", folder)
    assert done.code == 2 and "no held-out models" in done.err and "Traceback" not in done.err
    done = run("evaluate", "calibration", "--workspace", folder)
    assert done.code == 2 and "nothing was removed in tiny yet" in done.err and "Traceback" not in done.err
