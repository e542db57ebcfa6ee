"""How Kafka's errors are told."""

from __future__ import annotations

from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from nova_stream.errors import KafkaUnavailableError
from nova_stream.settings import Settings

#: What is told of brokers of which nothing else is known.
NOBODY = "nothing there speaks Kafka"
_NO_ANSWER = (KafkaConnectionError, NodeNotReadyError)
#: What is refused by an ACL: its kind as ACLs name it, and the rights that are asked of it.
_REFUSED: dict[type[KafkaError], tuple[str, str]] = {
    TopicAuthorizationFailedError: ("Topic", "Describe and Read (whoever publishes: Write)"),
    GroupAuthorizationFailedError: ("Group", "Describe and Read"),
    ClusterAuthorizationFailedError: ("Cluster", "Create, or make the topics yourself"),
    TransactionalIdAuthorizationFailed: ("TransactionalId", "Describe"),
}


def unavailable(error: BaseException, settings: Settings) -> KafkaUnavailableError:
    """The error that names the brokers, what is wrong with them and what to look at."""
    brokers = ", ".join(settings.kafka_brokers)
    if isinstance(error, NotImplementedError):
        return KafkaUnavailableError(f"the Kafka at {brokers} is too old; 2.8 or newer is needed")
    if refused := refusal(error):
        return KafkaUnavailableError(f"the Kafka at {brokers} answers, but {refused}")
    # aiokafka tells why each broker was no good only to its log.
    silent = isinstance(error, _NO_ANSWER) or not str(error)
    detail = NOBODY if silent else told(error)
    return KafkaUnavailableError(
        f"no Kafka can be used at {brokers}: {detail}. Check "
        "NOVA_KAFKA_BROKERS, and NOVA_KAFKA_SECURITY where it wants TLS or a password; or start "
        "everything here with: nova-stream dev"
    )


def is_away(error: BaseException) -> bool:
    """Whether Kafka does not answer, or answers that it cannot at the moment; a right that it
    refuses does not come by waiting.
    """
    if refusal(error):
        return False
    return isinstance(error, (KafkaError, KafkaUnavailableError, OSError))


def refusal(error: BaseException) -> str | None:
    """What Kafka's ACLs refuse, and which right on which resource to grant; None where they are
    not why.
    """
    if type(error) not in _REFUSED:
        return None
    kind, rights = _REFUSED[type(error)]
    resource = f"{kind} {_named(error)}".rstrip()
    return (
        f"this user may not use {resource}: grant it {rights} there by an ACL (the user is "
        "NOVA_KAFKA_USERNAME, else the certificate's)"
    )


def _named(error: BaseException) -> str:
    """The resources that an error names."""
    if not error.args:
        return ""
    given = error.args[0]
    names = [given] if isinstance(given, str) else given
    return ", ".join(sorted(map(str, names)))


def told(error: BaseException) -> str:
    """An error of Kafka in words: its name in the protocol where it has one."""
    if isinstance(error, BrokerResponseError):
        return str(error.message)
    return str(error) or type(error).__name__
