"""`triptych rules`: which rules there are, what they do, and whether their verifiers work."""

from pathlib import Path
from random import Random
from typing import Annotated

import typer

from triptych.cli import console
from triptych.cli.output import prepare_folder, write_results
from triptych.cli.sources import SourceName, find_source
from triptych.images import png_bytes

__all__ = ["add_to"]

_RuleName = Annotated[str, typer.Argument(metavar="RULE", help="A name, `a+b` for a chain, or file.py:name.")]
_RuleNames = Annotated[list[str] | None, typer.Argument(metavar="[RULE]...", help="Rules; by default all.")]
_Count = Annotated[int, typer.Option("--count", min=1, max=10_000, help="Pages per rule.")]
_Seed = Annotated[int, typer.Option(help="Seed of the pages.")]
_Sheet = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for a sheet of example pages.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Rules: programs that make pages whose right answer is known.")
    group.command("list")(list_rules)
    group.command("show")(show)
    group.command("check")(check_rules)
    app.add_typer(group, name="rules")


def list_rules() -> None:
    """List every rule with its family.

    \b
    Example:
      triptych rules list
    """
    from triptych.data.rules import HELD_OUT_FAMILIES, HELD_OUT_RULES, RULES

    rows = [
        (
            rule.name,
            rule.family,
            "held out" if rule.name in HELD_OUT_RULES | HELD_OUT_FAMILIES else "",
            rule.description,
        )
        for rule in sorted(RULES.values(), key=lambda rule: (rule.family, rule.name))
    ]
    console.table(("rule", "family", "training", "what it does"), rows)


def show(rule: _RuleName, out: _Sheet = None, source: SourceName = "shapes", seed: _Seed = 0) -> None:
    """Say what a rule does and how it is worded; with --out, draw twelve pages of it.

    \b
    Examples:
      triptych rules show outline
      triptych rules show outline+mirror --out sheets
      triptych rules show my_rules.py:double --out sheets
    """
    from triptych.data.rules import find_rule
    from triptych.data.sheets import contact_sheet

    found, drawn_from = find_rule(rule, trust_files=True), find_source(source)
    console.out(f"{found.name} ({found.family}): {found.description}")
    tasks = [found.draw(Random(f"{seed}:{number}"), drawn_from) for number in range(12)]
    for words in sorted({task.instruction for task in tasks}):
        console.out(f"  {words}")
    if out is not None:
        prepare_folder(out)
        pages = [task.page(Random(f"{seed}:{number}:page")) for number, task in enumerate(tasks)]
        name = "".join(letter if letter.isalnum() or letter in "-+" else "-" for letter in found.name)
        (path,) = write_results(out, name, {".png": png_bytes(contact_sheet(pages))})
        console.out(str(path))


def check_rules(rules: _RuleNames = None, count: _Count = 20, source: SourceName = "shapes", seed: _Seed = 0) -> None:
    """Test the verifiers: they must accept right answers and reject wrong ones and copies. Exit code 1 if one fails.

    \b
    Examples:
      triptych rules check
      triptych rules check outline my_rules.py:double --count 100
    """
    from triptych.data.rules import RULES, check, find_rule

    found = [find_rule(name, trust_files=True) for name in rules] if rules else list(RULES.values())
    drawn_from = find_source(source)
    reports = []
    with console.progress("checking", total=len(found)) as bar:
        for rule in found:
            reports.append(check(rule, drawn_from, count, seed))
            bar.advance(bar.task_ids[0])
    rows = [
        (r.rule, "ok" if r.ok else "FAILED", *(f"{share:.0%}" for share in (r.own, r.wrong, r.copied))) for r in reports
    ]
    console.table(("rule", "", "own", "wrong", "copied"), rows)
    if not all(report.ok for report in reports):
        raise typer.Exit(1)
