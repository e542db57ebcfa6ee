"""The jars of Kafka Connect and Debezium: pinned in ``connect-jars.lock``, cached as Kafka's are.

``python -m tests.sources.jars`` writes the lock anew when a version changes; review the
difference, since it holds what the Maven repository served at that moment.
"""

from __future__ import annotations

from pathlib import Path

from nova_stream.local import jars
from nova_stream.local.jars import cache_dir
from tools import jar_lock

LOCK = Path(__file__).with_name("connect-jars.lock")

CONNECT = "4.1.1"
DEBEZIUM = "3.6.1.Final"
#: The newest Avro converter whose parts are all on Maven Central; it speaks to newer registries.
APICURIO = "2.6.13.Final"
#: What is asked for by name. Debezium names a newer Kafka as provided and a newer Jackson than
#: Connect: here both stand on one class path, so each has one version.
_ROOTS = (
    f"org.apache.kafka:connect-runtime:{CONNECT}",
    f"org.apache.kafka:connect-json:{CONNECT}",
    f"org.apache.kafka:connect-api:{CONNECT}",
    f"org.apache.kafka:connect-transforms:{CONNECT}",
    f"org.apache.kafka:kafka-clients:{CONNECT}",
    f"io.debezium:debezium-connector-postgres:{DEBEZIUM}",
    f"io.apicurio:apicurio-registry-utils-converter:{APICURIO}",
    "com.fasterxml.jackson.core:jackson-databind:2.21.2",
    "com.fasterxml.jackson.core:jackson-core:2.21.2",
    "com.fasterxml.jackson.core:jackson-annotations:2.21",
    "org.slf4j:slf4j-api:1.7.36",
    "org.slf4j:slf4j-simple:1.7.36",
)


def class_path() -> list[Path]:
    """Fetches what is not in the cache; raises LocalStackError when a jar cannot be had."""
    return jars.install(lock=LOCK, cache=cache_dir() / "connect")


def main() -> None:
    """Resolve, fetch, write the lock."""
    title = f"Kafka Connect {CONNECT} and Debezium {DEBEZIUM}: coordinates, SHA-256, bytes."
    jar_lock.write(LOCK, title, _ROOTS)


if __name__ == "__main__":
    main()
