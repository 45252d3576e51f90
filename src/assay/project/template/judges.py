"""Judges: functions of an episode. `True` passes, `False` fails, an exception means unjudged and never failed."""

from assay import Episode, Verdict, judge


@judge
def right_total(episode: Episode) -> Verdict:
    """Whether the customer was asked for the right sum."""
    got, expected = episode.output["total"], episode.case.expected["total"]
    return Verdict(passed=got == expected, reason=f"asked for {got}, expected {expected}")
