"""All commands and groups of commands, in the order that `--help` lists them.

A command is called as its function: `evaluate_lds_supports` is `evaluate lds-supports`.
"""

import typer
from typer.core import TyperGroup

from attribution.cli import (
    audit,
    build,
    checks,
    evaluate,
    export,
    heads,
    importing,
    inspect,
    jobs,
    own_ranking,
    recipe,
    retrain,
    serving,
    with_model_option,
    workspace,
)

COMMANDS = [
    serving.serve,
    retrain.prune,
    inspect.duplicates,
    audit.faults,
    audit.worth,
    importing.import_,
    importing.show,
    inspect.info,
    inspect.rank,
    inspect.reach,
    heads.group,
    retrain.retrain,
    retrain.retrain_plan,
    retrain.retrain_collect,
    retrain.support,
    retrain.study,
    jobs.runner,
]
#: Name of a group -> its help and its commands.
GROUPS = {
    "features": (
        "Feature sets of your own: train, import.",
        [importing.features_import, build.features_train, build.features_embed, build.features_project],
    ),
    "halves": (
        "Models on random halves of the training set, which LDS is measured on: train, import.",
        [importing.halves_import, build.halves_train],
    ),
    "evaluate": (
        "Measure rankings: supports, agreement, trust, lds, cost, compute, conditioning, hubs; detectors: mislabels, "
        "inspection; labels: errors.",
        [
            evaluate.evaluate_supports,
            checks.evaluate_agreement,
            checks.evaluate_trust,
            checks.evaluate_metasmoothness,
            evaluate.evaluate_conditioning,
            checks.evaluate_hubs,
            checks.evaluate_backdoor,
            checks.evaluate_sanity,
            evaluate.evaluate_compute,
            checks.evaluate_algorithms,
            evaluate.evaluate_lds,
            evaluate.evaluate_cost,
            evaluate.evaluate_lds_supports,
            evaluate.evaluate_calibration,
            checks.evaluate_mislabels,
            audit.evaluate_inspection,
            audit.evaluate_errors,
            audit.evaluate_people,
            evaluate.evaluate_transfer,
            heads.evaluate_adaptive_supports,
            heads.evaluate_support_transfer,
            heads.evaluate_loo,
            heads.evaluate_subclass,
            heads.evaluate_removal,
        ],
    ),
    "workspace": (
        "Workspaces of your own: create, carry-over, poison, locate, remove.",
        [
            workspace.workspace_create,
            workspace.workspace_poison,
            workspace.workspace_carry_over,
            workspace.workspace_locate,
            workspace.workspace_remove,
        ],
    ),
    "base": (
        "Models of the unedited training set, of each recipe: train, import, list, compare.",
        [build.base_train, importing.base_import, importing.base_list, importing.base_compare, importing.base_remove],
    ),
    "recipe": (
        "Training code of your own: new, add, check, list, remove.",
        [recipe.recipe_new, recipe.recipe_add, recipe.recipe_check, recipe.recipe_list, recipe.recipe_remove],
    ),
    "rankings": (
        "Rankings of your own: build, firsts, combine, add, list, remove.",
        [
            build.rankings_build,
            build.rankings_firsts,
            own_ranking.rankings_combine,
            own_ranking.rankings_add,
            own_ranking.rankings_list,
            own_ranking.rankings_remove,
        ],
    ),
    "demo": ("The bundled demo workspace.", [build.demo_build, build.demo_export_study, build.demo_export_retrainings]),
    "detectors": (
        "Detectors of mislabeled training images: build, list, remove.",
        [audit.detectors_build, audit.detectors_list, audit.detectors_remove],
    ),
    "audit": ("Evidence about labels, all in one go: start.", [audit.audit_start]),
    "export": (
        "Write results to files.",
        [
            export.export_figure,
            export.export_report,
            export.export_ranking,
            export.export_halves,
            export.export_corrections,
        ],
    ),
    "jobs": (
        "What runs in the background.",
        [jobs.jobs_list, jobs.jobs_show, jobs.jobs_pause, jobs.jobs_resume, jobs.jobs_cancel],
    ),
}

#: Commands of two words whose first is a command itself.
TWO_WORDS = {retrain.retrain_plan: "retrain plan", retrain.retrain_collect: "retrain collect"}


class CommandGroup(TyperGroup):
    """Finds a command of two words before one of the first alone."""

    def resolve_command(self, ctx, args):
        """As click's, with "retrain plan" before "retrain"."""
        two = " ".join(args[:2])
        return super().resolve_command(ctx, [two, *args[2:]] if two in self.commands else args)


app = typer.Typer(
    cls=CommandGroup,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Lineup: data attribution on images, from the command line.",
)
for function in COMMANDS:
    app.command(TWO_WORDS.get(function, function.__name__.strip("_")))(with_model_option(function))
for name, (help_text, functions) in GROUPS.items():
    group = typer.Typer(no_args_is_help=True, help=help_text)
    for function in functions:
        command = function.__name__.removeprefix(f"{name}_").replace("_", "-")
        group.command(command)(with_model_option(function))
    app.add_typer(group, name=name)
