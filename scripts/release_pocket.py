"""Write a trained pocket as it is released: under its name, matrices in eight bits a weight.

python scripts/release_pocket.py runs/pocket/pocket.safetensors --name pocket-2
"""

import argparse
from dataclasses import replace
from pathlib import Path

from triptych.models.pocket.files import (
    pocket_network,
    pocket_tokenizer,
    pocket_training,
    save_pocket,
    shipped_pocket,
)

MOST_BYTES = 25 * 2**20
"""Of a release: every version stays in the repository's history."""


def release(trained: Path, name: str) -> Path:
    """Write the release into the package; raises SystemExit, and writes nothing, where it is too large."""
    network = pocket_network(trained)
    network.config = replace(network.config, name=name)
    path = shipped_pocket(name)
    draft = path.with_suffix(".draft")
    save_pocket(network, pocket_tokenizer(trained), draft, eight_bits=True, training=pocket_training(trained))
    if draft.stat().st_size > MOST_BYTES:
        size = draft.stat().st_size
        draft.unlink()
        raise SystemExit(f"{trained} takes {size / 2**20:.1f} MiB as a release; at most {MOST_BYTES / 2**20:.0f}.")
    return draft.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("trained", type=Path, help="file of a run, as `triptych pocket pretrain` writes it")
    parser.add_argument("--name", required=True, help="what cards and skills will call it")
    chosen = parser.parse_args()
    written = release(chosen.trained, chosen.name)
    print(f"{written}: {written.stat().st_size / 2**20:.1f} MiB")
