"""The commands with a server in the place of a backbone."""

import json

import pytest
from PIL import Image

from image_servers import ImageServer, refusal
from triptych.data.pagesets import save_pageset
from triptych.page import Page, condition, slot
from triptych.sampling.record import read_record


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "TRIPTYCH_REMOTE_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_generate_and_replay_ask_the_server_that_the_picture_names(triptych, fox, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    out = tmp_path / "out"
    with ImageServer("vllm", "a", "b") as server:
        name = f"{server.url}#b"
        arguments = ("--condition", fox, "a fox", "--slot", "at night", "--slot", "in snow")
        made = triptych("generate", *arguments, "--backbone", name, "--seed", 9, "--steps", 3, "--out", out)
        assert made.exit_code == 0, made.output
        assert "without seeing each other" in made.output
        again = triptych("replay", out / "page-seed9-2.png", "--out", tmp_path / "again")
        assert again.exit_code == 0 and "the same pixels" in again.output, again.output
    assert {asked.fields["num_inference_steps"] for asked in server.asked} == {3}
    recorded = read_record(out / "page-seed9-2.png")
    assert recorded.request.backbone == name and recorded.request.seed == 9
    assert b"hunter2" not in (out / "page-seed9-2.png").read_bytes()


def test_preview_and_passwords_are_refused_before_anything_is_sent_or_written(triptych, fox, tmp_path):
    with ImageServer("vllm") as server:
        refused = triptych(
            "generate",
            "--condition",
            fox,
            "--slot",
            "x",
            "--backbone",
            server.url,
            "--preview",
            "--out",
            tmp_path / "o",
        )
        assert refused.exit_code == 2 and "Leave --preview out" in refused.output
        assert server.calls == 0
    secret = triptych(
        "generate", "--slot", "x", "--backbone", "http://me:hunter2@localhost/v1", "--save-request", tmp_path / "r.json"
    )
    assert secret.exit_code == 2 and "hunter2" not in secret.output and not (tmp_path / "r.json").exists()


def test_dry_run_says_what_would_be_sent_and_asks_nobody(triptych, fox):
    address = "http://127.0.0.1:9/v1#Qwen/Qwen-Image-Edit-2511"
    told = triptych(
        "generate", "--condition", fox, "a fox", "--slot", "in snow", "--slot", "x", "--size", "100x60",
        "--backbone", address, "--dry-run",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "call 1 of 2: images/edits, 1 picture sent, 96x64 px asked" in told.output
    assert "Picture 1: a fox / in snow" in told.output
    assert "if it is a Triptych studio: the request as it is, in one call" in told.output
    assert "if it is vLLM-Omni: the calls below, with seed 0" in told.output
    assert "if it is a server of OpenAI's image API: the calls below, with no seed" in told.output


def test_dry_run_says_which_servers_would_refuse_the_request(triptych, fox):
    arguments = ("--condition", fox, "a fox", "--slot", "in snow", "--backbone", "http://127.0.0.1:9/v1#m", "--dry-run")
    told = triptych("generate", *arguments, "--steps", 3, "--seed", 4)
    assert "if it is vLLM-Omni: the calls below, with seed 4, num_inference_steps 3" in told.output, told.output
    assert "if it is a server of OpenAI's image API: refused, as it has no field for steps" in told.output


def test_batch_makes_what_is_missing_once_the_server_is_there_again(triptych, tmp_path):
    lines = [{"page": {"panels": [{"instruction": text}]}} for text in ("one", "two", "three")]
    requests, out = tmp_path / "requests.jsonl", tmp_path / "made"
    requests.write_text("\n".join(map(json.dumps, lines)))
    # The server breaks on the second picture, whoever asks for it.
    with ImageServer("vllm", reply=lambda call: refusal(400, "out of order") if call in (2, 4) else None) as server:
        first = triptych("batch", requests, "--out", out, "--backbone", server.url)
        assert first.exit_code == 1 and "out of order" in first.output, first.output
        made = len(list(out.glob("*.png")))
        second = triptych("batch", requests, "--out", out, "--backbone", server.url)
        assert second.exit_code == 0, second.output
    assert made == 2 and len(list(out.glob("*.png"))) == 3


def _darkened(count: int) -> list[Page]:
    return [
        Page(
            panels=(
                condition(Image.new("RGB", (64, 64), (20 * n, 90, 30))),
                slot("darker", answer=Image.new("RGB", (64, 64), (10 * n, 45, 15))),
            ),
            page_id=str(n),
        )
        for n in range(count)
    ]


def test_evaluate_scores_a_server_without_the_ceilings_of_its_codec(triptych, tmp_path):
    save_pageset(_darkened(3), tmp_path / "pages")
    with ImageServer("sglang") as server:
        done = triptych(
            "evaluate", tmp_path / "pages", "--backbone", server.url, "--shots", "0,1", "--out", tmp_path / "scored"
        )
    assert done.exit_code == 0, done.output
    settings = json.loads((tmp_path / "scored" / "settings.json").read_text())
    assert settings["weights"] == "at a server" and settings["steps"] is None
    assert len(server.asked) == 6 and len(server.asked[-1].images) in (1, 3)


def test_training_says_that_a_server_has_no_weights(triptych, tmp_path):
    save_pageset(_darkened(12), tmp_path / "pages")
    told = triptych(
        "train", tmp_path / "pages", "--backbone", "http://127.0.0.1:9/v1#m", "--out", tmp_path / "s.safetensors"
    )
    assert told.exit_code == 2 and "no weights" in told.output


def test_skill_that_is_on_no_shelf_here_is_for_the_server_to_know(triptych, fox, tmp_path):
    with ImageServer("vllm") as server:
        asked = triptych(
            "generate", "--condition", fox, "--slot", "x", "--skill", "theirs@0.5", "--backbone", server.url, "--out",
            tmp_path / "out",
        )  # fmt: skip
        here = triptych("generate", "--condition", fox, "--slot", "x", "--skill", "theirs", "--out", tmp_path / "out")
    # Such a server has no shelf; a studio of ours would look at its own.
    assert asked.exit_code == 2 and "no field for skills" in asked.stderr
    assert here.exit_code == 2 and "there is no skill theirs" in here.stderr
