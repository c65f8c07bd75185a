"""The console script: Ctrl-C is heard from the first import on."""

import sys

__all__ = ["run"]

_INTERRUPTED = 130


def run() -> None:
    """Run the command line."""
    try:
        from triptych.cli.main import run as start

        start()
    except KeyboardInterrupt:
        print("error: stopped by Ctrl-C; nothing was started.", file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None
