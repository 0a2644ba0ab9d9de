"""The walls of the house: who may import whom. Imports are read from the syntax tree, lazy ones included.

A test is a rule, and names every file that breaks it: one of each rule and file would be two thousand."""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TORCH = {"torch", "torchvision", "lightly", "dattri"}
#: The library's folders and files at its top, from the top down: each may import those below it, and none above.
LAYERS = (
    "__main__",
    "cli",
    "notebook",
    "demo",
    "install",
    "serve",
    "access",
    "live",
    "export",
    "evaluation",
    "audit",
    "explore",
    "builds",
    "runner",
    "experiments",
    "features",
    "workspace",
    "importing",
    "rankings",
    "store",
    "data",
    "training",
    "own_code",
    "metrics",
    "files",
    "inputs",
    "errors",
)
#: Where the library may import torch: data has torchvision's downloads, formats reads its files.
TORCH_ROOMS = (
    "training",
    "features",
    "rankings.trak",
    "rankings.unrolled",
    "runner.executors",
    "data",
    "importing.formats",
    "builds",
    "demo",
)
#: The files that may read which labels were planted or which images poisoned, to plant, to show and to judge.
SEE_THE_TRUTH = {
    "attribution/audit/gain.py",
    "attribution/demo.py",
    "attribution/evaluation/inspection_curve.py",
    "attribution/evaluation/label_errors.py",
    "attribution/evaluation/poison.py",
    "attribution/importing/truth.py",
    "attribution/workspace/workspace.py",
    "pages/debug/page.py",
    "pages/compare/checks/backdoor.py",
}
#: The files that may say the name of the part with imported true labels without reading it: to import and to remove it.
NAME_THE_TRUTH = {
    "attribution/cli/importing.py",
    "attribution/cli/workspace.py",
    "attribution/importing/formats/true_labels.py",
    "attribution/workspace/models.py",
    "pages/data/words.py",
}


def sources(*roots: str) -> list[Path]:
    """All Python files in `roots`, folders or files, relative to the repository."""
    files = [file for root in roots for file in (ROOT / root).rglob("*.py")]
    return sorted(file.relative_to(ROOT) for file in [*files, *(ROOT / root for root in roots)] if file.is_file())


@cache
def nodes(file: Path) -> list[ast.AST]:
    """All nodes of the syntax tree of a file in the repository, its module first."""
    return list(ast.walk(ast.parse((ROOT / file).read_text(), str(file))))


@cache
def imports(file: Path) -> set[str]:
    """Dotted names of everything `file` imports, inside functions too; not what only a type checker sees."""
    names = set()
    package = file.parent.parts

    def visit(node):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            node = ast.Module(node.orelse, [])
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.update(f"{module}.{alias.name}" for alias in node.names)
            names.add(module)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(nodes(file)[0])
    return names


def tops(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


def part(file: Path) -> str:
    """`attribution/rankings/trak.py` -> "rankings"."""
    return file.with_suffix("").parts[1]


def modules_known_to(file: Path) -> set[str]:
    """The library's modules that `file` imports, in dots; what it imports from them by name is left out."""
    names = {name for name in imports(file) if name.split(".")[0] == "attribution"}
    paths = {name: ROOT / name.replace(".", "/") for name in names}
    return {name for name, path in paths.items() if path.is_dir() or path.with_suffix(".py").exists()}


def parts_known_to(file: Path) -> set[str]:
    """The parts of the library that `file` imports."""
    return {name.split(".")[1] for name in modules_known_to(file) if "." in name} - {part(file)}


def test_the_reader_sees_lazy_and_relative_imports(tmp_path, monkeypatch):
    folder = tmp_path / "attribution" / "rankings"
    folder.mkdir(parents=True)
    text = "import a.b\nfrom ..errors import UserError\nfrom . import random\ndef f():\n    from torch import nn\n"
    (folder / "x.py").write_text(text + "if TYPE_CHECKING:\n    import never\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    found = imports(Path("attribution/rankings/x.py"))
    assert {"a.b", "attribution.errors", "attribution.rankings.random", "torch"} <= found
    assert "never" not in found


def test_pages_import_no_torch():
    assert not [file for file in sources("app.py", "pages") if tops(file) & TORCH]


def test_the_library_imports_no_streamlit_and_no_page():
    assert not [file for file in sources("attribution") if tops(file) & {"streamlit", "pages", "app", "tests"}]


def test_torch_stays_in_its_rooms():
    def in_a_room(file):
        return ".".join([*file.with_suffix("").parts[1:], ""]).startswith(tuple(f"{room}." for room in TORCH_ROOMS))

    assert not [file for file in sources("attribution") if tops(file) & TORCH and not in_a_room(file)]


def test_the_layers_are_all_that_there_is():
    top = {
        path.stem
        for path in (ROOT / "attribution").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert top - {"__init__"} == set(LAYERS)
    assert len(list((ROOT / "attribution").glob("*.py"))) <= 6


def test_folders_import_downwards_only():
    upwards = {
        str(file): above
        for file in sources("attribution")
        if part(file) != "__init__" and (above := parts_known_to(file) & set(LAYERS[: LAYERS.index(part(file))]))
    }
    assert not upwards


def test_no_page_imports_another_page():
    others = {
        str(file): pages - {part(file), "ui"}
        for file in sources("pages")
        if not (pages := {name.split(".")[1] for name in imports(file) if name.startswith("pages.")})
        <= {part(file), "ui"}
    }
    assert not others


@pytest.mark.parametrize("name", ["support_search", "adaptive_search"])
def test_a_search_knows_neither_workspace_nor_trainer(name):
    assert parts_known_to(Path(f"attribution/experiments/{name}.py")) <= {"errors", "metrics"}


def test_the_kind_of_a_job_is_told_apart_in_experiments_alone():
    """Elsewhere a spec's class or the registry is asked, so that a new kind of job is one new file."""

    def reads_the_kind(file):
        return any(
            isinstance(node, ast.Subscript) and getattr(node.slice, "value", 0) == "verb" for node in nodes(file)
        )

    elsewhere = [file for file in sources("pages", "attribution") if part(file) not in ("experiments", "store")]
    assert not [file for file in elsewhere if reads_the_kind(file)]


def reads_the_truth(file: Path) -> bool:
    attributes = {node.attr for node in nodes(file) if isinstance(node, ast.Attribute)}
    texts = {node.value for node in nodes(file) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return "truth" in attributes or bool(texts & {"truth.parquet", "poison.parquet"})


def names_the_truth(file: Path) -> bool:
    """Whether a file says the name of the part with imported true labels, or uses what imports them."""
    texts = {node.value for node in nodes(file) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    modules = {"attribution.importing.truth", "attribution.importing.formats.true_labels"}
    return any(text == "truth" or text.startswith("truth/") for text in texts) or bool(imports(file) & modules)


def test_imported_true_labels_are_named_where_they_are_imported_alone():
    """A part can be read by its name: no detector, ranking or feature may know that of the true labels."""
    named = {str(file) for file in sources("attribution", "pages") if names_the_truth(file)}
    assert named <= SEE_THE_TRUTH | NAME_THE_TRUTH and NAME_THE_TRUTH <= named


def test_what_is_judged_by_planted_errors_cannot_read_them():
    """Labels before planting are for display and for scoring detectors; nothing that ranks or trains may see them, nor
    which images were poisoned."""
    assert {str(file) for file in sources("attribution", "pages") if reads_the_truth(file)} <= SEE_THE_TRUTH


def test_only_those_that_read_the_truth_are_allowed_to():
    for file in SEE_THE_TRUTH:
        text = (ROOT / file).read_text()
        assert "truth" in text or "poison.parquet" in text, f"{file} no longer needs to see the truth"


def test_only_folders_directly_in_pages():
    """Python files there break Streamlit's deep links: a first request runs them without app.py."""
    inside = [path for path in (ROOT / "pages").iterdir() if path.name != "__pycache__"]
    assert inside and all(path.is_dir() for path in inside)
    assert all((path / "page.py").exists() for path in inside if path.name != "ui")


def test_what_the_pages_use_leaves_torch_out(run_python):
    """The server process never loads torch, whatever the library's modules import in turn."""
    used = {name for file in sources("app.py", "pages") for name in modules_known_to(file)} | {"attribution"}
    done = run_python("-c", f"import sys, {', '.join(sorted(used))}\nprint(sorted({TORCH!r} & set(sys.modules)))")
    assert (done.code, done.out.strip()) == (0, "[]"), done.err


#: The files that may import a user's code, and those that may train by it: a process of its own, and workers.
RUN_THEIR_CODE = {
    "load_class": {
        *(f"attribution/own_code/{name}.py" for name in ("describe", "loading")),
        *(f"attribution/training/own/{name}.py" for name in ("describe", "trainer")),
    },
    "load_object": {
        *(f"attribution/own_code/{name}.py" for name in ("describe", "loading")),
        "attribution/workspace/own_process.py",
    },
    "import_file": {"attribution/own_code/loading.py"},
    "OwnTrainer": {
        *(f"attribution/rankings/unrolled/{name}.py" for name in ("own", "task")),
        "attribution/training/own/network.py",
        "attribution/training/own/trainer.py",
        *(f"attribution/runner/executors/{name}.py" for name in ("ray", "worker")),
    },
    "OwnNetwork": {
        "attribution/rankings/unrolled/own.py",
        "attribution/runner/model_tasks.py",
        "attribution/runner/optional_check.py",
        "attribution/training/own/network.py",
    },
    "CommandTrainer": {"attribution/training/own/command.py", "attribution/runner/executors/worker.py"},
}


@pytest.mark.parametrize("name", RUN_THEIR_CODE)
def test_a_users_code_runs_in_its_own_processes_alone(name):
    """The server, the runner and the command line never import a user's file."""

    def knows(file: Path) -> bool:
        found = {getattr(node, "id", getattr(node, "attr", getattr(node, "name", None))) for node in nodes(file)}
        return name in found

    assert {str(file) for file in sources("attribution", "pages", "app.py") if knows(file)} == RUN_THEIR_CODE[name]
