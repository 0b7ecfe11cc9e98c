"""The shape of the project itself: layers, lazy imports, small files, links that lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kestrel_lab"
OURS = ("kestrel_lab", "bpf", "rules", "tests", "bench", "scripts", "docs", "notebooks", ".ci")
TOP = ("Makefile", "pyproject.toml", "setup.py", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "MANIFEST.in")
CODE = {".py", ".c", ".h", ".lark", ".toml", ".sh", ""}


def text_files() -> Iterator[Path]:
    yield from (ROOT / name for name in TOP if (ROOT / name).exists())
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in CODE | {".md"} and "results" not in path.parts:
                yield path


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_layers_hold() -> None:
    done = run(str(Path(sys.executable).parent / "lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    code = "import sys, kestrel_lab.cli.main; print(*sys.modules)"
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    heavy = {"bcc", "wasmtime", "lupa", "ahocorasick_rs", "re2", "pyarrow", "pyarrow.dataset", "numpy", "rich.progress"}
    assert not heavy & set(done.stdout.split())


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports, by statement or by `import_module` of a literal."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize(
    ("library", "layers"),
    [
        ("bcc", {"capture"}),
        ("wasmtime", {"engine"}),
        ("lupa", {"engine"}),
        ("lark", {"eql"}),
        ("re2", {"eql"}),
        ("zstandard", {"recording"}),
        ("click", {"cli"}),
        ("rich", {"cli"}),
        ("duckdb", {"query"}),
        ("textual", {"tui"}),
    ],
)
def test_a_library_from_outside_has_one_home(library: str, layers: set[str]) -> None:
    users = {p.relative_to(PACKAGE).parts[0] for p in PACKAGE.rglob("*.py") if library in imported(p)}
    assert users <= layers


def test_no_file_grows_past_500_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in text_files() if p.suffix in CODE
            if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500}  # fmt: skip
    assert not long


MACHINE = re.compile(
    r"/(work|farm)/(main|shared|steering)|/tmp/k[lb]\b|/root/\.(pyenv|cache|local)\b|/home/[a-z]+/(work|src)"
)


def test_no_path_of_a_machine_stands_in_the_project() -> None:
    found = [str(p.relative_to(ROOT)) for p in text_files() if MACHINE.search(p.read_text(encoding="utf-8"))]
    assert not found


@pytest.mark.parametrize("path", sorted((ROOT / "recordings").glob("*.krec*")), ids=lambda p: p.name)
def test_no_path_of_a_machine_stands_in_a_shipped_recording(path: Path) -> None:
    from kestrel_lab.recording import open_recording

    assert path.stat().st_size < 2_000_000
    recording = open_recording(path)
    *_, last = recording.epochs()
    for key, count in last.string_counts.items():
        for value in last.segment.strings(key).values(1, count):
            assert not MACHINE.search(value.decode(errors="replace")), key


def slug(heading: str) -> str:
    """The anchor GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {slug(h) for h in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)}


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(there), f"{target} has no such heading"


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_every_command_in_the_documents_exists(path: Path) -> None:
    from kestrel_lab.cli.main import main

    text = path.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```.*?^```", text, re.M | re.S) + re.findall(r"`[^`\n]+`", text))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"\bmake ([a-z]+)\b", code)) <= targets
    assert set(re.findall(r"\bkestrel-lab ([a-z]+)\b", code)) <= set(main.list_commands(None))  # type: ignore[arg-type]
