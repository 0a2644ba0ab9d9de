"""The texts of Data & jobs: tables of what is stored, and the words of a command."""

from attribution import UserError, Workspace
from attribution.files import user_path
from attribution.importing import alignment
from attribution.workspace import base_models, image_check
from pages.ui import format as write


def images_text(ws: Workspace) -> str:
    """What there is to say of when the images were recorded, or ""."""
    try:
        return image_check.recorded_text(image_check.check_images(ws, image_check.QUICK))
    except UserError as error:
        return str(error)


def size_text(ws: Workspace) -> str:
    """Such as "Fashion-MNIST: 5,000 training and 1,000 validation images, 10 classes, 100 planted label errors"."""
    planted = f", {write.counted(ws.planted, 'planted label error')}" if ws.planted else ""
    return (
        f"{ws.manifest['dataset']['name']}: {write.count(ws.n_train)} training and {write.count(ws.n_val)} validation "
        f"images, {len(ws.classes)} classes{planted}"
    )


def ranking_rows(ws: Workspace) -> list[dict]:
    """A row for each stored ranking."""
    rows = []
    for part, provenance in _parts_of(ws, "rankings/"):
        name = part.split("/")[1]
        check = provenance.get("alignment") or alignment.check_alignment(ws.ranking(name)).to_json()
        rows.append(
            {
                "ranking": name,
                "method": provenance.get("method", name),
                "harmful scores": "yes" if provenance.get("signed") else "no",
                "top image has the target's class": f"{check['top1_same_class']:.0%} (chance {check['chance']:.0%})",
                "made": provenance.get("made", ""),
            }
        )
    return rows


def ranking_details(ws: Workspace) -> list[dict]:
    """Where each stored ranking comes from."""
    return [
        {"ranking": part.split("/")[1], "made for": _made_for(provenance), **_origin(provenance)}
        for part, provenance in _parts_of(ws, "rankings/")
    ]


def _made_for(provenance: dict) -> str:
    made_for = provenance.get("made_for") or {}
    return " ".join(filter(None, [made_for.get("recipe"), made_for.get("hash")])) or "unknown"


def _origin(provenance: dict) -> dict:
    """The columns of every table of details."""
    seconds = provenance.get("seconds")
    return {
        "from": provenance.get("file") or provenance.get("command", "unknown"),
        "took": "not recorded" if seconds is None else write.seconds(seconds),
        "size": write.byte_size(sum(provenance.get("files", {}).values())),
    }


def feature_rows(ws: Workspace) -> list[dict]:
    """A row for each feature set."""
    return [
        {
            "features": part.split("/")[1],
            "dimensions": provenance.get("dim"),
            "kNN accuracy": f"{provenance['knn_accuracy']:.1%}"
            if provenance.get("knn_accuracy")
            else "not measured yet",
            "made": provenance.get("made", ""),
        }
        for part, provenance in _parts_of(ws, "features/")
    ]


def feature_details(ws: Workspace) -> list[dict]:
    """Where each feature set comes from."""
    return [
        {
            "features": part.split("/")[1],
            "kNN measured on": provenance.get("measured_on", "nothing yet"),
            **_origin(provenance),
        }
        for part, provenance in _parts_of(ws, "features/")
    ]


def detector_rows(ws: Workspace) -> list[dict]:
    """A row for each stored detector of label errors."""
    return [
        {
            "detector": part.split("/")[1],
            "rests on": provenance.get("about", ""),
            "validation images used": "first half" if provenance.get("uses_val") else "none",
            "made": provenance.get("made", ""),
        }
        for part, provenance in _parts_of(ws, "detectors/")
    ]


def detector_details(ws: Workspace) -> list[dict]:
    """Where each detector comes from."""
    return [{"detector": part.split("/")[1], **_origin(provenance)} for part, provenance in _parts_of(ws, "detectors/")]


def live_rankings_text(ws: Workspace) -> str:
    """One sentence on the rankings that are computed when asked: each method, and the features it is of."""
    by_method: dict[str, list[str]] = {}
    for name in ws.rankings():
        if ws.ranking(name).live:
            method, _, feature = name.partition("-")
            by_method.setdefault(method, []).append(feature)
    by_features: dict[str, list[str]] = {}
    for method, features in by_method.items():
        by_features.setdefault(", ".join(filter(None, features)), []).append(method)
    return (
        "Computed when asked: "
        + "; ".join(
            ", ".join(methods) + (f", each of {features}" if features else "")
            for features, methods in by_features.items()
        )
        + "."
    )


def model_rows(ws: Workspace) -> list[dict]:
    """A row for each model: a recipe whose base predictions the workspace holds."""
    rows = []
    for model in base_models.describe_models(ws):
        lds = ws.with_model(model["recipe"]).manifest["parts"].get("lds")
        halves = f"{lds['masks']} x {write.counted(len(lds.get('seeds') or [0]), 'seed')}" if lds else "none: no LDS"
        rows.append(
            {
                "model": model["recipe"],
                "networks": model["models"],
                "accuracy": "not measured yet" if model["accuracy"] is None else f"{model['accuracy']:.1%}",
                "models on random halves": halves,
                "can be retrained": "no" if model["warning"] else "yes",
                "made": model["made"] or "when it is needed",
            }
        )
    return rows


def model_details(ws: Workspace) -> list[dict]:
    """Where each model comes from."""
    rows = []
    for model in base_models.describe_models(ws):
        base = ws.with_model(model["recipe"]).manifest["parts"].get("base", {})
        rows.append(
            {
                "model": model["recipe"],
                "recipe hash": model["hash"] or "not recorded",
                "from": ", ".join(model["imported"]) if model["imported"] else base.get("command", model["how"]),
                "training images": base.get("train") or "not predicted",
                "one training took": write.seconds(base["seconds"]) if base.get("seconds") else "not recorded",
            }
        )
    return rows


def model_warnings(ws: Workspace) -> list[str]:
    """One sentence for each model whose predictions are not those of the recipe that would be retrained."""
    return [model["warning"] for model in base_models.describe_models(ws) if model["warning"]]


def removable_models(ws: Workspace) -> list[str]:
    """The models that were added, and can be taken out."""
    return [
        name
        for name in ws.models()
        if "base" in (view := ws.with_model(name)).manifest["parts"] and view.can_add("base")
    ]


def base_import_words(fields: dict) -> list[str]:
    """The words of an import of predictions: {"paths", "train"} text with a path a line, "kind", "recipe" and
    "out_of_sample"."""
    words = ["base", "import", *_paths(fields["paths"]), "--kind", fields["kind"], "--recipe", fields["recipe"]]
    for path in _paths(fields.get("train") or ""):
        words += ["--train", path]
    return words + (["--out-of-sample"] if fields.get("out_of_sample") and fields.get("train") else [])


def _paths(text: str) -> list[str]:
    return [str(user_path(line.strip())) for line in text.splitlines() if line.strip()]


def alignment_warnings(ws: Workspace) -> list[str]:
    """One sentence for each ranking that did not pass the alignment check."""
    return [
        f"{part.split('/')[1]}: {provenance['alignment']['warning']}"
        for part, provenance in _parts_of(ws, "rankings/")
        if provenance.get("alignment", {}).get("warning")
    ]


def user_parts(ws: Workspace) -> list[str]:
    """The rankings, feature sets, detectors and true labels that a user brought, as parts."""
    return [
        part
        for kind in ("rankings/", "features/", "detectors/", "truth")
        for part, provenance in _parts_of(ws, kind)
        if provenance.get("file") or "home" in provenance
    ]


def import_words(fields: dict) -> list[str]:
    """The words of an import that is judged at once: {"format", "path", "name"} and what was declared, None or "" where
    nothing was."""
    path = str(user_path(fields["path"]))
    words = ["show", path, "--name", fields["name"], "--format", fields["format"], "--no-serve", "--json"]
    for option in ("orientation", "sign", "index_base", "targets", "train", "part"):
        if fields.get(option) not in (None, ""):
            words += [f"--{option.replace('_', '-')}", str(fields[option])]
    words += {"whole": ["--dense"], "first": ["--top-only"]}.get(fields.get("keep"), [])
    return words + (["--force"] if fields.get("force") else [])


def _parts_of(ws: Workspace, prefix: str) -> list[tuple[str, dict]]:
    return sorted((part, provenance) for part, provenance in ws.manifest["parts"].items() if part.startswith(prefix))
