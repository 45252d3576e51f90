"""Every example in README and docs runs, and prints what the page says.

Fenced blocks of one page run in order in one empty folder. ```LANG file=PATH writes a file. ```console runs the lines that
start with "$ "; the other lines must appear in the output in that order, "…" standing for anything. ```python runs as a script.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)(?: file=(\S+))?[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(msgspec.Struct, frozen=True, kw_only=True):
    language: str
    file: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(language=match[1], file=match[2] or "", text=match[3], line=text[: match.start()].count("\n") + 1)
        for match in FENCE.finditer(text)
    ]


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in {"ASSAY_STORE", "PYTHONPATH"}}
    return kept | {"PATH": path, "HOME": str(folder), "COLUMNS": "100", "ASSAY_EXAMPLES": str(ROOT / "examples")}


def run(command: list[str] | str, folder: Path, *, shell: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        shell=shell,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        executable="/bin/bash" if shell else None,
    )


def check_output(wanted: list[str], output: str, where: str) -> None:
    position = 0
    lines = output.splitlines()
    for line in wanted:
        pattern = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("…")))
        while position < len(lines) and not pattern.fullmatch(lines[position].rstrip()):
            position += 1
        assert position < len(lines), f"{where}: not in the output, or not in this order: {line!r}\n{output}"
        position += 1


def run_console(block: Block, folder: Path, where: str) -> Path:
    """Run the commands of a block; `cd` lasts."""
    steps: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line.strip():
            steps[-1][1].append(line)
    for command, wanted in steps:
        if command.startswith("cd "):
            folder = (folder / command[3:]).resolve()
            continue
        done = run(command, folder, shell=True)
        assert done.returncode in {0, 1, 3}, f"{where}: {command} exited {done.returncode}\n{done.stdout}"
        check_output(wanted, done.stdout, f"{where}: {command}")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run_and_print_what_it_says(page: Path, tmp_path: Path) -> None:
    folder = tmp_path
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.file:
            target = folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        elif block.language == "console":
            folder = run_console(block, folder, where)
        elif block.language == "python":
            script = folder / "example.py"
            script.write_text(block.text)
            done = run([sys.executable, str(script)], folder)
            assert done.returncode == 0, f"{where}:\n{done.stdout}"


def test_every_page_is_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    missing = [page.name for page in PAGES[1:] if f"docs/{page.name}" not in text]
    assert not missing


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken
