"""The pocket transformer against diffusers' own class on the same weights, and the promises of its cache."""

import copy

import pytest
import torch

from triptych.flow import data_from_velocity
from triptych.models.backbone import Conditions, Grid, Targets, Text
from triptych.models.pocket import PocketBackbone
from triptych.models.pocket.backbone import positions
from triptych.models.pocket.in_diffusers import PocketInDiffusers, in_diffusers
from triptych.models.reading import read

REFERENCES = positions([Grid(frame=10, rows=2, columns=3), Grid(frame=20, rows=2, columns=2)])
TARGETS = positions([Grid(frame=0, rows=2, columns=3)])


def _inputs(batch: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "references": torch.randn(batch, len(REFERENCES), 16, generator=generator),
        "tokens": torch.randn(batch, len(TARGETS), 16, generator=generator),
        "text": torch.randn(batch, 5, 24, generator=generator),
        "t": torch.tensor([0.4, 1.0])[:batch],
    }


def _text_positions(length: int = 5) -> torch.Tensor:
    places = torch.zeros(length, 4)
    places[:, 3] = torch.arange(length)
    return places


def _extracted(transformer: PocketInDiffusers, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return transformer(
        torch.cat((inputs["references"], inputs["tokens"]), dim=1),
        encoder_hidden_states=inputs["text"],
        timestep=inputs["t"],
        img_ids=torch.cat((REFERENCES, TARGETS)),
        txt_ids=_text_positions(),
        kv_cache_mode="extract",
        num_ref_tokens=len(REFERENCES),
        return_dict=False,
    )[0]


def _predicted(pocket: PocketBackbone, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return pocket.transformer.predict(
        inputs["tokens"],
        inputs["t"],
        text=inputs["text"],
        text_positions=_text_positions(),
        positions=TARGETS,
        references=pocket.transformer.encode_references(inputs["references"], REFERENCES),
    )


def test_encode_references_then_predict_equals_diffusers_own_class_in_one_pass(pocket: PocketBackbone) -> None:
    inputs = _inputs()
    velocity = _extracted(in_diffusers(pocket.transformer), inputs)
    expected = data_from_velocity(inputs["tokens"], velocity, inputs["t"].view(-1, 1, 1))
    torch.testing.assert_close(_predicted(pocket, inputs), expected, atol=1e-5, rtol=1e-5)


def test_predict_without_references_equals_diffusers_own_class(pocket: PocketBackbone) -> None:
    inputs = _inputs()
    velocity = in_diffusers(pocket.transformer)(
        inputs["tokens"],
        encoder_hidden_states=inputs["text"],
        timestep=inputs["t"],
        img_ids=TARGETS,
        txt_ids=_text_positions(),
        return_dict=False,
    )[0]
    expected = data_from_velocity(inputs["tokens"], velocity, inputs["t"].view(-1, 1, 1))
    clean = pocket.transformer.predict(
        inputs["tokens"], inputs["t"], text=inputs["text"], text_positions=_text_positions(), positions=TARGETS
    )
    torch.testing.assert_close(clean, expected, atol=1e-5, rtol=1e-5)


def test_in_diffusers_bfloat16_stays_as_near_as_rounding_lets_it(pocket: PocketBackbone) -> None:
    inputs = _inputs()
    exact = _predicted(pocket, inputs)
    pocket.network.to(torch.bfloat16)
    halves = {name: value.to(torch.bfloat16) for name, value in inputs.items()}
    theirs = _extracted(in_diffusers(pocket.transformer), halves)
    theirs = data_from_velocity(halves["tokens"], theirs, halves["t"].view(-1, 1, 1))
    ours_off = (_predicted(pocket, halves).float() - exact).norm()
    assert ours_off <= 1.5 * (theirs.float() - exact).norm()


@pytest.mark.parametrize("references", [True, False])
def test_gradient_checkpointing_changes_no_gradient(pocket: PocketBackbone, references: bool) -> None:
    inputs = _inputs()
    grads = []
    for checkpoints in (False, True):
        again = PocketBackbone(copy.deepcopy(pocket.network), pocket.tokenizer)
        again.transformer.requires_grad_(True)
        if checkpoints:
            again.transformer.enable_gradient_checkpointing()
        kept = again.transformer.encode_references(inputs["references"], REFERENCES) if references else None
        again.transformer.predict(
            inputs["tokens"],
            inputs["t"],
            text=inputs["text"],
            text_positions=_text_positions(),
            positions=TARGETS,
            references=kept,
        ).square().sum().backward()
        grads.append(again.transformer.x_embedder.weight.grad)
    torch.testing.assert_close(grads[0], grads[1])


def test_references_keys_do_not_depend_on_tokens_or_noise_level(pocket: PocketBackbone) -> None:
    inputs = _inputs()
    alone = pocket.transformer.encode_references(inputs["references"], REFERENCES)
    beside = in_diffusers(pocket.transformer)(
        torch.cat((inputs["references"], inputs["tokens"]), dim=1),
        encoder_hidden_states=inputs["text"],
        timestep=inputs["t"],
        img_ids=torch.cat((REFERENCES, TARGETS)),
        txt_ids=_text_positions(),
        kv_cache_mode="extract",
        num_ref_tokens=len(REFERENCES),
    ).kv_cache
    theirs = [layer.get() for layer in (*beside.double_block_caches, *beside.single_block_caches)]
    theirs += beside.last if pocket.transformer.detail is not None else []
    assert len(theirs) == len(alone.blocks)
    for ours, (keys, values) in zip(alone.blocks, theirs, strict=True):
        torch.testing.assert_close(ours[0], keys, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours[1], values, atol=1e-5, rtol=1e-5)


def test_velocity_with_memory_equals_the_pass_of_all_tokens(pocket: PocketBackbone) -> None:
    inputs = _inputs()
    grids = (Grid(frame=10, rows=2, columns=3), Grid(frame=20, rows=2, columns=2))
    text = Text(embeds=inputs["text"], positions=_text_positions())
    context = read(pocket, text, Conditions(tokens=inputs["references"], grids=grids))
    targets = Targets(grids=(Grid(frame=0, rows=2, columns=3),))
    whole = in_diffusers(pocket.transformer)(
        torch.cat((inputs["references"], inputs["tokens"]), dim=1),
        encoder_hidden_states=inputs["text"],
        timestep=inputs["t"],
        img_ids=torch.cat((REFERENCES, TARGETS)),
        txt_ids=_text_positions(),
        kv_cache_mode="extract",
        num_ref_tokens=len(REFERENCES),
    ).sample
    kept = pocket.velocity(inputs["tokens"], inputs["t"], context, targets)
    torch.testing.assert_close(kept, whole, atol=1e-5, rtol=1e-5)


def test_gradients_flow_through_the_references_cache(pocket: PocketBackbone) -> None:
    pocket.transformer.requires_grad_(True)
    inputs = _inputs()
    references = inputs["references"].requires_grad_()
    cache = pocket.transformer.encode_references(references, REFERENCES)
    clean = pocket.transformer.predict(
        inputs["tokens"],
        inputs["t"],
        text=inputs["text"],
        text_positions=_text_positions(),
        positions=TARGETS,
        references=cache,
    )
    clean.square().sum().backward()
    assert references.grad is not None
    assert references.grad.abs().sum() > 0


def test_in_diffusers_with_references_behind_the_targets_equals_extract_mode(pocket: PocketBackbone) -> None:
    inputs, transformer = _inputs(), in_diffusers(pocket.transformer)
    behind = transformer(
        torch.cat((inputs["tokens"], inputs["references"]), dim=1),
        encoder_hidden_states=inputs["text"],
        timestep=inputs["t"],
        img_ids=torch.cat((TARGETS, REFERENCES))[None],
        txt_ids=_text_positions()[None],
        return_dict=False,
    )[0]
    torch.testing.assert_close(behind[:, : len(TARGETS)], _extracted(transformer, inputs))


def test_predict_knows_where_tokens_stand_and_not_only_how_far_apart(pocket: PocketBackbone) -> None:
    inputs = _inputs()
    down = torch.tensor([0.0, 1.0, 0.0, 0.0])

    def predict(moved: torch.Tensor) -> torch.Tensor:
        return pocket.transformer.predict(
            inputs["tokens"],
            inputs["t"],
            text=inputs["text"],
            text_positions=_text_positions() + moved,
            positions=TARGETS + moved,
            references=pocket.transformer.encode_references(inputs["references"], REFERENCES + moved),
        )

    # Rotary positions alone would give the same pictures when everything moves together.
    assert not torch.allclose(predict(down), predict(0 * down), atol=1e-4)
    torch.testing.assert_close(predict(32 * down), predict(0 * down), atol=1e-3, rtol=1e-3)
