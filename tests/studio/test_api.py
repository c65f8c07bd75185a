"""The whole of it: a server that listens, its worker, and the clients that people use."""

import asyncio
import base64
import io
import json
import os
import signal
import time

import httpx
import openai
import pytest
from mcp import Client
from PIL import Image

from studio_pictures import png
from triptych.images import read_image, read_png_text, save_png
from triptych.studio.agents import make_server

RED = png((200, 100), "red")


def kept(served, data=RED):
    return served.client.post("/api/files", content=data).raise_for_status().json()["id"]


def body(served, **more):
    panels = [{"role": "edit", "image": f"file:{kept(served)}"}, {"role": "slot", "instruction": "a blue bus"}]
    return {"request": {"page": {"panels": panels}, "seed": 3, **more}}


def add(served, body, kind="generate", **more):
    answer = served.client.post("/api/jobs", json={"kind": kind, "body": body, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def test_generate_fills_the_slots_and_the_gallery(served):
    job = served.ended(add(served, body(served, number=2)))
    assert job["state"] == "done" and len(job["results"]) == 2
    picture = served.client.get(f"/api/pictures/{job['results'][1]}").json()
    assert (picture["seed"], picture["variant"], picture["slot"]) == (4, 1, 1)
    assert picture["prompt_words"] == "a blue bus"
    found = served.client.get("/api/pictures", params={"query": "BUS blue"}).json()
    assert {each["id"] for each in found["items"]} >= set(job["results"])
    assert "a blue bus" in {each["text"] for each in served.client.get("/api/prompts").json()["items"]}


def test_a_picture_brings_its_page_back_and_makes_the_same_pixels(served):
    first = served.ended(add(served, body(served, seed=11)))["results"][0]
    data = served.client.get(f"/api/pictures/{first}/download?as=png").content
    recalled = served.client.post("/api/recall", content=data).raise_for_status().json()
    assert recalled["slot"] == 1 and recalled["request"]["seed"] == 11
    again = served.ended(add(served, {"request": recalled["request"]}))["results"][0]
    other = served.client.get(f"/api/pictures/{again}/download?as=png").content
    assert read_image(data).tobytes() == read_image(other).tobytes()
    assert served.client.post("/api/recall", content=RED).status_code == 422


def test_a_picture_names_its_inputs_and_the_store_finds_them_or_says_which_are_missing(served, tmp_path):
    buffer = io.BytesIO()
    Image.effect_noise((90, 60), 50).convert("RGB").save(buffer, "JPEG")
    photograph = served.client.post("/api/files", content=buffer.getvalue()).raise_for_status().json()["id"]
    panels = [{"role": "subject", "image": f"file:{photograph}"}, {"role": "slot", "instruction": "b"}]
    made = served.ended(add(served, {"request": {"page": {"panels": panels}}}))["results"][0]
    path = tmp_path / "made.png"
    path.write_bytes(served.client.get(f"/api/pictures/{made}/download?as=png").content)

    text = read_png_text(path)["triptych"]
    assert "data:" not in text and photograph in text
    recalled = served.client.post("/api/recall", content=path.read_bytes()).raise_for_status().json()
    assert recalled["page"]["panels"][0]["image"] == f"file:{photograph}"
    other = "0" * 64
    save_png(Image.open(path), path, {"triptych": text.replace(photograph, other)})
    refused = served.client.post("/api/recall", content=path.read_bytes())
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "inputs_missing"
    assert "panel 1 (90x60 px" in refused.json()["error"]["message"]


def test_only_the_chosen_slot_is_filled_and_the_others_are_conditions(served):
    red = f"file:{kept(served)}"
    panels = [
        {"role": "slot", "answer": red, "instruction": "first"},
        {"role": "slot", "instruction": "second"},
        {"role": "slot", "instruction": "third"},
    ]
    job = served.ended(add(served, {"request": {"page": {"panels": panels}}, "slots": [1]}))
    assert [served.client.get(f"/api/pictures/{each}").json()["slot"] for each in job["results"]] == [1]
    wrong = served.client.post(
        "/api/jobs", json={"kind": "generate", "body": {"request": {"page": {"panels": panels}}, "slots": [7]}}
    )
    assert wrong.status_code == 422 and "7" in wrong.json()["error"]["message"]


def test_downloads_have_the_page(served):
    job = served.ended(add(served, body(served)))
    url = f"/api/pictures/{job['results'][0]}/download"
    canvas = Image.open(io.BytesIO(served.client.get(url, params={"as": "canvas"}).content))
    assert canvas.width * canvas.height > 128 * 64
    page = served.client.get(url, params={"as": "page"}).json()
    assert page["panels"][1]["answer"].startswith("data:image/png")
    assert served.client.post("/api/pictures/zip", json={"ids": job["results"]}).content[:2] == b"PK"


def test_live_job_replaces_an_older_one_and_its_drafts_go_to_the_bin(served):
    first = add(served, body(served, seed=21), lane="live")
    done = served.ended(first)
    second = served.ended(add(served, body(served, seed=22), lane="live", replaces=first))
    assert second["state"] == "done"
    assert served.client.get(f"/api/pictures/{done['results'][0]}").json()["deleted"]
    assert not served.client.get(f"/api/pictures/{second['results'][0]}").json()["deleted"]


def test_events_are_resumed_after_the_last_one_seen(served):
    with httpx.stream("GET", served.url + "/api/events", timeout=120) as stream:
        lines = stream.iter_lines()
        job = add(served, body(served, seed=31))
        last = next(line[4:] for line in lines if line.startswith("id: "))
    served.ended(job)
    with httpx.stream("GET", served.url + "/api/events", headers={"Last-Event-ID": last}, timeout=120) as stream:
        seen = []
        for line in stream.iter_lines():
            seen += [line[7:]] if line.startswith("event: ") else []
            if line.startswith("data: ") and '"state":"done"' in line and job in line:
                break
    assert "picture" in seen and "preview" in seen and "reset" not in seen
    with httpx.stream("GET", served.url + "/api/events", headers={"Last-Event-ID": "other-1"}, timeout=120) as stream:
        assert next(line for line in stream.iter_lines() if line == "event: reset")


def test_a_killed_worker_loses_no_job(served):
    jobs = [add(served, body(served, seed=seed, number=2)) for seed in range(40, 44)]
    pid = served.studio.supervisor.pid
    os.kill(pid, signal.SIGKILL)
    ended = [served.ended(job) for job in jobs]
    assert {job["state"] for job in ended} == {"done"}
    assert all(len(served.studio.gallery.of_job(job)) == 2 for job in jobs)
    assert served.studio.supervisor.pid != pid


@pytest.mark.slow
def test_teach_puts_a_skill_on_the_shelf_and_it_can_be_used(served):
    made = served.client.post("/api/rules/negative/pages", json={"count": 3}).raise_for_status().json()["items"]
    checked = served.client.post("/api/preflight", json={"pages": made, "steps": 3}).raise_for_status().json()
    assert checked["estimate"]["steps"] == 3 and not [f for f in checked["findings"] if f["level"] == "error"]
    job = served.ended(add(served, {"name": "Negative!", "pages": made, "steps": 3}, kind="train"), 400)
    assert job["state"] == "done", job
    skill = job["results"]["skill"]
    renamed = served.client.patch(f"/api/skills/{skill}", json={"name": "dark"}).json()
    assert renamed["name"] == "dark" and renamed["pages"] == 3
    used = served.ended(add(served, body(served, skills=[{"id": skill, "weight": 0.5}])))
    assert used["state"] == "done"
    exported = served.client.post(f"/api/skills/{skill}/export", json={"to": "diffusers"}).raise_for_status().json()
    assert len(served.client.get(exported["url"]).content) > 1000
    refused = served.client.post(f"/api/skills/{skill}/export", json={"to": "comfyui"})
    assert refused.status_code == 422 and "pocket" in refused.json()["error"]["message"]
    assert len(served.client.get(f"/api/skills/{skill}/download").content) > 1000
    assert served.client.delete(f"/api/skills/{skill}").status_code == 204
    assert served.client.get(f"/api/skills/{skill}/download").status_code == 404


@pytest.mark.slow
def test_a_cancelled_training_stops_within_a_step_and_is_continued(served):
    made = served.client.post("/api/rules/negative/pages", json={"count": 2}).raise_for_status().json()["items"]
    job = add(served, {"name": "long", "pages": made, "steps": 6}, kind="train")
    until = time.monotonic() + 300
    while (served.client.get(f"/api/jobs/{job}").json()["progress"] or {}).get("phase") != "train":
        assert time.monotonic() < until
        time.sleep(0.1)
    served.client.delete(f"/api/jobs/{job}")
    assert served.ended(job)["state"] in ("cancelled", "done")
    if served.client.get(f"/api/jobs/{job}").json()["state"] == "cancelled":
        more = served.ended(add(served, {"name": "long", "continues": job}, kind="train"), 400)
        assert more["state"] == "done", more


@pytest.mark.slow
def test_a_finished_training_is_made_longer_and_the_first_skill_stays(served):
    made = served.client.post("/api/rules/negative/pages", json={"count": 2}).raise_for_status().json()["items"]
    first = add(served, {"name": "short", "pages": made, "steps": 2}, kind="train")
    assert served.ended(first, 400)["state"] == "done"
    begun = served.client.get(f"/api/skills/{first}/download").content
    refused = served.client.post("/api/jobs", json={"kind": "train", "body": {"name": "more", "continues": first}})
    assert refused.status_code == 409 and "more_steps" in refused.json()["error"]["message"]
    for name, more, steps in (("longer", 2, 4), ("longer still", 1, 3)):
        job = add(served, {"name": name, "continues": first, "more_steps": more}, kind="train")
        assert served.ended(job, 400)["state"] == "done"
        skill = next(one for one in served.client.get("/api/skills").json()["items"] if one["id"] == job)
        assert (skill["name"], skill["steps"]) == (name, steps)
        assert served.client.get(f"/api/skills/{job}/download").content != begun
    assert served.client.get(f"/api/skills/{first}/download").content == begun


@pytest.mark.slow
def test_evaluate_a_skill_names_it_in_the_report(served):
    body = {"rule": "negative", "count": 2, "skills": [{"id": "storyboard"}]}
    rated = served.ended(add(served, body, kind="evaluate"), 400)
    assert rated["state"] == "done", rated
    assert "storyboard" in served.client.get(rated["results"]["report"]).text


@pytest.mark.slow
def test_build_and_evaluate_make_a_page_set_and_a_report(served):
    built = served.ended(add(served, {"rule": "negative", "count": 2, "seed": 5}, kind="build"))
    page_set = built["results"]["page_set"]
    rated = served.ended(add(served, {"page_set": page_set, "count": 2}, kind="evaluate"), 400)
    assert rated["state"] == "done", rated
    report = served.client.get(rated["results"]["report"])
    assert report.status_code == 200 and "unsafe-inline" in report.headers["content-security-policy"]


@pytest.fixture(scope="module")
def client(served):
    with openai.OpenAI(base_url=served.url + "/v1", api_key="none", max_retries=0, timeout=180) as client:
        yield client


def test_openai_client_generates(client):
    answer = client.images.generate(prompt="a red fox", n=2, size="256x128", output_format="webp", model="pocket")
    sizes = [Image.open(io.BytesIO(base64.b64decode(each.b64_json))).size for each in answer.data]
    assert sizes == [(256, 128)] * 2
    assert answer.usage.output_tokens == 2 and answer.output_format == "webp"


def test_openai_client_streams(client):
    events = list(client.images.generate(prompt="a red fox", stream=True, partial_images=2))
    assert events[-1].type == "image_generation.completed" and events[-1].b64_json
    assert all(event.type == "image_generation.partial_image" for event in events[:-1])


def test_openai_client_edits_with_a_mask_and_keeps_what_is_masked(client):
    mask = Image.new("RGBA", (200, 100), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (100, 0, 200, 100))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    answer = client.images.edit(
        image=[("a.png", RED), ("b.png", png((64, 64), "blue"))],
        mask=("mask.png", buffer.getvalue()),
        prompt="a green hill",
        size="200x100",
    )
    made = read_image(base64.b64decode(answer.data[0].b64_json))
    assert made.getpixel((10, 50)) == (255, 0, 0)
    streamed = list(client.images.edit(image=("a.png", RED), prompt="x", stream=True, partial_images=1))
    assert streamed[-1].type == "image_edit.completed"


def test_openai_client_sends_a_page_and_hears_warnings_and_errors(client):
    uri = "data:image/png;base64," + base64.b64encode(RED).decode()
    page = {"panels": [{"role": "edit", "image": uri}, {"instruction": "one"}, {"instruction": "two"}]}
    answer = client.images.generate(prompt="", extra_body={"page": page, "seed": 1, "colour": "red"}, quality="high")
    assert len(answer.data) == 2
    assert any("colour" in text for text in answer.warnings) and any("quality" in text for text in answer.warnings)
    for wrong in ({"n": 11}, {"size": "big"}, {"output_format": "gif"}, {"partial_images": 9}):
        with pytest.raises(openai.BadRequestError) as refused:
            client.images.generate(prompt="a", **wrong)
        assert refused.value.param == next(iter(wrong))


def test_agents_generate_and_read_the_picture(served):
    async def talk():
        async with Client(make_server(served.studio, local_paths=False)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            uri = "data:image/png;base64," + base64.b64encode(RED).decode()
            made = await client.call_tool("generate", {"instructions": ["a blue bus"], "images": [uri], "seed": 5})
            told = made.structured_content
            link = next(each for each in made.content if each.type == "resource_link")
            picture = await client.read_resource(str(link.uri))
            path = await client.call_tool("generate", {"instructions": ["x"], "images": ["/etc/passwd"]})
            rules = await client.call_tool("list_rules", {})
            return names, made, told, picture, path, rules

    names, made, told, picture, path, rules = asyncio.run(talk())
    assert {"generate", "teach", "evaluate", "job_status", "cancel_job", "list_skills", "list_rules"} <= names
    assert told["state"] == "done" and told["seed"] == 5 and len(told["paths"]) == 1 and told["page"]["panels"]
    assert any(each.type == "image" for each in made.content)
    assert base64.b64decode(picture.contents[0].blob)[:4] == b"\x89PNG"
    assert path.is_error and "refused" in path.content[0].text
    assert "negative" in json.dumps(rules.structured_content)
