"""LoRA on a backbone's transformer: injected for training, applied for sampling, removed without a trace."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from triptych.errors import SkillError
from triptych.models.backbone import Backbone, Keeps
from triptych.skill import KEY_PREFIX, Skill

# peft takes a second to import, and a skill whose layers are merged goes without it.
if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

__all__ = [
    "AdapterSpec",
    "Skills",
    "adapter_parameters",
    "eject",
    "ejecting",
    "inject",
    "linear_names",
    "put_skill",
    "shard_frozen",
    "unheard",
    "unheard_by_conditions",
]

_MERGE_BYTES = 2**30
_MAX_WEIGHT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSpec:
    """Shape of a new adapter."""

    rank: int
    alpha: float
    rank_stabilised: bool = False
    dropout: float = 0.0


def linear_names(module: nn.Module, patterns: Sequence[str] = ("*",)) -> tuple[str, ...]:
    """Names of the linear layers that match one of the shell patterns, in the module's order.

    Raises SkillError for a pattern that matches none.
    """
    names = [name for name, child in module.named_modules() if isinstance(child, nn.Linear)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SkillError(
                f"target {pattern!r} matches no linear layer; there are {', '.join(names[:4])} and others."
            )
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def inject(
    module: nn.Module, names: Sequence[str], spec: AdapterSpec, *, adapter: str = "skill", seed: int = 0
) -> dict[str, nn.Parameter]:
    """Put a new adapter on the named layers, in place, and return its parameters by the keys of a skill file.

    The module computes what it did before: B starts at zero. A is drawn from `seed`. Everything but the adapter is
    frozen. The parameters are float32, whatever the module's type.
    """
    from peft import LoraConfig, inject_adapter_in_model

    from triptych.models.lean_linear import LeanLinear, takes_lean_layers

    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,  # pyright: ignore[reportArgumentType]
        use_rslora=spec.rank_stabilised,
        lora_dropout=spec.dropout,
        # A pattern of whole names: a list would also match names that only end in one of them.
        target_modules="|".join(map(re.escape, names)),
    )
    if takes_lean_layers(module, tuple(names)):
        config._register_custom_module({nn.Linear: LeanLinear})
    _forget_config(module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, module, adapter_name=adapter)
    parameters = adapter_parameters(module, adapter)
    for parameter in parameters.values():
        parameter.data = parameter.data.float()
    return parameters


def adapter_parameters(module: nn.Module, adapter: str = "skill") -> dict[str, nn.Parameter]:
    """Parameters of an injected adapter by the keys of a skill file, sorted."""
    found: dict[str, nn.Parameter] = {}
    for name, layer in _lora_layers(module):
        if adapter in layer.lora_A:
            for side, matrices in (("lora_A", layer.lora_A), ("lora_B", layer.lora_B)):
                found[f"{KEY_PREFIX}{name}.{side}.weight"] = matrices[adapter].get_parameter("weight")
    return dict(sorted(found.items()))


def eject(module: nn.Module) -> None:
    """Take all adapters off: the module has the layers that it had before the first `inject`, the very same objects."""
    for name, layer in list(_lora_layers(module)):
        parent, _, own = name.rpartition(".")
        setattr(module.get_submodule(parent), own, layer.get_base_layer())
    _forget_config(module)


@contextmanager
def ejecting(module: nn.Module) -> Iterator[None]:
    """After the `with`, adapters put in inside it are gone, and what could be trained before can be again."""
    gradients = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    try:
        yield
    finally:
        eject(module)
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(gradients[name])


def shard_frozen(transformer: nn.Module, adapter: Iterable[nn.Parameter]) -> None:
    """Spread each block's frozen weights over the processes of the run (FSDP2); `adapter` stays whole on every one.

    Sharded modules cannot be made whole again in place: load the backbone again to use it otherwise.
    """
    from torch.distributed.fsdp import fully_shard

    kept = set(adapter)
    for child in transformer.children():
        if isinstance(child, nn.ModuleList):
            for block in child:
                # Each is a root to FSDP, whose weights would stay whole from its first forward pass on.
                fully_shard(block, ignored_params=kept, reshard_after_forward=True)


@contextmanager
def unheard(transformer: nn.Module) -> Iterator[None]:
    """Inside the `with`, the module computes as if no adapter were in it."""
    layers = [layer for _, layer in _lora_layers(transformer)]
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer._disable_adapters = was


@contextmanager
def unheard_by_conditions(backbone: Backbone) -> Iterator[None]:
    """Inside the `with`, `read` reads conditions as if no adapter were there.

    Raises SkillError for a backbone that reads them together with the slots.
    """
    if backbone.keeps is not Keeps.CONDITIONS:
        raise SkillError(
            "the skill leaves the processing of conditions unchanged; this backbone reads all panels in one pass. "
            "Train with `frozen_conditions: false`."
        )
    backbone.shared.reads_bare = True
    try:
        yield
    finally:
        backbone.shared.reads_bare = False


def _check_fit(skill: Skill, backbone: Backbone) -> None:
    """Raise SkillError, naming layers, where a skill is for another transformer: a skill is never half applied."""
    card = backbone.card
    if card.own_skills and skill.card.backbone != card.name:
        raise SkillError(
            f"skill {skill.name!r} was trained on {skill.card.backbone}, and this is {card.name}, which has other "
            f"tokens. Use the skill with `--backbone {skill.card.backbone}`, or train it on {card.name}."
        )
    layers = {name: child for name, child in backbone.transformer.named_modules() if isinstance(child, nn.Linear)}
    missing = [name for name in skill.modules if name not in layers]
    wrong = []
    for name in set(skill.modules) - set(missing):
        down, up = skill.pair(name)
        if (up.shape[0], down.shape[1]) != (layers[name].out_features, layers[name].in_features):
            wrong.append(name)
    if missing or wrong:
        names = ", ".join(sorted(missing + wrong)[:4])
        raise SkillError(
            f"skill {skill.name!r} was trained on {skill.card.backbone}; here {len(missing)} of its layers are missing "
            f"and {len(wrong)} have another size ({names}). Use it with its own backbone."
        )


class Skills:
    """One or more skills, each with a weight, applied together; see `triptych.models.backbone.Adapter`."""

    def __init__(self, skills: Skill | Sequence[Skill], *, weights: Sequence[float] | None = None) -> None:
        self.skills = (skills,) if isinstance(skills, Skill) else tuple(skills)
        self.weights = (1.0,) * len(self.skills) if weights is None else tuple(weights)
        if not self.skills or len(self.skills) != len(self.weights):
            raise SkillError(f"{len(self.weights)} weights for {len(self.skills)} skills; give one weight for each.")
        for skill, weight in zip(self.skills, self.weights, strict=True):
            if not abs(weight) <= _MAX_WEIGHT:
                raise SkillError(
                    f"the weight of skill {skill.name!r} is {weight:g}; it must be from -{_MAX_WEIGHT:g} to "
                    f"{_MAX_WEIGHT:g}. 1 is as trained, 0 is off."
                )
        if len({skill.card.frozen_conditions for skill in self.skills}) > 1:
            raise SkillError(
                f"{self.name}: some of these skills leave the processing of conditions unchanged and some change it; "
                "they cannot be applied together. Train them alike."
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Skills) and (self.skills, self.weights) == (other.skills, other.weights)

    def __hash__(self) -> int:
        return hash((self.skills, self.weights))

    @property
    def frozen_conditions(self) -> bool:
        """Whether conditions are read as if no skill were there."""
        return self.skills[0].card.frozen_conditions

    @property
    def name(self) -> str:
        """The skills' names, with the weights that are not 1."""
        parts = zip(self.skills, self.weights, strict=True)
        return " + ".join(skill.name if weight == 1 else f"{weight:g} x {skill.name}" for skill, weight in parts)

    def applied(self, backbone: Backbone) -> AbstractContextManager[object]:
        """The backbone adapted inside the `with`. Raises SkillError for a skill of another backbone."""
        for skill in self.skills:
            _check_fit(skill, backbone)
        if not any(skill.card.frozen_conditions for skill in self.skills) and _is_small(backbone.transformer):
            return _merged(backbone.transformer, self.skills, self.weights)
        return _beside(backbone, self.skills, self.weights)


def _is_small(transformer: nn.Module) -> bool:
    """Whether a second copy of the weights is cheap enough to save extra operations at every step."""
    # torchao's weights say that they are of the type they stand for, and are no tensors to add to.
    plain = all(
        parameter.is_floating_point()
        and parameter.dtype.itemsize > 1
        and not is_traceable_wrapper_subclass(parameter.data)
        for parameter in transformer.parameters()
    )
    return plain and sum(parameter.nbytes for parameter in transformer.parameters()) <= _MERGE_BYTES


@contextmanager
def _merged(transformer: nn.Module, skills: Sequence[Skill], weights: Sequence[float]) -> Iterator[None]:
    """Each adapted layer gets a merged weight, and its own back afterwards."""
    kept: dict[str, nn.Parameter] = {}
    try:
        for name in sorted({module for skill in skills for module in skill.modules}):
            layer = transformer.get_submodule(name)
            own = kept[name] = layer.get_parameter("weight")
            total = own.detach().float()
            for skill, weight in zip(skills, weights, strict=True):
                if name in skill.modules:
                    down, up = (side.to(total) for side in skill.pair(name))
                    total = total + weight * skill.scale * (up @ down)
            merged = total.to(own.dtype)
            if not bool(merged.isfinite().all()):
                names = " + ".join(skill.name for skill in skills if name in skill.modules)
                raise SkillError(
                    f"skill {names} takes the weights of {name} beyond what {str(own.dtype).removeprefix('torch.')} "
                    "can hold. Give it a smaller weight (FILE@WEIGHT), or load the backbone in float32."
                )
            layer.weight = nn.Parameter(merged, requires_grad=False)
        yield
    finally:
        for name, own in kept.items():
            transformer.get_submodule(name).weight = own


@contextmanager
def _beside(backbone: Backbone, skills: Sequence[Skill], weights: Sequence[float]) -> Iterator[None]:
    """The layers keep their own weights; the adapters' output is added."""
    transformer = backbone.transformer
    names = [f"skill{number}" for number in range(len(skills))]
    frozen = skills[0].card.frozen_conditions
    with ejecting(transformer):
        for adapter, skill in zip(names, skills, strict=True):
            _put(transformer, skill, adapter)
        for _, layer in _lora_layers(transformer):
            layer.set_adapter([name for name in names if name in layer.lora_A], inference_mode=True)
            for adapter, weight in zip(names, weights, strict=True):
                layer.set_scale(adapter, weight)
        with unheard_by_conditions(backbone) if frozen else nullcontext():
            yield


def put_skill(skill: Skill, parameters: Mapping[str, nn.Parameter]) -> None:
    """Give an injected adapter the values of a skill of the same layers and rank. Raises SkillError for another."""
    own = {key: tuple(value.shape) for key, value in skill.tensors.items()}
    wanted = {key: tuple(value.shape) for key, value in parameters.items()}
    differing = sorted(key for key in own.keys() | wanted.keys() if own.get(key) != wanted.get(key))
    if differing:
        raise SkillError(
            f"skill {skill.name!r} (rank {skill.card.rank}, {len(skill.modules)} layers) is not of the recipe's shape: "
            f"{len(differing)} tensors differ, {differing[0]} is one. Set adapter.rank and adapter.targets alike."
        )
    _fill(parameters, skill.tensors)


def _put(transformer: nn.Module, skill: Skill, adapter: str) -> None:
    card = skill.card
    spec = AdapterSpec(rank=card.rank, alpha=card.alpha, rank_stabilised=card.rank_stabilised)
    _fill(inject(transformer, skill.modules, spec, adapter=adapter), skill.tensors)
    # float32 is for training; here it would take twice the memory, and the slower path of two types.
    for _, layer in _lora_layers(transformer):
        weight = layer.get_base_layer().get_parameter("weight")
        if adapter in layer.lora_A and weight.is_floating_point() and weight.dtype.itemsize > 1:
            layer.lora_A[adapter].to(weight.dtype)
            layer.lora_B[adapter].to(weight.dtype)


def _fill(parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    for key, parameter in parameters.items():
        parameter.data.copy_(tensors[key])


def _lora_layers(module: nn.Module) -> "Iterator[tuple[str, LoraLayer]]":
    from peft.tuners.lora import LoraLayer

    for name, child in module.named_modules():
        if isinstance(child, LoraLayer):
            yield name, child


def _forget_config(module: nn.Module) -> None:
    """peft stores its configuration on the module and warns about a second one."""
    if hasattr(module, "peft_config"):
        del module.peft_config
