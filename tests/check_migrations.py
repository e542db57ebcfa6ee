"""`make check`: the models have what the migrations make, and nothing else."""

from __future__ import annotations

import asyncio
import sys

from nova_stream.settings import load_settings
from nova_stream.storage.migrate import differences, migrate
from nova_stream.testing.servers import postgres_server


def main() -> int:
    with postgres_server() as url:
        settings = load_settings(database_url=url)
        asyncio.run(migrate(settings))
        found = asyncio.run(differences(settings))
    for difference in found:
        sys.stderr.write(f"models and migrations differ: {difference}\n")
    if not found:
        sys.stdout.write("models and migrations agree\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
