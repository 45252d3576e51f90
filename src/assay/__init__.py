"""assay: eval infrastructure for AI agents.

Judges + dataset + agent harness in, one trustworthy report out::

    from assay import Case, Eval, judge

    @judge
    def polite(episode):
        return "please" in episode.output

    report = Eval([polite], [Case(id="tea", input="tea")], my_agent).run()

Every public name is loaded on first use, so importing assay costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.core.case import Case, Dataset, Tier
    from assay.core.effects import Effects
    from assay.core.episode import Episode, Failure, Outcome
    from assay.core.errors import AssayError, ConfigError
    from assay.core.report import Comparison, Report
    from assay.core.run import GateRules
    from assay.core.trace import Message, Span, ToolCall, Trace
    from assay.core.usage import Limits, Usage
    from assay.core.verdict import Verdict
    from assay.eval.evaluation import Eval
    from assay.eval.settings import EvalSettings
    from assay.judges.code import judge
    from assay.project.project import Project
    from assay.store.open import open_store

_HOMES = {
    "AssayError": "core.errors",
    "Case": "core.case",
    "Comparison": "core.report",
    "ConfigError": "core.errors",
    "Dataset": "core.case",
    "Effects": "core.effects",
    "Episode": "core.episode",
    "Eval": "eval.evaluation",
    "EvalSettings": "eval.settings",
    "Failure": "core.episode",
    "GateRules": "core.run",
    "Limits": "core.usage",
    "Message": "core.trace",
    "Outcome": "core.episode",
    "Project": "project.project",
    "Report": "core.report",
    "Span": "core.trace",
    "Tier": "core.case",
    "ToolCall": "core.trace",
    "Trace": "core.trace",
    "Usage": "core.usage",
    "Verdict": "core.verdict",
    "judge": "judges.code",
    "open_store": "store.open",
}

__all__ = [
    "AssayError",
    "Case",
    "Comparison",
    "ConfigError",
    "Dataset",
    "Effects",
    "Episode",
    "Eval",
    "EvalSettings",
    "Failure",
    "GateRules",
    "Limits",
    "Message",
    "Outcome",
    "Project",
    "Report",
    "Span",
    "Tier",
    "ToolCall",
    "Trace",
    "Usage",
    "Verdict",
    "judge",
    "open_store",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"assay.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
