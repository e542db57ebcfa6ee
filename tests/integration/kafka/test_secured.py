"""What is asked of Kafka works over TLS with a password as well as without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_stream.errors import KafkaUnavailableError
from nova_stream.events.change import Entity
from nova_stream.kafka.admin import KafkaAdmin, TopicAdmin
from nova_stream.kafka.markers import count_records
from nova_stream.local.kafka import LocalKafka
from nova_stream.local.ports import HOST, free_port
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings, load_settings
from tests.certificates import make_certificate

pytestmark = [pytest.mark.integration, pytest.mark.long]

USER, PASSWORD = "nova", "a password"


@pytest.fixture(params=["SASL_SSL", "SASL_PLAINTEXT", "SSL"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    protocol = request.param
    ca, broker = make_certificate(tmp_path)
    plain, controller, port = (free_port() for _ in range(3))
    login = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
    )
    properties = {
        "listeners": f"PLAINTEXT://{HOST}:{plain},CONTROLLER://{HOST}:{controller},"
        f"SECURED://{HOST}:{port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{plain},SECURED://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
        f"SECURED:{protocol}",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(broker),
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secured.plain.sasl.jaas.config": login,
    }
    with LocalKafka(tmp_path / "kafka", port=plain, properties=properties):
        yield load_settings(
            kafka_brokers=f"{HOST}:{port}",
            kafka_security=protocol,
            **({"kafka_ca_file": str(ca)} if protocol.endswith("SSL") else {}),
            **(
                {"kafka_username": USER, "kafka_password": PASSWORD}
                if protocol.startswith("SASL")
                else {}
            ),
        )


async def test_everything_is_asked_over_a_secured_connection(secured: Settings) -> None:
    async with TopicAdmin(secured) as topics:
        await topics.prepare_sources()
    async with ChangePublisher(secured) as publisher:
        await publisher.user({"id": "u"})
    async with KafkaAdmin(secured) as admin:
        logs = await admin.logs([secured.topic(Entity.USERS)])
        places = {key: (log.start, log.stable) for key, log in logs.items() if log.stable}
        assert await count_records(secured, places, 10) == dict.fromkeys(places, 1)
        assert (await admin.group("nobody")).members == 0
        assert await admin.open_transactions(places) == {}
    if secured.kafka_password is not None:
        wrong = load_settings(**{**secured.model_dump(), "kafka_password": "another"})
        async with KafkaAdmin(wrong, 5) as admin:
            with pytest.raises(KafkaUnavailableError, match="NOVA_KAFKA_SECURITY") as caught:
                await admin.ping()
        assert "another" not in str(caught.value)
