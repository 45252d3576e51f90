"""Trajectories of tau-bench (https://github.com/sierra-research/tau-bench): its result files become cases and recordings.

A result file is a JSON list with one entry per task and trial: the conversation as chat messages, the task with its
golden actions, and the reward, which compares the database after the conversation with the one after the golden
actions and looks for required outputs in what the agent said.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.core.case import Case
from assay.core.codec import decode_json
from assay.core.episode import Failure, Outcome
from assay.core.errors import ConfigError, Problem
from assay.core.recording import Recording
from assay.datasets.imported import Imported
from assay.datasets.problems import shown_path
from assay.datasets.transcripts import ChatMessage, Transcript, outputs_of, trace_of

REWARD = "tau_bench.reward"
ENDED = "tau_bench.ended"
_MOST_BYTES = 1 << 30
_READING = re.compile(r"(get|list|search|find)_|(calculate|think|transfer_to_human_agents)$")
_FILE_NAME = re.compile(r"(?P<model>.+)-(?P<domain>airline|retail|telecom)")


class _Action(msgspec.Struct, frozen=True):
    name: str
    kwargs: dict[str, Any] = {}


class _Task(msgspec.Struct, frozen=True):
    instruction: str
    user_id: str = ""
    actions: tuple[_Action, ...] = ()
    outputs: tuple[Any, ...] = ()


class _Info(msgspec.Struct, frozen=True):
    task: _Task
    reward_info: dict[str, Any] | None = None
    user_cost: float | None = None


class _Trial(msgspec.Struct, frozen=True):
    task_id: int
    reward: float
    info: _Info
    traj: tuple[ChatMessage, ...]
    trial: int = 0


def import_tau_bench(path: Path) -> Imported:
    """Make a case of every task and a recording of every trial.

    The reward is the attribute `tau_bench.reward` of the trace's root span, where judges can read it, and
    `tau_bench.ended` says who ended the conversation. Tasks of one simulated user share a cluster: they are variations
    of one story.
    """
    file = _file_in(path)
    trials = decode_json(_read(file), list[_Trial], path=shown_path(file))
    if not trials:
        raise ConfigError([Problem(message="holds no trial", path=shown_path(file))])
    tasks: dict[int, _Task] = {}
    counts: dict[int, int] = {}
    recordings: list[Recording] = []
    problems: list[Problem] = []
    names = _FILE_NAME.match(file.name)
    model, domain = (names["model"], names["domain"]) if names else ("", "tau-bench")
    for trial in sorted(trials, key=lambda one: (one.task_id, one.trial)):
        if tasks.setdefault(trial.task_id, trial.info.task) != trial.info.task:
            problems.append(Problem(message=f"task {trial.task_id} differs between trials", path=shown_path(file)))
        attempt = counts.get(trial.task_id, 0)
        counts[trial.task_id] = attempt + 1
        recordings.append(_recording(trial, attempt, domain, model))
    if problems:
        raise ConfigError(problems)
    cut = sum(recording.outcome is not Outcome.finished for recording in recordings)
    return Imported(
        name=f"tau-bench-{domain}" if names else domain,
        cases=[_case(number, task, domain, file) for number, task in tasks.items()],
        recordings=recordings,
        notes=tuple(_notes(counts, cut)),
        purpose=f"Tasks of tau-bench ({domain}) with recorded attempts{f' of {model}' if model else ''}.",
    )


def _case(number: int, task: _Task, domain: str, file: Path) -> Case:
    actions = [{"tool": action.name, "arguments": action.kwargs} for action in task.actions]
    writes = sorted({action.name for action in task.actions if not _READING.match(action.name)})
    return Case(
        id=_case_id(domain, number),
        input=task.instruction,
        expected={"actions": actions, "outputs": [str(output) for output in task.outputs]},
        tags=tuple(writes or ["no_change"]),
        source={"kind": "tau-bench", "domain": domain, "task_id": number, "file": file.name, "user_id": task.user_id},
        cluster=task.user_id or None,
    )


def _recording(trial: _Trial, attempt: int, domain: str, model: str) -> Recording:
    ended = _ended(trial)
    failure = None
    if ended == "step_limit":
        message = "the benchmark's step limit ended the conversation"
        failure = Failure(boundary="limit", kind="steps", message=message)
    transcript = Transcript(
        name=domain,
        key=f"tau-bench/{domain}/{trial.task_id}/{trial.trial}",
        model=model,
        messages=trial.traj,
        attributes={REWARD: trial.reward, ENDED: ended, "tau_bench.trial": trial.trial},
        failure=failure.message if failure else "",
    )
    meta = {
        "reward": trial.reward,
        "task_id": trial.task_id,
        "trial": trial.trial,
        "user_cost_usd": trial.info.user_cost,
    }
    return Recording(
        case=_case_id(domain, trial.task_id),
        attempt=attempt,
        outcome=Outcome.agent_error if failure else Outcome.finished,
        outputs=outputs_of(trial.traj),
        trace=trace_of(transcript),
        failure=failure,
        meta=meta | {"reward_info": (trial.info.reward_info or {}).get("info")},
    )


def _ended(trial: _Trial) -> str:
    """Say who ended a conversation: `user`, `agent` (by transfer to a person) or `step_limit`."""
    last = trial.traj[-1] if trial.traj else ChatMessage(role="")
    if last.role == "user" and "###STOP###" in last.text:
        return "user"
    if last.role == "tool" and last.name == "transfer_to_human_agents":
        return "agent"
    return "step_limit" if trial.info.reward_info is None else "unknown"


def _case_id(domain: str, number: int) -> str:
    return f"{domain}-{number:03d}"


def _notes(counts: dict[int, int], cut: int) -> Sequence[str]:
    notes = ["times of spans are made up: a second per message; the order is the recorded one"]
    if len(set(counts.values())) > 1:
        notes.append(f"tasks have between {min(counts.values())} and {max(counts.values())} trials")
    if cut:
        notes.append(f"{cut} trials ended at the step limit and are recorded as agent_error")
    return notes


def _file_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.name.endswith((".json", ".json.gz")))
    if len(found) != 1:
        hint = f"name the file: {', '.join(file.name for file in found)}" if found else "name a .json or .json.gz file"
        raise ConfigError([Problem(message=f"holds {len(found)} result files", path=shown_path(path), hint=hint)])
    return found[0]


def _read(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data: bytes = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError([Problem(message=f"cannot be read: {error}", path=shown_path(path))]) from error
    if len(data) > _MOST_BYTES:
        raise ConfigError([Problem(message="is larger than 1 GiB", path=shown_path(path))])
    return data
