from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from assay import Case, ConfigError, Eval, EvalSettings, GateRules, Limits, Tier, judge
from assay.core.case import Dataset
from assay.core.errors import AssayError
from assay.core.plan import Action
from assay.eval.config import Config
from assay.harnesses.function import FunctionHarness
from tests.eval import agents

CASES = [Case(id=f"c{number}", input=f"order {number}", tags=("odd",) if number % 2 else ()) for number in range(6)]


@judge
def polite(episode):
    return "please" in episode.output


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(root=tmp_path, store_url=str(tmp_path / "assay.db"))


@pytest.fixture(params=["task", "process", "jail"])
def settings(request: pytest.FixtureRequest) -> Iterator[EvalSettings]:
    return EvalSettings(isolation=request.param, concurrency=4)


def test_a_function_is_evaluated_in_every_isolation(config: Config, settings: EvalSettings) -> None:
    report = Eval([polite], CASES, agents.waiter, config=config, settings=settings).run()
    assert report.status == "finished"
    assert (report.overall.passed, report.overall.judged) == (6, 6)
    assert report.manifest.isolation == settings.isolation
    assert report.hermetic.complete is (settings.isolation == "jail")


def test_turns_share_a_session_and_episodes_do_not(config: Config, settings: EvalSettings) -> None:
    cases = [Case(id=f"c{number}", input=["a", "b", "c"]) for number in range(3)]

    @judge
    def counted(episode):
        return episode.outputs == ("1 a", "2 b", "3 c")

    report = Eval([counted], cases, agents.counting, config=config, settings=settings).run()
    assert report.overall.passed == 3


def test_files_and_databases_are_fresh_and_their_changes_are_effects(config: Config, settings: EvalSettings) -> None:
    (config.root / "seed.sql").write_text("CREATE TABLE stays (id INTEGER PRIMARY KEY, guest TEXT);")
    (config.root / "assay.toml").write_text(
        "[harness.hotel]\n"
        'target = "tests.eval.agents:booking"\n'
        f'python_path = ["{Path(__file__).parents[2]}"]\n'
        '[harness.hotel.world.databases.hotel]\nseed = ["seed.sql"]\n'
    )
    from assay.eval.config import load_config

    @judge
    def booked_once(episode):
        rows = episode.effects.table("stays").added
        return [row["guest"] for row in rows] == [episode.case.input] and rows[0]["id"] == 1

    @judge
    def wrote_note(episode):
        return [(file.path, file.text) for file in episode.effects.files if file.path == "note.txt"] == [
            ("note.txt", episode.case.input)
        ]

    report = Eval([booked_once, wrote_note], CASES, "hotel", config=load_config(config.root), settings=settings).run()
    assert [each.passed for each in report.judges] == [6, 6]
    assert report.hermetic.world_digests == 0


def test_agent_errors_are_told_apart_from_infrastructure(config: Config, settings: EvalSettings) -> None:
    cases = [Case(id=verb, input=verb) for verb in ("raise", "exit", "hang", "fine", "unserializable", "forever")]
    limited = msgspec.structs.replace(settings, limits=Limits(wall_s=1.5), retries=0)
    report = Eval([polite], cases, agents.misbehaving, config=config, settings=limited).run()
    failures = {item.case_id: item for item in report.failures}
    assert failures["raise"].kind == "agent_error"
    assert "the kettle is broken" in failures["raise"].reason
    assert failures["exit"].kind == "agent_error"
    assert failures["forever"].kind == "agent_error"
    assert "1.5" in failures["forever"].reason
    assert "fine" not in failures
    assert report.coverage.infra_error == 0


def test_lambdas_run_as_task_and_say_why(config: Config) -> None:
    report = Eval([polite], CASES, lambda order: f"{order}, please", config=config).run()
    assert report.overall.passed == 6
    assert report.manifest.isolation == "task"
    assert "cannot be imported" in report.manifest.isolation_note
    assert not report.hermetic.complete


def test_inside_an_event_loop_there_is_arun(config: Config) -> None:
    evaluation = Eval([polite], CASES, agents.waiter, config=config, settings=EvalSettings(isolation="task"))

    async def both() -> int:
        with pytest.raises(AssayError, match="arun"):
            evaluation.run()
        return (await evaluation.arun(fresh=True)).overall.passed

    assert asyncio.run(both()) == 6


def test_a_process_with_threads_can_run_evals_too(config: Config) -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        evaluation = Eval(
            [agents.says_please], CASES, agents.waiter, config=config, settings=EvalSettings(isolation="task")
        )
        assert evaluation.run().overall.passed == 6
    finally:
        release.set()
        thread.join()


def test_attempts_tags_and_gates(config: Config) -> None:
    settings = EvalSettings(
        isolation="task", attempts=3, tags=("odd",), gate=GateRules(minimum=0.9), link="https://t.example/{trace_id}"
    )
    report = Eval([polite], CASES, lambda order: order, config=config, settings=settings).run()
    assert report.coverage.planned == 9
    assert report.overall.value == 0.0
    assert report.decision.outcome == "FAIL"
    assert report.decision.exit_code == 1
    assert [repeat.k for repeat in report.repeats] == [1, 2, 3]
    assert report.failures[0].link == f"https://t.example/{report.failures[0].trace_id}"


def test_the_same_inputs_give_the_same_report(config: Config) -> None:
    def numbers(workers: int) -> bytes:
        settings = EvalSettings(isolation="task", attempts=2, workers=workers)
        report = Eval([polite], CASES, agents.seeded, config=config, settings=settings).run(fresh=True)
        kept = [
            [(each.case_id, each.attempt, each.reason) for each in report.failures],
            report.overall,
            report.judges,
            report.repeats,
            report.slices,
            report.coverage,
        ]
        return msgspec.json.encode(kept)

    assert numbers(1) == numbers(2) == numbers(2)


def test_a_plan_says_what_would_happen(config: Config) -> None:
    evaluation = Eval([polite], CASES, agents.waiter, config=config, settings=EvalSettings(isolation="task"))
    assert evaluation.plan().count(Action.run) == 6
    evaluation.run()
    assert evaluation.plan().count(Action.reuse) == 6
    assert evaluation.plan(fresh=True).count(Action.run) == 6
    other = Eval([agents.says_please], CASES, agents.waiter, config=config, settings=EvalSettings(isolation="task"))
    assert other.plan().count(Action.rejudge) == 6


def test_judges_datasets_and_harnesses_are_all_checked_before_anything_runs(config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        Eval(["nobody", "math:no_such_function"], "no/such/dataset", "no-such-harness", config=config)
    text = str(caught.value)
    for wanted in ("nobody", "no_such_function", "no/such/dataset", "no-such-harness"):
        assert wanted in text


def test_two_judges_of_one_name_are_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match="two judges are named"):
        Eval([polite, polite], CASES, agents.waiter, config=config)


def test_isolation_that_a_harness_cannot_have_is_refused(config: Config) -> None:
    evaluation = Eval([polite], CASES, lambda order: order, config=config, settings=EvalSettings(isolation="jail"))
    with pytest.raises(ConfigError, match="cannot run with isolation"):
        evaluation.run()


def test_a_dataset_keeps_its_tier(config: Config) -> None:
    dataset = Dataset.of(CASES, name="orders", tier=Tier.golden)
    settings = EvalSettings(isolation="task")
    report = Eval([polite], dataset, FunctionHarness.of(agents.waiter), config=config, settings=settings).run()
    assert (report.manifest.tier, report.manifest.dataset) == ("golden", "orders")
    assert report.manifest.eval_name == "orders"


def test_importing_assay_is_light() -> None:
    code = (
        "import sys, assay\n"
        "heavy = {'numpy', 'scipy', 'sqlalchemy', 'rich', 'jinja2', 'click', 'alembic', 'httpx2', 'opentelemetry'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
        "print(*[name for name in assay.__all__ if getattr(assay, name, None) is None])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [], done.stderr
    code = "import sys; sys.argv = ['assay', '--help']\ntry:\n from assay.cli.main import main; main()\nexcept SystemExit: pass\n"
    code += "assert not {'numpy', 'scipy', 'sqlalchemy', 'rich', 'jinja2', 'alembic'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
