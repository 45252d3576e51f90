"""The `assay` command: finds subcommands, loads only the one that is used, and turns errors into messages."""

from __future__ import annotations

import importlib
import sys

import click

from assay.core.errors import AssayError, StoreError

_COMMANDS = {
    "init": ("assay.cli.init", "Write a working project into a folder."),
    "run": ("assay.cli.run", "Run evals and report."),
    "resume": ("assay.cli.run", "Continue an interrupted run."),
    "rejudge": ("assay.cli.run", "Judge a run's episodes again, without calling the agent."),
    "report": ("assay.cli.report", "Show or export the report of a run."),
    "compare": ("assay.cli.report", "Compare two runs, paired by case."),
    "gate": ("assay.cli.report", "Decide: PASS, FAIL, INCONCLUSIVE or INVALID."),
    "runs": ("assay.cli.browse", "List runs."),
    "show": ("assay.cli.browse", "Show one episode: verdicts, conversation, tool calls, effects."),
    "export": ("assay.cli.export", "Write episodes, verdicts or traces of a run to a file."),
    "import": ("assay.cli.imports", "Turn other tools' data into a dataset."),
    "schema": ("assay.cli.schema", "Print the JSON Schema of a file format."),
    "doctor": ("assay.cli.doctor", "Check this machine and this project."),
}
_STORE_FAILED = 4


class _Commands(click.Group):
    """Knows every command by name and help; imports its module only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        attribute = "import_" if cmd_name == "import" else cmd_name
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from assay.core.tables import nearest

            hint = nearest(args[0], _COMMANDS)
            raise click.UsageError(f"{error.message} {hint}".strip(), ctx) from error


_EPILOG = """\b
Examples:
  assay init my-evals             start a project
  assay run booking               run one eval and print its report
  assay run --all --plan          what would run, and why
  assay show latest               open the first failure of the newest run
  assay compare RUN_A RUN_B       what changed between two runs

Exit codes: 0 PASS (or no gate), 1 FAIL, 2 usage or configuration, 3 INCONCLUSIVE, 4 INVALID, 130 interrupted.
Shell completion: eval "$(_ASSAY_COMPLETE=bash_source assay)" (or zsh_source, fish_source)."""


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="assay")
def cli() -> None:
    """Eval infrastructure for AI agents: judges + dataset + agent harness in, one trustworthy report out."""


def main() -> None:
    """Run the command line; every error that assay raises on purpose is a message and an exit code."""
    try:
        cli()
    except StoreError as error:
        click.echo(f"assay: the store failed, so this run is not to be trusted: {error}", err=True)
        sys.exit(_STORE_FAILED)
    except AssayError as error:
        for line in str(error).splitlines():
            click.echo(f"assay: {line}", err=True)
        sys.exit(2)
