"""The real vocabularies of CLIP, T5, Qwen and Mistral, from packages that ship them, in folders as the Hub has them.

`pip install --no-deps --target FOLDER open_clip_torch dashscope mistral-common "diffsynth<2"`, and FOLDER in
TRIPTYCH_VOCABULARIES. None of them can be installed whole beside what is pinned here: only their files of words are
read.
"""

import base64
import gzip
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from shutil import copytree

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    T5TokenizerFast,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

__all__ = ["FOLDER", "clip_tokenizer", "mistral_tokenizer", "qwen_tokenizer", "t5_tokenizer"]

FOLDER = Path(os.environ.get("TRIPTYCH_VOCABULARIES", "/nowhere"))
_LETTERS = bytes_to_unicode()


def _marks(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_QWEN_MARKS = _marks(
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
)
_QWEN_WORDS = _marks(
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> "
    "<tool_response> </tool_response> <think> </think>"
)
_MISTRAL_MARKS = _marks(
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS] "
    "[IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT]"
)
_MISTRAL_FIRST = 1000
_CONTENT = (
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}"
    "{% endif %}"
)
QWEN_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n" + _CONTENT + "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
MISTRAL_CHAT = (
    "<s>{% for m in messages %}{% if m['role'] == 'system' %}[SYSTEM_PROMPT]" + _CONTENT + "[/SYSTEM_PROMPT]"
    "{% else %}[INST]" + _CONTENT + "[/INST]{% endif %}{% endfor %}"
)


def clip_tokenizer(folder: Path, *, pad: str = "<|endoftext|>") -> PreTrainedTokenizerBase:
    """CLIP's; the second one of Stable Diffusion 3 pads with an exclamation mark."""
    packed = FOLDER / "open_clip" / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(packed.read_bytes()).decode().split("\n")
    merges = [(left, right) for left, right in (line.split() for line in lines[1 : 49152 - 256 - 2 + 1])]
    letters = list(_LETTERS.values())
    words = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    marks = {len(words): "<|startoftext|>", len(words) + 1: "<|endoftext|>"}
    settings = {"bos_token": marks[len(words)], "eos_token": marks[len(words) + 1], "unk_token": marks[len(words) + 1]}
    settings |= {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": pad}
    _write(folder, vocabulary, merges, settings | _decoder(marks, special=True))
    return CLIPTokenizer.from_pretrained(folder)


def t5_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Of FLUX.1 and Stable Diffusion 3 alike: the folder that FLUX.1 has on the Hub."""
    copytree(FOLDER / "diffsynth" / "tokenizer_configs" / "flux" / "tokenizer_2", folder, dirs_exist_ok=True)
    return T5TokenizerFast.from_pretrained(folder)


def qwen_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Of Qwen2.5-VL, Qwen3 and Qwen3-VL alike."""
    lines = (FOLDER / "dashscope" / "resources" / "qwen.tiktoken").read_text().splitlines()
    ranks = {base64.b64decode(word): int(rank) for word, rank in (line.split() for line in lines)}
    first = len(ranks)
    marks = _decoder({first + place: mark for place, mark in enumerate(_QWEN_MARKS)}, special=True)
    behind = first + len(_QWEN_MARKS)
    words = _decoder({behind + place: mark for place, mark in enumerate(_QWEN_WORDS)}, special=False)
    settings = {"tokenizer_class": "Qwen2Tokenizer", "model_max_length": 131072, "chat_template": QWEN_CHAT}
    settings |= {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None}
    decoder = {"added_tokens_decoder": marks["added_tokens_decoder"] | words["added_tokens_decoder"]}
    _write(folder, {_spelled(word): rank for word, rank in ranks.items()}, merges_of(ranks), settings | decoder)
    return Qwen2Tokenizer.from_pretrained(folder)


@cache
def mistral_tokenizer() -> PreTrainedTokenizerBase:
    """Of Mistral Small 3, which FLUX.2-dev reads with."""
    told = json.loads((FOLDER / "mistral_common" / "data" / "tekken_240911.json").read_text())
    size = told["config"]["default_vocab_size"] - _MISTRAL_FIRST
    ranks = {base64.b64decode(each["token_bytes"]): each["rank"] for each in told["vocab"][:size]}
    marks = [*_MISTRAL_MARKS, *(f"<SPECIAL_{place}>" for place in range(len(_MISTRAL_MARKS), _MISTRAL_FIRST))]
    vocabulary = {mark: place for place, mark in enumerate(marks)}
    vocabulary |= {_spelled(word): rank + _MISTRAL_FIRST for word, rank in ranks.items()}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges_of(ranks), ignore_merges=True))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(told["config"]["pattern"]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        padding_side="left",
        additional_special_tokens=marks,
        chat_template=MISTRAL_CHAT,
    )


def merges_of(ranks: Mapping[bytes, int]) -> list[tuple[str, str]]:
    """Every pair whose whole is a word, by the whole's rank: what a list of ranks means by merging."""
    found: list[tuple[int, int, int, bytes, bytes]] = []
    for word, rank in ranks.items():
        for place in range(1, len(word)):
            left, right = ranks.get(word[:place]), ranks.get(word[place:])
            if left is not None and right is not None:
                found.append((rank, left, right, word[:place], word[place:]))
    return [(_spelled(left), _spelled(right)) for *_, left, right in sorted(found)]


def _spelled(word: bytes) -> str:
    return "".join(_LETTERS[each] for each in word)


def _decoder(marks: Mapping[int, str], *, special: bool) -> dict[str, dict[str, object]]:
    kind = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special}
    return {"added_tokens_decoder": {str(number): {"content": mark} | kind for number, mark in marks.items()}}


def _write(
    folder: Path, vocabulary: Mapping[str, int], merges: Iterable[tuple[str, str]], settings: Mapping[str, object]
) -> None:
    """As the Hub has them: no tokenizer.json, which transformers makes of these."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
