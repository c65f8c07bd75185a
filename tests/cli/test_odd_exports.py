"""Exports of skills and pages with odd inputs: one clear error and nothing written, or what was asked for."""

import json
import resource
from contextlib import contextmanager

import pytest
import torch

from triptych.errors import OutputError, TakenError
from triptych.files import write_all
from triptych.images import load_image
from triptych.page import Page, condition, slot
from triptych.pagefile import save_page
from triptych.prompts import PageSketch, PanelSketch, find_template
from triptych.skill import Skill, SkillCard, save_skill


def _skill(path, **changes):
    panels = (PanelSketch(role="edit", size_px=(512, 512), hint=""), PanelSketch(size_px=(512, 512), hint=""))
    template = find_template("panels").model_copy(update={"page": PageSketch(layout="row", hint="", panels=panels)})
    facts = {"name": "film", "backbone": "black-forest-labs/FLUX.1-dev", "family": "flux1", "template": template}
    stem = "transformer.transformer_blocks.0.attn.to_q"
    tensors = {f"{stem}.lora_A.weight": torch.ones(1, 8), f"{stem}.lora_B.weight": torch.ones(8, 1)}
    save_skill(Skill(card=SkillCard(rank=1, alpha=1, **(facts | changes)), tensors=tensors), path)
    return path


@pytest.fixture
def film(tmp_path):
    return _skill(tmp_path / "film.safetensors")


@pytest.fixture
def page(tmp_path, fox):
    save_page(Page(panels=(condition(load_image(fox)), slot("in snow", size_px=(512, 512)))), tmp_path / "page.yaml")
    return tmp_path / "page.yaml"


@contextmanager
def _files_of_at_most(size):
    """A disk on which only files of so many bytes have room: the system itself refuses larger ones."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"family": "qwen", "backbone": "Qwen/Qwen-Image-Edit-2511"}, "family qwen, whose layers have no names"),
        ({"family": "of-my-own"}, "family of-my-own, whose layers have no names"),
        ({"template": find_template("panels")}, "no page of its own"),
    ],
)
def test_skill_that_comfyui_cannot_use_is_refused_and_no_folder_made(triptych, tmp_path, change, says):
    skill = _skill(tmp_path / "odd.safetensors", **change)
    result = triptych("skills", "export", skill, "--to", "comfyui", "--out", tmp_path / "new" / "x.safetensors")
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert not (tmp_path / "new").exists()


def test_skill_that_is_a_folder_is_called_one(triptych, tmp_path):
    result = triptych("skills", "export", tmp_path, "--to", "comfyui", "--out", tmp_path / "new" / "x.safetensors")
    assert result.exit_code == 2 and "is a folder" in result.stderr


@pytest.mark.parametrize(
    ("more", "says"),
    [(("--to", "forge"), "exported to comfyui"), (("--to", "comfyui", "--format", "kohya"), "its own keys")],
)
def test_skill_to_a_program_or_keys_that_are_not_its_own_is_refused(triptych, film, tmp_path, more, says):
    result = triptych("skills", "export", film, "--out", tmp_path / "x.safetensors", *more)
    assert result.exit_code == 2 and says in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "x.safetensors").exists()


def test_skill_out_within_a_file_or_over_a_folder_or_itself_is_refused(triptych, film, tmp_path):
    before = film.read_bytes()
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "link.safetensors").symlink_to(film)
    for out, says in (
        (film / "x.safetensors", "is a file, not a folder"),
        (tmp_path / "folder.safetensors", "is a folder"),
        (tmp_path / "link.safetensors", "must be another file"),
        (film, "must be another file"),
    ):
        result = triptych("skills", "export", film, "--to", "comfyui", "--out", out, "--overwrite")
        assert result.exit_code == 2
        assert says in " ".join(result.stderr.replace("│", " ").split())
    assert film.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "film.safetensors", "folder.safetensors", "link.safetensors"
    ]  # fmt: skip


def test_skill_beside_a_workflow_of_that_name_is_refused_whole(triptych, film, tmp_path):
    (tmp_path / "x.workflow.json").write_text("mine")
    result = triptych("skills", "export", film, "--to", "comfyui", "--out", tmp_path / "x.safetensors")
    assert result.exit_code == 2 and "x.workflow.json already exists" in result.stderr
    assert not (tmp_path / "x.safetensors").exists()
    assert (tmp_path / "x.workflow.json").read_text() == "mine"


def test_skill_on_a_full_disk_leaves_what_was_there(triptych, film, tmp_path):
    out = tmp_path / "out" / "x.safetensors"
    ask = ("skills", "export", film, "--to", "comfyui", "--out", out)
    assert triptych(*ask).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.parent.iterdir()}
    lora, workflow = len(before["x.safetensors"]), len(before["x.workflow.json"])
    assert lora < 2000 < workflow

    other = _skill(tmp_path / "other.safetensors", name="another")
    with _files_of_at_most(2000):
        again = triptych("skills", "export", other, "--to", "comfyui", "--out", out, "--overwrite")
        new = triptych("skills", "export", other, "--to", "comfyui", "--out", out.with_name("y.safetensors"))
    for result in (again, new):
        assert result.exit_code == 2 and "cannot be written" in result.stderr
    assert {path.name: path.read_bytes() for path in out.parent.iterdir()} == before


def test_skill_names_of_any_letters_stay_in_the_folder_and_apart(triptych, page, tmp_path):
    odd = [
        _skill(tmp_path / "a.safetensors", name="../../mon été\n/x"),
        _skill(tmp_path / "b.safetensors", name=".."),
        _skill(tmp_path / "c.safetensors", name="Film"),
        _skill(tmp_path / "d.safetensors", name="film"),
    ]
    out = tmp_path / "deep" / "er" / "workflow"
    chosen = [word for path in odd for word in ("--skill", path)]
    result = triptych("page", "export", page, "--backbone", "FLUX.1-dev", "--out", out, *chosen)
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["workflow"]
    made = sorted(path.name for path in out.glob("*.safetensors"))
    assert made == ["Film.safetensors", "film-2.safetensors", "mon-été-x.safetensors", "page.safetensors"]
    workflow = json.loads((out / "page.workflow.json").read_text())
    loaded = [node["inputs"]["lora_name"] for node in workflow.values() if node["class_type"] == "LoraLoaderModelOnly"]
    assert sorted(loaded) == made


def test_page_with_a_skill_of_another_family_is_refused(triptych, page, film, tmp_path):
    out = tmp_path / "workflow"
    ask = ("page", "export", page, "--out", out, "--skill", film, "--backbone")
    result = triptych(*ask, "FLUX.2-klein-4B")
    assert result.exit_code == 2 and "was trained on black-forest-labs/FLUX.1-dev" in result.stderr
    assert not out.exists()
    # Fill has the layers of FLUX.1-dev.
    assert triptych(*ask, "FLUX.1-Fill-dev").exit_code == 0


def test_skill_card_names_the_file_that_was_written(triptych, film, tmp_path):
    out = tmp_path / "shared" / "my film.safetensors"
    assert triptych("skills", "export", film, "--card", "--out", out).exit_code == 0
    assert "--skill 'my film.safetensors'" in (out.parent / "README.md").read_text()


def test_write_all_that_fails_late_leaves_nothing_new(tmp_path):
    (tmp_path / "b").write_text("mine")
    with pytest.raises(TakenError):
        write_all({tmp_path / "a": b"1", tmp_path / "b": b"2"}, is_new=True)
    (tmp_path / "c").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        write_all({tmp_path / "a": b"1", tmp_path / "c": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]
    assert (tmp_path / "b").read_text() == "mine"
