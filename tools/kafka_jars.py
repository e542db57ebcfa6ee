"""Writes ``kafka-jars.lock`` anew: resolves Kafka's dependencies and pins every jar's sum.

For maintainers, when the version of Kafka changes: ``python -m tools.kafka_jars``, then
review the difference. Running it trusts what the Maven repository serves at that moment.
"""

from __future__ import annotations

from nova_stream.local.jars import LOCK
from tools import jar_lock

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
#: Kafka logs through slf4j 1.7 and brings no backend; this one writes to standard error.
_LOG_BACKEND = "org.slf4j:slf4j-simple:1.7.36"


def main() -> None:
    """Resolve, fetch, write."""
    title = f"{KAFKA} and what it needs to run: coordinates, SHA-256, size in bytes."
    jar_lock.write(LOCK, title, [KAFKA], besides=[_LOG_BACKEND])


if __name__ == "__main__":
    main()
