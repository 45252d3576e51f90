from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from assay.core.errors import ConfigError, Problem
from assay.eval.toml import TomlFile

TEXT = """\
# a comment with = and [brackets]
name = "x"
dotted.key = 1
many = [
  "judges = not a key",
  "b",
]
text = \"\"\"
judges = "inside a string"
\"\"\"

[harness.booking]
kind = "function"
  indented = true

[harness."with.quotes"]
'odd key' = 1

[[step]]
tool = "a"
"""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    indented: int = 0


@pytest.fixture
def file(tmp_path: Path) -> TomlFile:
    path = tmp_path / "some.toml"
    path.write_text(TEXT)
    return TomlFile(path, shown="some.toml")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("name", 2),
        ("dotted.key", 3),
        ("many", 4),
        ("text", 8),
        ("harness.booking", 12),
        ("harness.booking.kind", 13),
        ("harness.booking.indented", 14),
        ("harness.booking.limits.wall_s", 12),
        ("harness.with.quotes", 16),
        ("harness.with.quotes.odd key", 17),
        ("step.tool", 20),
        ("harness", 12),
        ("dotted", 3),
        ("judges", None),
    ],
)
def test_the_line_of_a_key_is_where_it_stands_or_its_nearest_table(file: TomlFile, key: str, line: int | None) -> None:
    assert file.line(key) == line


def test_mistakes_come_with_file_line_and_key(file: TomlFile) -> None:
    problems: list[Problem] = []
    assert file.read(file.data["harness"]["booking"], Table, "harness.booking", problems) is None
    assert [str(problem) for problem in problems] == [
        "some.toml:14: harness.booking.indented: expected `int`, got `bool`"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb = = 2\n", r"some.toml:2: not valid TOML"),
        (b"a = '\xff'", r"some.toml: not UTF-8: byte 5"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "some.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        TomlFile(path, shown="some.toml")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"some.toml: No such file"):
        TomlFile(tmp_path / "absent.toml", shown="some.toml")
