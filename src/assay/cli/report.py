"""`assay report`, `assay compare`, `assay gate`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from assay.cli.context import exit_code, here, project_store
from assay.cli.output import Outputs, output_options, show_comparison, show_report
from assay.core.run import GateRules
from assay.eval.reporting import build_report, check_gate, compare_runs


@click.command(
    epilog="\b\nExamples:\n  assay report\n  assay report 06h0bg --html report.html\n  assay report --junit out.xml"
)
@click.argument("run_id", default="latest")
@output_options
def report(run_id: str, *, outputs: Outputs) -> None:
    """Show the report of a run, or write it to files. RUN_ID may be a unique prefix or `latest`."""
    config = here()
    with project_store(config) as store:
        show_report(build_report(store, run_id, link=config.defaults.link), outputs, store)


@click.command(
    epilog="\b\nExamples:\n  assay compare 06h0bg 06h1xy\n  assay compare 06h0bg latest --markdown change.md"
)
@click.argument("run_a")
@click.argument("run_b", default="latest")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the comparison as JSON."
)
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write the comparison as Markdown.")
def compare(run_a: str, run_b: str, *, json_file: Path | None, markdown: Path | None) -> None:
    """Compare run B with run A (the baseline), paired by case: which cases flipped, and whether it can be chance."""
    with project_store() as store:
        comparison = compare_runs(store, run_a, run_b)
    show_comparison(comparison)
    if json_file is not None:
        from assay.report.export import report_json

        json_file.write_bytes(report_json(comparison))
        click.echo(f"wrote {json_file}")
    if markdown is not None:
        from assay.report.markdown import render_comparison_markdown

        markdown.write_text(render_comparison_markdown(comparison), encoding="utf-8")
        click.echo(f"wrote {markdown}")


@click.command(
    epilog="\b\nExamples:\n  assay gate\n  assay gate 06h0bg --minimum 0.9\n"
    "  assay gate latest --baseline 06h0bg --margin 0.03\n  assay gate --self-test"
)
@click.argument("run_id", default="latest")
@click.option("--minimum", type=click.FloatRange(0, 1), help="Pass rate that the lower bound must reach.")
@click.option("--baseline", help="Run that must not be regressed against; `latest` is the one before.")
@click.option("--margin", type=click.FloatRange(0, 1), help="Drop that must be ruled out to pass.")
@click.option("--max-infra", type=click.FloatRange(0, 1), help="Share lost to infrastructure that makes it INVALID.")
@click.option("--confidence", type=click.FloatRange(0.5, 1, min_open=True, max_open=True), help="Confidence of bounds.")
@click.option("--self-test", is_flag=True, help="Measure the gate's own false-alarm rate on the run's episodes (A/A).")
def gate(  # noqa: PLR0913 - one parameter per option is how click works
    run_id: str,
    *,
    minimum: float | None,
    baseline: str | None,
    margin: float | None,
    max_infra: float | None,
    confidence: float | None,
    self_test: bool,
) -> None:
    """Decide a run by its rules, or by the rules given here: the exit code is the decision."""
    given = {
        key: value
        for key, value in (
            ("minimum", minimum),
            ("baseline", baseline),
            ("margin", margin),
            ("max_infra", max_infra),
            ("confidence", confidence),
        )
        if value is not None
    }
    with project_store() as store:
        rules = msgspec.structs.replace(store.run(run_id).manifest.gate or GateRules(), **given)
        if self_test:
            for sentence in check_gate(store, run_id, rules):
                click.echo(sentence)
            return
        decided = build_report(store, run_id, rules=rules).report
    decision = decided.decision
    if decision.outcome == "NONE":
        raise click.UsageError("there is no rule to decide by: give --minimum or --baseline, or [gate] in the eval")
    click.echo(decision.outcome)
    for reason in decision.reasons:
        click.echo(f"  {reason}")
    if decision.cases_needed is not None:
        click.echo(f"  needs about {decision.cases_needed:,} cases")
    sys.exit(exit_code(decided))
