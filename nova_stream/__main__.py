"""``nova-stream`` and ``python -m nova_stream``."""

from __future__ import annotations

import sys

from nova_stream.errors import MissingExtraError
from nova_stream.extras import missing


def main() -> None:
    """Run the command in ``sys.argv`` and leave the process with its exit status."""
    try:
        from nova_stream.cli.main import main as run  # noqa: PLC0415 - perhaps not installed
    except ModuleNotFoundError as error:
        told = missing(error)
        if not isinstance(told, MissingExtraError):
            raise
        sys.stderr.write(f"error: {told}\n")
        sys.exit(told.exit_status)
    run()


if __name__ == "__main__":
    main()
