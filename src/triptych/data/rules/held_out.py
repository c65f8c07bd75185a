"""What training never sees, so that learning in context can be told from remembering."""

__all__ = [
    "HELD_OUT_CHAINS",
    "HELD_OUT_FAMILIES",
    "HELD_OUT_FAMILY_CHAINS",
    "HELD_OUT_RULES",
    "LATER_RULES",
]

HELD_OUT_RULES: frozenset[str] = frozenset(
    {
        # photometric: told by one example, and made of the same arithmetic as rules that are trained on
        "negative",
        "duotone",
        # geometric: a cousin of mirror and of tile, at another axis or order
        "upside-down",
        "kaleidoscope",
        # structural: an outline, but outside the object; blocks, but with another unit
        "sticker",
        "halftone",
        # compositional: copies as in `pattern`, other places
        "checkerboard",
        # relational: `gravity` in another direction
        "gravity-up",
        # temporal: `next-frame` asked backwards
        "previous-frame",
        # symbolic: `grid-recolour` and `grid-gravity` have the same parts
        "grid-mirror",
        "arrow-turn",
    }
)
"""Rules never trained on: spread over the families, each a neighbour of trained rules and plain from one example."""

LATER_RULES: frozenset[str] = frozenset({"letter-sign"})
"""Rules made after the pocket was trained, so never trained on either.

They are not part of its suite, so that its pages stay the ones measured before.
"""

HELD_OUT_CHAINS: tuple[tuple[str, str], ...] = (
    ("outline", "mirror"),
    ("silhouette", "tile"),
    ("grayscale", "rotate"),
    ("background-colour", "mirror"),
    ("pixelate", "tint"),
    ("frame", "rotate"),
)
"""Compositions never trained on, though both parts are, and though other compositions of each part are."""

HELD_OUT_FAMILIES: frozenset[str] = frozenset(
    {
        # light and colour: `channel-mix` has each as a special case that it never draws, `vignette` stays in the middle
        "swap-channels",
        "spotlight",
        # geometry: `strips` and `shift` move straight parts; `smaller` and `patch-copied` show a copy elsewhere
        "wave",
        "inset",
        # surface: `line-screen`, `bars` and `ruled` draw lines; `cut-out-shape` cuts other shapes
        "scanlines",
        "oval",
    }
)
"""Families never trained on, for photographs and clip art; each a neighbour of trained ones."""

HELD_OUT_FAMILY_CHAINS: tuple[tuple[str, str], ...] = (
    ("tone-curve", "turn"),
    ("hue-turn", "mirror-half"),
    ("colourise", "tiles"),
    ("blur", "border"),
)
"""Compositions of two trained families that are never trained on, in this order."""
