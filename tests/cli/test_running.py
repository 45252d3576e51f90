"""Commands that run, and the mistakes that people make."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ASSAY, assay


def test_a_second_eval_judges_and_calls_no_agent(shop: Path) -> None:
    assert assay(shop, "run").returncode == 0
    (shop / "evals/short.toml").write_text(
        'judges = [{ regex = "^.{0,60}$", on = "/answer", name = "short" }]\ndataset = "datasets/shop"\nharness = "shop"\n'
    )
    done = assay(shop, "run", "short")
    assert "6 judged again, 0 to run; no agent call" in done.stderr
    assert "overall  6 of 6 passed" in done.stdout
    again = assay(shop, "run", "--all", "--plan")
    assert again.stdout.count("6 reused") == 2


def test_an_edited_judge_is_asked_again_and_runs_can_be_compared(shop: Path) -> None:
    assay(shop, "run", "orders")
    judges = shop / "judges.py"
    judges.write_text(judges.read_text().replace("passed=got == expected", "passed=got >= expected"))
    done = assay(shop, "rejudge", "latest")
    assert done.returncode == 0, done.stderr
    assert "5 of 6 passed" in done.stdout
    first = assay(shop, "runs").stdout.splitlines()[2].split()[0]
    compared = assay(shop, "compare", first, "latest", "--json", "compare.json", "--markdown", "compare.md")
    assert compared.returncode == 0, compared.stderr
    value = json.loads((shop / "compare.json").read_text())
    assert [flip["case_id"] for flip in value["gained"]] == ["changed-mind"]
    assert any("right_total" in warning for warning in value["warnings"])


def test_a_changed_agent_runs_again(shop: Path) -> None:
    assay(shop, "run", "orders")
    agent = shop / "agent.py"
    agent.write_text(agent.read_text().replace('"tea": 3', '"tea": 4'))
    done = assay(shop, "run", "orders", "--plan")
    assert "6 to run" in done.stdout


def test_gates_in_an_eval_make_the_exit_code(shop: Path) -> None:
    path = shop / "evals/orders.toml"
    path.write_text(path.read_text() + "\n[gate]\nminimum = 0.99\n")
    done = assay(shop, "run", "orders")
    assert done.returncode == 1
    assert "FAIL" in done.stdout


def test_the_agent_cannot_read_the_answers(shop: Path) -> None:
    (shop / "agent.py").write_text(
        "from pathlib import Path\n"
        "HERE = Path(__file__).parent\n"
        "def agent(message):\n"
        "    seen = [name for name in ('datasets/shop/cases.jsonl', 'evals/orders.toml', '.assay/assay.db', 'assay.toml')\n"
        "            if (HERE / name).exists() and (HERE / name).read_bytes()]\n"
        "    return {'total': 0, 'answer': f'please {seen}'}\n"
    )
    done = assay(shop, "run", "orders", "--isolation", "jail")
    if done.returncode == 2 and "isolation" in done.stderr:
        pytest.skip(f"no jails here: {done.stderr}")
    shown = assay(shop, "show", "latest", "--case", "one-tea").stdout
    assert "please []" in shown


MISTAKES = """\
[harnes.shop]
kind = "function"

[harness.shop]
kind = "function"
target = "agent:agnet"
fingerprnt = ["agent.py"]

[harness.shop.limits]
wall_s = "long"
"""


def test_all_mistakes_are_reported_at_once_with_file_line_and_key(shop: Path) -> None:
    (shop / "assay.toml").write_text(MISTAKES)
    done = assay(shop, "run")
    assert done.returncode == 2
    assert "assay.toml:1: harnes: unknown table (did you mean 'harness'?)" in done.stderr
    assert "Traceback" not in done.stderr
    (shop / "assay.toml").write_text(MISTAKES.split("\n\n", 1)[1])
    (shop / "evals/orders.toml").write_text(
        'judges = ["judges:rigth_total", "polte"]\ndataset = "datasets/shp"\nharness = "shop"\natempts = 3\n'
    )
    done = assay(shop, "run")
    assert done.returncode == 2
    assert "evals/orders.toml:4: atempts: unknown key (did you mean 'attempts'?)" in done.stderr
    path = shop / "evals/orders.toml"
    path.write_text(path.read_text().replace("atempts = 3\n", ""))
    done = assay(shop, "run")
    for wanted in (
        "evals/orders.toml:1: judges[0]",
        "right_total",
        "evals/orders.toml:1: judges[1]",
        "datasets/shp: there is no such dataset",
        "assay.toml:4: harness.shop.fingerprnt: unknown key (did you mean 'fingerprint'?)",
        "assay.toml:7: harness.shop.limits.wall_s",
    ):
        assert wanted in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ('{"id": "a", "input": "x"}\n{"id": "a", "input": "y"}\n', "cases.jsonl:2"),
        ('{"id": "a", "input": "x"}\n{"id": "b", "input": \n', "cases.jsonl:2"),
        ('{"id": "a", "inptu": "x"}\n', "did you mean 'input'?"),
        ("", "holds no case"),
    ],
)
def test_bad_datasets_say_which_line(shop: Path, lines: str, wanted: str) -> None:
    (shop / "datasets/shop/cases.jsonl").write_text(lines)
    done = assay(shop, "run")
    assert done.returncode == 2
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr


def test_an_agent_that_cannot_be_imported_says_why(shop: Path) -> None:
    (shop / "agent.py").write_text("import nothing_like_this\ndef agent(message): ...\n")
    done = assay(shop, "run")
    assert done.returncode == 2
    assert "nothing_like_this" in done.stderr


def test_without_a_project_the_first_step_is_named(tmp_path: Path) -> None:
    done = assay(tmp_path, "run", "orders")
    assert done.returncode == 2
    assert "assay init" in done.stderr
    assert not list(tmp_path.iterdir()), "a failed command left files behind"


def test_init_overwrites_nothing(shop: Path) -> None:
    (shop / "agent.py").write_text("mine")
    done = assay(shop.parent, "init", "shop")
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (shop / "agent.py").read_text() == "mine"


def test_ctrl_c_says_how_to_go_on_and_resume_finishes(shop: Path) -> None:
    (shop / "agent.py").write_text(
        "import time\ndef agent(message):\n    time.sleep(0.4)\n    return {'total': 3, 'answer': 'please'}\n"
    )
    cases = shop / "datasets/shop/cases.jsonl"
    cases.write_text(
        "".join(json.dumps({"id": f"c{n}", "input": "tea", "expected": {"total": 3}}) + "\n" for n in range(60))
    )
    process = subprocess.Popen(
        [ASSAY, "run", "--concurrency", "2"],
        cwd=shop,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 60
    while " 60 episodes" not in assay(shop, "runs").stdout and "of 60" not in assay(shop, "runs").stdout:
        assert time.monotonic() < deadline
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "assay resume" in err
    assert "interrupted" in out
    done = assay(shop, "resume", "latest")
    assert done.returncode == 0, done.stderr
    assert "60 of 60 passed" in done.stdout or "60 finished" in done.stdout


def test_a_run_whose_store_fails_is_not_reported(shop: Path) -> None:
    store = shop / ".assay"
    store.mkdir()
    (store / "assay.db").write_bytes(b"this is no database at all" * 100)
    done = assay(shop, "run")
    assert done.returncode == 4
    assert "store" in done.stderr
    assert "overall" not in done.stdout
