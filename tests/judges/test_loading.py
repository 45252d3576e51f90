from __future__ import annotations

from pathlib import Path

import pytest

from assay.core.errors import ConfigError
from assay.judges.loading import load_object

FILES = {
    "good_judges.py": "def check(episode): return True\nclass Holder:\n    inner = check\n",
    "late_judges.py": "import json\n\nlimit = json.loads('{broken')\n",
    "odd_judges.py": "x = 1\ndef f(:\n    pass\n",
    "needy_judges.py": "\nimport a_module_that_nobody_has\n",
    "leaving_judges.py": "import sys\nsys.exit(3)\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, source in FILES.items():
        (tmp_path / name).write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_objects_are_found(root: Path):
    assert load_object("good_judges:check")(None) is True
    assert load_object("good_judges:Holder.inner") is load_object("good_judges:check")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("good_judges:chek", "'good_judges' has no 'chek' (did you mean 'check'?)"),
        ("good_judges:Holder.iner", "'good_judges' has no 'Holder.iner' (did you mean 'inner'?)"),
        ("god_judges:check", "there is no module 'god_judges' (did you mean 'good_judges'?)"),
        ("no.such.package:f", "there is no module 'no.such.package'"),
        ("good_judges", 'is no import path: write "module:function"'),
        ("good_judges:", 'is no import path: write "module:function"'),
        ("judges.py:f x", 'is no import path: write "module:function"'),
        (".judges:f", 'is no import path: write "module:function"'),
        ("late_judges:f", "importing 'late_judges' failed at {root}/late_judges.py:3: json.decoder.JSONDecodeError: "),
        ("odd_judges:f", "importing 'odd_judges' failed at {root}/odd_judges.py:2: SyntaxError: "),
        (
            "needy_judges:f",
            "importing 'needy_judges' failed at {root}/needy_judges.py:2: ModuleNotFoundError: No module named 'a_mod",
        ),
        ("leaving_judges:f", "importing 'leaving_judges' failed at {root}/leaving_judges.py:2: SystemExit: 3"),
    ],
)
def test_mistakes_say_what_and_where(root: Path, spec: str, message: str):
    with pytest.raises(ConfigError) as caught:
        load_object(spec, root=root)
    assert message.format(root=root) in str(caught.value)
