"""All commands and groups of commands, in the order that `--help` lists them."""

import typer

from attribution.cli import audit, build, checks, evaluate, export, importing, inspect, jobs, retrain, workspace

COMMANDS = {
    "prune": retrain.prune,
    "duplicates": inspect.duplicates,
    "worth": audit.worth,
    "import": importing.import_command,
    "show": importing.show,
    "info": inspect.info,
    "rank": inspect.rank,
    "reach": inspect.reach,
    "retrain": retrain.retrain,
    "support": retrain.support,
    "study": retrain.study,
    "runner": jobs.runner,
}
#: Name of a group -> its help and its commands.
GROUPS = {
    "features": (
        "Feature sets of your own: train, import.",
        {
            "import": importing.features_import,
            "train": build.features_train,
            "embed": build.features_embed,
            "project": build.features_project,
        },
    ),
    "halves": (
        "Models on random halves of the training set, which LDS is measured on: train, import.",
        {"import": importing.halves_import, "train": build.halves_train},
    ),
    "evaluate": (
        "Measure rankings: supports, agreement, lds, cost, compute, conditioning, hubs; and detectors: mislabels.",
        {
            "supports": evaluate.evaluate_supports,
            "agreement": checks.evaluate_agreement,
            "conditioning": evaluate.evaluate_conditioning,
            "hubs": checks.evaluate_hubs,
            "backdoor": checks.evaluate_backdoor,
            "sanity": checks.evaluate_sanity,
            "compute": evaluate.evaluate_compute,
            "algorithms": checks.evaluate_algorithms,
            "lds": evaluate.evaluate_lds,
            "cost": evaluate.evaluate_cost,
            "lds-supports": evaluate.evaluate_lds_supports,
            "calibration": evaluate.evaluate_calibration,
            "mislabels": checks.evaluate_mislabels,
            "transfer": evaluate.evaluate_transfer,
        },
    ),
    "workspace": (
        "Workspaces of your own: create, poison, locate, remove.",
        {
            "create": workspace.workspace_create,
            "poison": workspace.workspace_poison,
            "locate": workspace.workspace_locate,
            "remove": workspace.workspace_remove,
        },
    ),
    "base": ("Models of the unedited training set, which differ in the seed alone.", {"train": build.base_train}),
    "rankings": ("Rankings of your own: build.", {"build": build.rankings_build}),
    "demo": ("The bundled demo workspace.", {"build": build.demo_build, "export-study": build.demo_export_study}),
    "detectors": (
        "Detectors of mislabeled training images: build, list.",
        {"build": audit.detectors_build, "list": audit.detectors_list},
    ),
    "export": (
        "Take results home.",
        {
            "figure": export.export_figure,
            "report": export.export_report,
            "ranking": export.export_ranking,
            "corrections": export.export_corrections,
        },
    ),
    "jobs": (
        "What runs in the background.",
        {
            "list": jobs.jobs_list,
            "show": jobs.jobs_show,
            "pause": jobs.jobs_pause,
            "resume": jobs.jobs_resume,
            "cancel": jobs.jobs_cancel,
        },
    ),
}


def _create_app() -> typer.Typer:
    created = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help="Lineup: data attribution on images, from the command line.",
    )
    for name, command in COMMANDS.items():
        created.command(name)(command)
    for name, (help_text, commands) in GROUPS.items():
        group = typer.Typer(no_args_is_help=True, help=help_text)
        for word, command in commands.items():
            group.command(word)(command)
        created.add_typer(group, name=name)
    return created


app = _create_app()
