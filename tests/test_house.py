"""What the README and the help promise holds: examples parse and run, the docs are in date, imports are light."""

import ast
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image

import triptych as tt
from triptych.cli.main import app
from triptych.models.pocket import PocketConfig, PocketNetwork, save_pocket
from triptych.models.pocket.text import train_tokenizer

ROOT = Path(__file__).resolve().parents[1]


def _docs_script():
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _commands(text: str) -> list[str]:
    """Lines that begin with `triptych`, with the lines they go on in."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("triptych ")]


def _examples() -> list[str]:
    readme = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    help_texts = (ROOT / "docs" / "cli.md").read_text()
    return sorted(set(_commands(readme) + _commands(help_texts)))


def test_text_is_never_read_or_written_in_the_encoding_of_the_machine():
    wrong = (r"\.read_text\(\)", r"\.open\([\"'][raw]t?[\"']\)", r"write_text\((?!.*encoding)", r"json\.load\(")
    told = re.compile("|".join(wrong))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if told.search(line)
    ]
    assert found == []


_CHANGING_CALLS = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "keep", "move_to_end", "pop", "popitem"),
    *("remove", "setdefault", "update"),
}
_PLAIN = {"bool", "bytes", "float", "int", "str", "Light", "Shot"}
_STATE_OF_THE_PROCESS = {
    "data/build.py": "_job",  # what a forked worker makes pages of
    "originals.py": "_ORIGINS",  # weak references by identity: a picture that was copied has no origin
    "training/pretrain/loop.py": "torch",  # a limit of torch's compiler
}


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _own_names(tree: ast.Module) -> set[str]:
    """Names of a module's own values."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    return {_root(target) for node in assigned for target in getattr(node, "targets", None) or [node.target]}


def _imported_names(tree: ast.Module) -> set[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}


def _changed_names(function: ast.FunctionDef, own: set[str], imported: set[str]) -> set[str]:
    """Names of the module of which a function changes the value, an item or an attribute."""
    changed: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.Global():
                changed |= set(node.names)
            case ast.Assign() | ast.Delete():
                changed |= {_root(each) for each in node.targets if not isinstance(each, ast.Name)} & (own | imported)
            case ast.AugAssign() | ast.AnnAssign() if not isinstance(node.target, ast.Name):
                changed |= {_root(node.target)} & (own | imported)
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _CHANGING_CALLS:
                changed |= {_root(value)} & own
    return changed - {"", *(each.arg for each in ast.walk(function) if isinstance(each, ast.arg))}


def _keeps_more_than_tables(function: ast.FunctionDef) -> bool:
    """Whether a cache of the function's results holds on to what it was given: pictures, backbones."""
    caches = [each for each in function.decorator_list if ast.unparse(each).split("(")[0] in ("cache", "lru_cache")]
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return bool(caches) and any(each.annotation is None or ast.unparse(each.annotation) not in _PLAIN for each in given)


def _state_of(source: str) -> set[str]:
    """Names of a module that its functions change, and functions that keep what they were given."""
    tree = ast.parse(source)
    own, imported = _own_names(tree), _imported_names(tree)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    changed = {name for function in functions for name in _changed_names(function, own, imported)}
    return changed | {each.name for each in functions if _keeps_more_than_tables(each)}


def test_no_module_keeps_state_of_its_own():
    """Two backbones, engines or threads know nothing of each other: what is kept lives on the object it belongs to."""
    folder = ROOT / "src" / "triptych"
    found = {
        f"{path.relative_to(folder)}: {name}"
        for path in sorted(folder.rglob("*.py"))
        for name in _state_of(path.read_text(encoding="utf-8"))
    }
    assert found == {f"{path}: {name}" for path, name in _STATE_OF_THE_PROCESS.items()}


@pytest.mark.parametrize(
    "source",
    [
        "kept = {}\ndef get(key):\n    kept[key] = 1",
        "kept: dict = WeakKeyDictionary()\nclass A:\n    def get(self, key):\n        return kept.setdefault(key, 1)",
        "kept = None\ndef get():\n    global kept\n    kept = 1",
        "import torch\ndef get():\n    torch.backends.x = 1",
        "@cache\ndef kept(backbone: Backbone): ...",
    ],
)
def test_state_of_a_module_is_found(source):
    assert _state_of(source) <= {"kept", "torch"} and _state_of(source)


def test_examples_of_readme_and_help_are_many():
    assert len(_examples()) > 20


@pytest.mark.parametrize("example", _examples())
def test_example_of_readme_or_help_is_understood_by_the_command_line(example):
    command, context, arguments = typer.main.get_command(app), None, shlex.split(example)
    path = [arguments.pop(0)]
    context = command.make_context("triptych", [], resilient_parsing=True)
    while arguments and arguments[0] in getattr(command, "commands", {}):
        path.append(arguments[0])
        command = command.commands[arguments.pop(0)]
    assert len(path) > 1, f"no command in {example!r}"
    # Parsing alone: an unknown option, a missing or a superfluous argument raises here.
    command.make_context(path[-1], arguments, parent=context)


def _python(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what the examples name: a picture, and a pocket that is quick."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (60, 40), "orange").save("fox.png")
    tokenizer = train_tokenizer(["a fox on a beach"], size=300)
    torch.manual_seed(0)
    config = PocketConfig(
        channels=8, width=64, double_blocks=1, single_blocks=1, head_width=32, vocabulary=tokenizer.get_vocab_size()
    )
    save_pocket(PocketNetwork(config), tokenizer, Path("pocket.safetensors"), dtype=torch.float32)
    before, after, mine = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "green"))
    return {"before": before, "after": after, "mine": mine}


@pytest.mark.parametrize("page", ["README.md", "docs/python.md", "docs/rules.md"])
def test_python_of_the_docs_runs(page, workplace):
    for block in _python(page):
        exec(block.replace('tt.load("pocket")', 'tt.load("pocket.safetensors")'), workplace)

    if page == "README.md":
        assert Image.open("shot-2.png").size == (128, 85)
        assert len(workplace["results"]) == 2
        assert len(workplace["asked"].context) == 1


@pytest.mark.parametrize("page", sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
def test_python_of_the_docs_names_what_there_is(page):
    """Also where the examples need weights or a server."""
    for block in _python(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("triptych"):
                assert all(hasattr(importlib.import_module(node.module), alias.name) for alias in node.names)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tt":
                assert hasattr(tt, node.attr), f"{page}: tt.{node.attr}"


def test_public_surface_is_held():
    """Names that users' programs rely on: a name that goes is a breaking change, and belongs into the changelog."""
    promised = [
        "Backbone",
        "CancelToken",
        "Cancelled",
        "Conditioning",
        "Done",
        "Engine",
        "FolderSource",
        "Layout",
        "LoadOptions",
        "MakesPictures",
        "NamedBox",
        "Page",
        "PageSet",
        "Panel",
        "Phase",
        "Preview",
        "Recipe",
        "Request",
        "Result",
        "Role",
        "ShapeSource",
        "Skill",
        "SkillUse",
        "Skills",
        "SlotSkills",
        "Solver",
        "Step",
        "Timings",
        "TriptychError",
        "Wording",
        "__version__",
        "arrange",
        "build",
        "composite",
        "condition",
        "evaluate",
        "find_rule",
        "generate",
        "import_composites",
        "import_pairs",
        "import_sets",
        "iterate",
        "load",
        "load_image",
        "load_page",
        "load_pageset",
        "load_recipe",
        "load_skill",
        "load_suite",
        "open_engine",
        "save_page",
        "save_pageset",
        "save_png",
        "save_skill",
        "slot",
        "split",
        "stitch",
        "train",
        "write_prompt",
    ]
    assert sorted(tt.__all__) == sorted(promised)
    assert set(tt.__all__) <= set(dir(tt))


def test_command_line_reference_is_in_date():
    written = (ROOT / "docs" / "cli.md").read_text()

    assert written == _docs_script().cli_reference(), "run `make docs`"


def test_import_of_triptych_and_its_pages_reads_no_torch():
    code = "import sys, triptych as tt; tt.Page, tt.load_page, tt.write_prompt; print('torch' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"


def test_command_line_answers_help_without_torch():
    code = (
        "import sys\nfrom triptych.cli.main import app\n"
        "try:\n    app(['generate', '--help'])\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip().endswith("False")


@pytest.mark.parametrize("name", tt.__all__)
def test_public_name_can_be_reached(name):
    assert getattr(tt, name) is not None


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'generat'"):
        _ = tt.generat
