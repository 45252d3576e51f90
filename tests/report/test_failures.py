from __future__ import annotations

import shlex

import pytest

from assay.report.failures import by_episode, show_command
from tests.report.made import failure


def test_failures_of_one_episode_are_one_group_in_order():
    items = [failure("a"), failure("b"), failure("a", "tone"), failure("c", "", kind="agent_error")]
    assert [[(item.case_id, item.judge) for item in group] for group in by_episode(items)] == [
        [("a", "exact"), ("a", "tone")],
        [("b", "exact")],
        [("c", "")],
    ]


@pytest.mark.parametrize("identity", ["06h0bg", "a; rm -rf ~", "$(id)", "a'b", "a\nb", "\x1b[31m"])
def test_the_command_is_three_words_in_a_shell(identity):
    assert len(shlex.split(show_command(identity))) == 3
    assert "\n" not in show_command(identity)
