"""The texts of the Workspace page: tables of what is loaded, and the words of a command."""

from attribution import UserError, Workspace
from attribution.files import user_path
from attribution.importing import alignment
from attribution.runner.commands import Command
from attribution.workspace import base_models, image_check
from pages.ui import format as write


def images_text(ws: Workspace) -> str:
    """What there is to say of when the images were recorded, or ""."""
    try:
        return image_check.recorded_text(image_check.check_images(ws, image_check.QUICK))
    except UserError as error:
        return str(error)


def ranking_rows(ws: Workspace) -> list[dict]:
    """A row for each stored ranking."""
    rows = []
    for part, provenance in _parts_of(ws, "rankings/"):
        name, made_for = part.split("/")[1], provenance.get("made_for") or {}
        check = provenance.get("alignment") or alignment.check_alignment(ws.ranking(name)).to_json()
        rows.append(
            {
                "ranking": name,
                "method": provenance.get("method", name),
                "signed": "yes" if provenance.get("signed") else "no",
                "first image of the target's class": f"{check['top1_same_class']:.0%} (chance {check['chance']:.0%})",
                "made for": " ".join(filter(None, [made_for.get("recipe"), made_for.get("hash")])) or "unknown",
                "from": provenance.get("file") or provenance.get("command", "unknown"),
                "made": provenance.get("made", ""),
                "seconds": provenance.get("seconds"),
                "MiB": size_mib(provenance),
            }
        )
    return rows


def feature_rows(ws: Workspace) -> list[dict]:
    """A row for each feature set."""
    return [
        {
            "features": part.split("/")[1],
            "dimensions": provenance.get("dim"),
            "kNN accuracy": f"{provenance['knn_accuracy']:.1%}" if provenance.get("knn_accuracy") else "not measured",
            "measured on": provenance.get("measured_on", ""),
            "from": provenance.get("file") or provenance.get("command", "unknown"),
            "made": provenance.get("made", ""),
            "seconds": provenance.get("seconds"),
            "MiB": size_mib(provenance),
        }
        for part, provenance in _parts_of(ws, "features/")
    ]


def detector_rows(ws: Workspace) -> list[dict]:
    """A row for each stored detector of mislabeled images."""
    return [
        {
            "detector": part.split("/")[1],
            "rests on": provenance.get("about", ""),
            "validation images": "first half" if provenance.get("uses_val") else "none",
            "from": provenance.get("command", "unknown"),
            "made": provenance.get("made", ""),
            "seconds": provenance.get("seconds"),
            "MiB": size_mib(provenance),
        }
        for part, provenance in _parts_of(ws, "detectors/")
    ]


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
        parts = ws.with_model(model["recipe"]).manifest["parts"]
        base, lds = parts.get("base", {}), parts.get("lds")
        rows.append(
            {
                "model": model["recipe"],
                "recipe hash": model["hash"] or "not recorded",
                "networks": model["models"],
                "right": f"{model['accuracy']:.1%}" if model["accuracy"] is not None else "",
                "held-out halves": f"{lds['masks']} x {len(lds.get('seeds') or [0])} seeds" if lds else "none: no LDS",
                "from": ", ".join(model["imported"]) if model["imported"] else base.get("command", model["how"]),
                "training images": base.get("train") or "",
                "made": model["made"] or "",
                "seconds": base.get("seconds"),
                "retrains": "no" if model["warning"] else "yes",
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
    """The rankings, feature sets and detectors that a user brought, as parts."""
    return [
        part
        for kind in ("rankings/", "features/", "detectors/")
        for part, provenance in _parts_of(ws, kind)
        if provenance.get("file") or "home" in provenance
    ]


def size_mib(provenance: dict) -> float:
    """Mebibytes of a part's files."""
    return round(sum(provenance.get("files", {}).values()) / 2**20, 1)


def import_words(fields: dict) -> list[str]:
    """The words of an import: {"format", "path", "name"} and what was declared, None or "" where nothing was."""
    words = ["import", fields["format"], str(user_path(fields["path"])), "--name", fields["name"]]
    for option in ("orientation", "sign", "index_base", "targets", "train", "part"):
        if fields.get(option) not in (None, ""):
            words += [f"--{option.replace('_', '-')}", str(fields[option])]
    words += {"whole": ["--dense"], "first": ["--top-only"]}.get(fields.get("keep"), [])
    return words + (["--force"] if fields.get("force") else [])


def command_text(command: Command) -> str:
    """A command and its state, in a line of markdown."""
    what = " ".join(
        command.words[: command.words.index("--workspace")] if "--workspace" in command.words else command.words
    )
    end = {
        "running": "running",
        "done": "done",
        "failed": "failed",
        "cancelled": "cancelled",
        "lost": "gone without a word; start it again",
    }[command.state]
    message = f": {command.message}" if command.message and command.state in ("done", "failed") else ""
    return write.plain(f"{what} · {end}, {write.seconds(command.seconds)}{message}")


def _parts_of(ws: Workspace, prefix: str) -> list[tuple[str, dict]]:
    return sorted((part, provenance) for part, provenance in ws.manifest["parts"].items() if part.startswith(prefix))
