"""The page is served as it lies in the package: its modules find each other, and nothing comes from elsewhere."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "src" / "triptych" / "studio" / "web"
OURS = sorted(path for path in WEB.rglob("*.js") if "vendor" not in path.parts)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.relative_to(WEB).as_posix())
def test_module_imports_files_that_are_there_and_stays_small(path):
    text = path.read_text()
    imported = re.findall(r"^import (?:.*? from )?'([^']+)';", text, re.MULTILINE)
    assert [name for name in imported if not (path.parent / name).is_file()] == []
    assert len(text.splitlines()) < 300
    assert text.startswith("// "), "the first line says what the module is for"


def test_page_names_no_other_host():
    named = {
        f"{path.name}: {found}"
        for path in (*OURS, *WEB.glob("*.css"), *WEB.glob("*.html"))
        for found in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s'\"]*", path.read_text())
    }
    assert named == set()


def test_page_has_no_inline_script_or_style():
    html = (WEB / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\bstyle=|\bon[a-z]+=", html) == []
    templates = "".join(path.read_text() for path in OURS)
    assert re.findall(r"\bstyle=[\"$]", templates) == [], "Lit would write a style attribute, which the CSP refuses"


@pytest.mark.parametrize("name", ["vendor/LICENSE-lit", "fonts/LICENSE-newsreader", "fonts/LICENSE-hanken-grotesk"])
def test_vendored_file_has_its_licence(name):
    assert len((WEB / name).read_text()) > 1000
