"""How Kafka's errors are told."""

from __future__ import annotations

from aiokafka.errors import BrokerResponseError, KafkaConnectionError, KafkaError, NodeNotReadyError

from nova_stream.errors import KafkaUnavailableError
from nova_stream.settings import Settings

#: What is told of brokers of which nothing else is known.
NOBODY = "nothing there speaks Kafka"
_NO_ANSWER = (KafkaConnectionError, NodeNotReadyError)


def unavailable(error: BaseException, settings: Settings) -> KafkaUnavailableError:
    """The error that names the brokers, what is wrong with them and what to look at."""
    if isinstance(error, NotImplementedError):
        brokers = ", ".join(settings.kafka_brokers)
        return KafkaUnavailableError(f"the Kafka at {brokers} is too old; 2.8 or newer is needed")
    # aiokafka tells why each broker was no good only to its log.
    silent = isinstance(error, _NO_ANSWER) or not str(error)
    detail = NOBODY if silent else told(error)
    return KafkaUnavailableError(
        f"no Kafka can be used at {', '.join(settings.kafka_brokers)}: {detail}. Check "
        "NOVA_KAFKA_BROKERS, and NOVA_KAFKA_SECURITY where it wants TLS or a password; or start "
        "everything here with: nova-stream dev"
    )


def is_away(error: BaseException) -> bool:
    """Whether Kafka does not answer, or answers that it cannot at the moment."""
    return isinstance(error, (KafkaError, KafkaUnavailableError, OSError))


def told(error: BaseException) -> str:
    """An error of Kafka in words: its name in the protocol where it has one."""
    if isinstance(error, BrokerResponseError):
        return str(error.message)
    return str(error) or type(error).__name__
