"""The unit tests mirror the library: attribution/<folder>/<file>.py is tested in tests/unit/<folder>/test_<file>.py, a
folder's __init__.py in tests/unit/<folder>/test_<folder>.py. What is otherwise stands here, with its reason."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY, TESTS = ROOT / "attribution", ROOT / "tests" / "unit"

#: Files of the library without a test file of their own, and the file that tests them.
TESTED_ELSEWHERE = {
    # entry points: run as a script runs them
    "__init__.py": "notebook/test_opened.py",
    "__main__.py": "cli/test_cli.py",
    # the command line: what starts a runner stands in one file, which starts it once
    "cli/export.py": "cli/test_cli.py",
    "cli/jobs.py": "cli/test_cli.py",
    "cli/build.py": "builds/test_scores.py",
    "cli/checks.py": "cli/test_output.py",
    "cli/workspace.py": "cli/test_importing.py",
    # nothing is trained twice: one file builds base models, then features, halves and scores on them
    "builds/base_models.py": "builds/test_scores.py",
    "builds/halves.py": "builds/test_scores.py",
    "builds/timing.py": "builds/test_scores.py",
    # registries, protocols and plain records: tested in what is registered, implements or fills them
    "data/__init__.py": "workspace/test_create.py",
    "metrics/__init__.py": "notebook/test_opened.py",
    "export/charts/__init__.py": "export/charts/test_drawing.py",
    "rankings/__init__.py": "workspace/test_bundled.py",
    "runner/executors/__init__.py": "runner/executors/test_local.py",
    "audit/detectors/base.py": "audit/detectors/test_detectors.py",
    "audit/detectors/families.py": "audit/detectors/test_detectors.py",
    "errors.py": "files/test_files.py",
    # what a notebook is given, tested as it is asked for
    "notebook/answers.py": "notebook/test_opened.py",
    "notebook/progress.py": "notebook/test_opened.py",
    "notebook/frame.py": "notebook/test_show.py",
    # a process that serves a user's code: tested in each kind of it
    "workspace/own_process.py": "own_code/test_process.py",
    "cli/own_ranking.py": "rankings/test_own.py",
    "own_code/loading.py": "training/own/test_own.py",
    "own_code/describe.py": "own_code/test_own_code.py",
    "own_code/snapshots.py": "training/own/test_own.py",
    "files/places.py": "test_serve.py",
    "cli/serving.py": "test_serve.py",
    # a process that imports a user's file, a template that passes the check, a command group: tested as they are used
    "training/own/describe.py": "training/own/test_own.py",
    "training/own/recipe.py": "training/own/test_own.py",
    "runner/optional_check.py": "runner/test_recipe_check.py",
    "runner/model_tasks.py": "builds/test_own_models.py",
    "rankings/unrolled/task.py": "builds/test_unrolled_own.py",
    # a protocol, and what has it: the way back through each is compared with retraining
    "rankings/unrolled/training.py": "rankings/unrolled/test_reverse.py",
    "training/own/template.py": "runner/test_recipe_check.py",
    "cli/recipe.py": "runner/test_recipe_check.py",
    "training/all_recipes.py": "training/own/test_own.py",
    "live/client.py": "live/test_routes.py",
    "live/solver.py": "live/test_routes.py",
    "training/head/recipe.py": "workspace/test_heads.py",
    "store/schema.py": "store/test_database.py",
    "rankings/base.py": "rankings/test_similarity.py",
    "runner/executors/base.py": "runner/executors/test_local.py",
    "runner/executors/worker.py": "runner/executors/test_local.py",
    # questions: one file holds what is true of every one, one what a job of each does
    "experiments/halves.py": "experiments/test_jobs.py",
    "experiments/retrain.py": "experiments/test_jobs.py",
    "experiments/study.py": "experiments/test_jobs.py",
    "experiments/support.py": "experiments/test_jobs.py",
    "experiments/unedited.py": "experiments/test_spec.py",
    # one network, data set or ranking of a family each, declared in a few lines: the family's tests run over all
    "audit/detectors/self_influence.py": "audit/detectors/test_in_sample.py",
    "data/cifar100.py": "data/test_cifar10.py",
    "features/dino.py": "features/test_networks.py",
    "features/moco.py": "features/test_networks.py",
    "export/charts/common.py": "export/charts/test_stored.py",
    "features/pixels.py": "features/test_features.py",
    "features/simclr.py": "features/test_networks.py",
    "features/ssl.py": "features/test_networks.py",
    "features/supervised.py": "features/test_networks.py",
    "features/views.py": "features/test_networks.py",
    "rankings/overlap.py": "cli/test_importing.py",
    "rankings/random.py": "rankings/test_similarity.py",
    "training/recipes/demo_cnn.py": "training/recipes/test_recipes.py",
    "training/recipes/demo_cnn_plain.py": "training/recipes/test_recipes.py",
    "training/recipes/demo_mlp.py": "training/recipes/test_recipes.py",
    "training/recipes/mobilenetv2.py": "training/recipes/test_recipes.py",
    "training/recipes/resnet18.py": "training/recipes/test_recipes.py",
    "training/recipes/resnet9.py": "training/recipes/test_recipes.py",
    "training/recipes/resnet9_datamodels.py": "training/recipes/test_recipes.py",
    # figures that a report, page or workspace shows: tested where they come together
    "export/report_html.py": "export/test_report.py",
    "workspace/base_models.py": "workspace/test_workspace.py",
    "workspace/provenance.py": "evaluation/test_calibration.py",
    "workspace/validation_split.py": "experiments/test_pruning.py",
}
#: Test files that no file of the library has the name of.
OF_MANY_FILES = {
    "files/test_other_disk.py": "whatever writes a file: that it renames none into another folder",
    "test_vulnerabilities.py": "tests/vulnerabilities.py, which `make audit` runs",
    "cli/test_corrections.py": "`export corrections` and `import corrections`, which are in two files",
    "cli/test_json_outputs.py": "the JSON of commands in several files, as scripts rely on it",
    "cli/test_output.py": "what is common to the output of every command",
    "cli/test_refusals.py": "a store that cannot be used, for every command",
    "evaluation/test_stored_answers.py": "what every answer of an evaluation that is stored has to do",
    "cli/test_no_home.py": "commands of a user without a home folder",
    "features/test_networks.py": "what every feature network has to do",
    "importing/formats/test_fuzz.py": "damaged files, for every format",
    "importing/formats/test_golden.py": "files that the other libraries wrote, for every format",
    "metrics/test_examples.py": "the examples in the docstrings",
    "notebook/test_notebooks.py": "docs/notebooks, in a real kernel",
    "test_architecture.py": "docs/architecture.md",
    "test_docs.py": "the documents",
    "test_examples.py": "the examples in the docstrings of what a notebook calls",
    "test_how_to.py": "docs/how_to",
    "test_layout.py": "the tests themselves",
    "test_promises.py": "the documents that promise something",
    "test_torture.py": "store, runner and server under fire",
    "test_walls.py": "who may import whom",
}


def is_empty(path: Path) -> bool:
    """Whether a file has a docstring at most."""
    return all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body)


def mirror(path: Path) -> str:
    """`attribution/rankings/trak.py` -> "rankings/test_trak.py"; of a folder's __init__.py it has the folder's name."""
    inside = path.relative_to(LIBRARY)
    return str(inside.with_name(f"test_{inside.parent.name if inside.stem == '__init__' else inside.stem}.py"))


LIBRARY_FILES = {
    str(path.relative_to(LIBRARY)): mirror(path) for path in sorted(LIBRARY.rglob("*.py")) if not is_empty(path)
}
TEST_FILES = {str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")}


def test_every_file_of_the_library_has_its_test_file():
    missing = {
        file: test for file, test in LIBRARY_FILES.items() if test not in TEST_FILES and file not in TESTED_ELSEWHERE
    }
    assert not missing, "write these test files, or say in TESTED_ELSEWHERE where the file is tested"


def test_every_test_file_has_its_file_of_the_library():
    unknown = TEST_FILES - set(LIBRARY_FILES.values()) - set(OF_MANY_FILES)
    assert not unknown, "name these test files after what they test, or say in OF_MANY_FILES what that is"


def test_every_exception_is_one():
    """Of a file that is there and has no test file of its own; and where it is tested is there."""
    assert [file for file in TESTED_ELSEWHERE if LIBRARY_FILES.get(file, file) in {*TEST_FILES, file}] == []
    assert [file for file, test in TESTED_ELSEWHERE.items() if test not in TEST_FILES] == []
    assert [file for file in OF_MANY_FILES if file not in TEST_FILES - set(LIBRARY_FILES.values())] == []
