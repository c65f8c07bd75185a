"""Write what follows from the code: the README's map of files, docs/cli.md and the schemas of requests and picks.

With --check nothing is written: the exit code is 1 if a file is out of date.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from triptych.picks import pick_schema
from triptych.sampling.request import request_schema

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "triptych"
BEGIN, END = "<!-- map of files: written by scripts/docs.py -->", "<!-- end of map -->"


def _phrase(path: Path) -> str:
    """The first sentence of a module's docstring, in lower case where it begins with a plain word."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = text.split("\n\n")[0].replace("\n", " ").split(". ")[0].removesuffix(".")
    return first


def _lines(folder: Path, depth: int) -> Iterator[tuple[str, str]]:
    """Name and phrase of every module below `folder`; a package's phrase is that of its `__init__`."""
    entries = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name))
    for path in entries:
        indent = "  " * depth
        if path.suffix == ".py" and path.name not in ("__init__.py", "__main__.py"):
            yield f"{indent}{path.name}", _phrase(path)
        elif (path / "__init__.py").exists():
            yield f"{indent}{path.name}/", _phrase(path / "__init__.py")
            yield from _lines(path, depth + 1)


def file_map() -> str:
    """Every module of the package, one a line, as a code block."""
    lines = list(_lines(SOURCE, 1))
    width = max(len(name) for name, _ in lines) + 2
    rows = [f"{name:<{width}}{phrase}".rstrip() for name, phrase in lines]
    return "\n".join(["```text", "src/triptych/", *rows, "```"])


def with_map(readme: str) -> str:
    """The README with its map renewed."""
    head, rest = readme.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{file_map()}\n\n{END}{tail}"


def _help(command: Any, path: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = type(parent)(command, info_name=path.split()[-1], parent=parent) if parent else None
    context = context or command.make_context(path, ["--help"], resilient_parsing=True)
    context.terminal_width = 100
    yield path, command.get_help(context)
    for name in sorted(getattr(command, "commands", {})):
        yield from _help(command.commands[name], f"{path} {name}", context)


def cli_reference() -> str:
    """`--help` of every command."""
    from triptych.cli.main import app

    parts = ["# The command line\n\nWritten by `scripts/docs.py` from the commands themselves.\n"]
    for path, text in _help(typer.main.get_command(app), "triptych", None):
        body = "\n".join(line.rstrip() for line in text.splitlines())
        parts.append(f"## {path}\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


def main(*, check: bool) -> int:
    readme = ROOT / "README.md"
    wanted = {
        readme: with_map(readme.read_text()),
        ROOT / "docs" / "cli.md": cli_reference(),
        ROOT / "docs" / "request.schema.json": json.dumps(request_schema(), indent=2) + "\n",
        ROOT / "docs" / "picks.schema.json": json.dumps(pick_schema(), indent=2) + "\n",
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is out of date; run `make docs`.", file=sys.stderr)
        else:
            path.write_text(wanted[path])
            print(path.relative_to(ROOT))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
