"""What a recipe's hash covers: a built-in one's source is pinned to its version, any other's is part of the hash."""

import ast
import hashlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from attribution import UserError
from attribution.store.results import ResultStore  # noqa: E402
from attribution.training import augmentation, recipes, trainer  # noqa: E402
from attribution.training.edits import correct, no_edit, relabel, remove  # noqa: E402
from attribution.training.recipes import source  # noqa: E402

#: recipe -> version, hash, and the digest of what trains under it: its module, the recipes it builds on, the trainer
#: and the augmentation
PINS = {
    "demo-cnn": (1, "c5aeb1565251", "36e6d8a8be499c2f"),
    "demo-cnn-plain": (1, "4c4c1103a0c7", "591db0fe38b92ec5"),
    "demo-mlp": (1, "37a8e1e1f4a4", "ade7bbdecef132ee"),
    "resnet9": (1, "0a03479eb6ed", "4fec52d8fdb1e225"),
    "resnet9-datamodels": (1, "7415ea639e59", "155823b48e67157d"),
    "fast94": (1, "dcc1ca7cccae", "4f5ba5107eaeb141"),
    "mobilenetv2": (1, "96a1180e356d", "0c83bbdb1e627e02"),
    "resnet18": (1, "bcdfca39342d", "634590a4b235ab8d"),
}
#: The demo's data set; edit -> how the edit's hash begins, and the key of its retraining under demo-cnn and seed 5.
FINGERPRINT = "5544c8a245b2dd513a49cc4ee3f8288e1fd68eb786f1e3bcce9b5acaac3ec859"
KEYS = {
    "nothing": ("140bedbf9c3f6d56", "ddc5685fc649ac84"),
    "remove": ("a06e4a36199305d5", "515a7d32f88026e4"),
    "relabel": ("fb7c5e8d49a334b5", "5692804fa703c7c2"),
    "correct": ("1759910b6b9a67d0", "510b597453fc5c58"),
}
TABLE = f"python -m {'.'.join(Path(__file__).relative_to(Path(__file__).parents[3]).with_suffix('').parts)}"


def trains(recipe) -> str:
    """The digest of what trains under a built-in recipe, wherever the files are."""
    folder = Path(recipes.__file__).parent
    module = importlib.import_module(f"{recipes.__name__}.{recipes.NAMES[recipe.name]}")
    found = {Path(module.__file__)}
    for value in (recipe.network, recipe.measure):
        found |= {file for file in source.files(value) if file.parent == folder} if value else set()
    helpers = {folder / "__init__.py", Path(source.__file__)}
    trees = [source.parse(file) for file in {*found, Path(trainer.__file__), Path(augmentation.__file__)} - helpers]
    return hashlib.sha256("\n".join(sorted(map(unmoved, trees))).encode()).hexdigest()[:16]


def unmoved(tree: ast.Module) -> str:
    """A tree without imports of this library, which say where its files are."""
    own = recipes.__name__.partition(".")[0]
    kept = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == own)
    ]
    return source.normal_form(ast.Module(kept, []))


def load(folder, text, name="mine"):
    """The module `name` in a new file with that text."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(text)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_module_stays(monkeypatch):
    monkeypatch.setitem(sys.modules, "mine", None)
    source.digest.cache_clear()


def hash_of(folder, text, **changes):
    return replace(recipes.get_recipe("demo-cnn"), name="mine", network=load(folder, text).network, **changes).hash


def test_stored_results_keep_their_recipe():
    """Thousands of retrainings lie in stores under these; results under others are not found."""
    assert {name: recipes.get_recipe(name).hash for name in recipes.NAMES} == {
        name: pin[1] for name, pin in PINS.items()
    }


def test_stored_retrainings_keep_their_keys(tmp_path):
    store = ResultStore(tmp_path, FINGERPRINT)
    recipe = recipes.get_recipe("demo-cnn").hash
    edits = {
        "nothing": no_edit(),
        "remove": remove([4, 1, 4999]),
        "relabel": relabel([7, 2], [3, 9]),
        "correct": correct({7: 3}, [2]),
    }
    assert {name: (edit.hash[:16], store.key(recipe, edit, 5)[:16]) for name, edit in edits.items()} == KEYS
    store.close()


@pytest.mark.parametrize("name", recipes.NAMES)
def test_what_trains_is_what_its_version_says(name):
    recipe = recipes.get_recipe(name)
    assert (recipe.version, trains(recipe)) == (PINS[name][0], PINS[name][2]), (
        f"what trains under {name} is not what its version {PINS[name][0]} was. If trainings can come out otherwise, "
        f"raise `version` in its recipe: results under the old one are then no longer used. If names and places alone "
        f"changed, and a retraining of the demo gives the same bits before and after, leave `version`. Then put the "
        f"table that `{TABLE}` prints in the place of PINS"
    )


def test_a_digest_sees_what_changes_a_training_and_nothing_else():
    text = 'def network(shape, classes):\n    """One."""\n    return shape[0] * 2\n'
    form = source.normal_form(ast.parse(text))
    same = (
        '"""A file."""\n# a comment\ndef network(shape,\n            classes):\n    """Two."""\n    return shape[0]*2'
    )
    assert source.normal_form(ast.parse(same)) == form
    for other in (text.replace("2", "3"), text.replace("classes", "n"), f"WIDTH = 3\n{text}"):
        assert source.normal_form(ast.parse(other)) != form
    assert unmoved(ast.parse(f"from attribution.other import x\n{text}")) == form


def test_two_networks_of_one_name_never_share_results(tmp_path):
    text = "WIDTH = 3\ndef network(shape, classes):\n    return WIDTH\n"
    first = hash_of(tmp_path / "a", text)
    assert hash_of(tmp_path / "b", f"# moved\n{text}") == first, "where a file lies and how it is laid out is nothing"
    others = [hash_of(tmp_path / "c", text.replace("3", "4")), hash_of(tmp_path / "d", text, version=2)]
    borrowed = replace(recipes.get_recipe("demo-cnn"), network=recipes.get_recipe("fast94").network).hash
    assert len({first, *others, borrowed, recipes.get_recipe("demo-cnn").hash}) == 5
    assert (
        replace(recipes.get_recipe("demo-cnn"), network=load(tmp_path / "e", text).network).hash != PINS["demo-cnn"][1]
    )


def test_what_a_network_imports_from_beside_it_counts(tmp_path):
    text = "def network(shape, classes):\n    from nets import Net\n    import parts.body, json\n"
    found = []
    for name, change in (("a", ""), ("b", "nets.py"), ("c", "parts/body.py"), ("d", "other.py")):
        folder = tmp_path / name
        module = load(folder, text)
        (folder / "parts").mkdir()
        for file in ("nets.py", "parts/body.py", "parts/deep.py", "other.py"):
            (folder / file).write_text(f"x = {file == change}\nfrom . import deep\n")
        found.append(replace(recipes.get_recipe("demo-cnn"), name="mine", network=module.network).hash)
    assert len(set(found[:3])) == 3 and found[3] == found[0]


@pytest.mark.parametrize(
    "text",
    [
        "used = lambda shape, classes: 1",
        "def make(n):\n    def network(shape, classes):\n        return n\n    return network\nused = make(2)",
        "import functools\ndef network(n, shape, classes): ...\nused = functools.partial(network, 2)",
        "def network(): ...\nused = network\ndef network(): ...",
    ],
)
def test_what_its_file_alone_does_not_tell_is_refused(tmp_path, text):
    recipe = replace(recipes.get_recipe("demo-cnn"), name="mine", network=load(tmp_path / "a", text).used)
    with pytest.raises(UserError, match="top level of a Python file; write it there"):
        _ = recipe.hash


if __name__ == "__main__":
    for name in recipes.NAMES:
        recipe = recipes.get_recipe(name)
        print(f'    "{name}": ({recipe.version}, "{recipe.hash}", "{trains(recipe)}"),')
