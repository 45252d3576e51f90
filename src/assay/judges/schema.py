"""The judge `json_schema`: the output has the shape that a JSON Schema describes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar

from assay.core.episode import Episode
from assay.core.errors import Problem
from assay.core.verdict import Verdict
from assay.judges.builtin import BuiltIn
from assay.judges.subject import MISSING, parsed, shown, subject, subject_problem

_MOST_ERRORS = 10
_MESSAGE_CHARS = 300


class JsonSchema(BuiltIn, frozen=True, kw_only=True):
    """The output fits a JSON Schema; text is read as JSON first. References to other documents are never fetched."""

    kind: ClassVar[str] = "json_schema"
    shorthand: ClassVar[str] = "schema"

    schema: dict[str, Any]
    """The schema; its `$schema` names the draft, 2020-12 without one."""
    on: str = "output"
    """What is judged: `output` or a JSON Pointer into it."""
    check_formats: bool = False
    """Whether `format` is checked where the checker knows it (`date`, `email`, `ipv4`, ...)."""

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings."""
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for

        if problem := subject_problem(self.on):
            yield Problem(message=problem, key="on")
        try:
            validator_for(self.schema).check_schema(self.schema)
        except SchemaError as error:
            yield Problem(
                message=f"is no valid JSON Schema: {error.json_path}: {error.message[:_MESSAGE_CHARS]}", key="schema"
            )

    @cached_property
    def _validator(self) -> Any:
        from jsonschema.validators import validator_for
        from jsonschema_specifications import REGISTRY

        found = validator_for(self.schema)
        checker = found.FORMAT_CHECKER if self.check_formats else None
        return found(self.schema, registry=REGISTRY, format_checker=checker)

    def judge(self, episode: Episode) -> Verdict:
        """Validate the output; the reason lists what does not fit."""
        value = parsed(subject(episode, self.on))
        if value is MISSING:
            what = f"has nothing at {self.on}" if self.on.startswith("/") else "is no JSON"
            return Verdict(passed=False, reason=f"the output {what}: {shown(episode.output)}")
        try:
            errors = sorted(self._validator.iter_errors(value), key=lambda error: error.json_path)
        except RecursionError:
            return Verdict(passed=False, reason="the output nests too deeply to be checked")
        said = [f"{error.json_path}: {error.message[:_MESSAGE_CHARS]}" for error in errors[:_MOST_ERRORS]]
        if len(errors) > _MOST_ERRORS:
            said.append(f"and {len(errors) - _MOST_ERRORS} more")
        return Verdict(passed=not errors, reason="; ".join(said))
