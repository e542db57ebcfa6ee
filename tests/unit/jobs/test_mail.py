"""Alerts as e-mail, handed to a real SMTP server on this machine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from nova_stream.errors import SettingsError
from nova_stream.jobs.alerting.mail import Mail
from nova_stream.jobs.alerting.messages import outage
from nova_stream.settings import load_settings
from nova_stream.smtp_url import MailServer, mail_server
from tests.certificates import make_certificate

NOON = datetime(2026, 2, 20, 12, 0, tzinfo=UTC)
FROM, ANN, BOB = "nova@example.com", "ann@example.com", "bob@example.com"
MESSAGE = outage(load_settings(), NOON, NOON, over=False)


class Inbox:
    """Takes mail for everybody but those in ``unknown``."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.unknown:
            return "550 nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 OK"


@asynccontextmanager
async def serving(make: Callable[[], SMTP]) -> AsyncIterator[int]:
    talks: list[SMTP] = []

    def begin() -> SMTP:
        talks.append(make())
        return talks[-1]

    server = await asyncio.get_running_loop().create_server(begin, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for talk in talks:
            if talk.transport is not None:
                talk.transport.close()
        await asyncio.sleep(0)


def mail(port: int, *, password: str | None = None) -> Mail:
    user = None if password is None else "nova"
    return Mail(MailServer("127.0.0.1", port, False, user, password), FROM, [ANN, BOB])


async def test_a_message_is_one_mail_to_everybody() -> None:
    inbox = Inbox()
    async with serving(lambda: SMTP(inbox)) as port:
        assert await mail(port).send(MESSAGE, "nova-stream-alert-1-begin") is None
    (taken,) = inbox.taken
    assert (taken.mail_from, taken.rcpt_tos) == (FROM, [ANN, BOB])
    assert isinstance(taken.content, bytes)
    found = message_from_bytes(taken.content, policy=default)
    assert found["Subject"].startswith("[nova-stream] database: ")
    assert found["Message-ID"] == "<nova-stream-alert-1-begin@example.com>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found.get_content().splitlines()[0] == MESSAGE.message


@pytest.mark.parametrize("text", ["two\r\nBcc: eve@example.com", "x" * 5000, "\x00\u202e", "ö 模"])
async def test_no_text_becomes_a_header_of_its_own(text: str) -> None:
    inbox = Inbox()
    async with serving(lambda: SMTP(inbox)) as port:
        message = msgspec.structs.replace(MESSAGE, subject=text, message=text, event="end")
        assert await mail(port).send(message, "k") is None
    (taken,) = inbox.taken
    assert isinstance(taken.content, bytes)
    found = message_from_bytes(taken.content, policy=default)
    assert found["Subject"].startswith("[nova-stream] over: database: ")
    assert len(found["Subject"]) <= 150
    assert set(found.keys()) == {
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }


async def test_it_is_taken_when_one_of_them_has_it() -> None:
    inbox = Inbox()
    async with serving(lambda: SMTP(inbox)) as port:
        inbox.unknown = {BOB}
        assert await mail(port).send(MESSAGE, "k") is None
        inbox.unknown = {ANN, BOB}
        assert await mail(port).send(MESSAGE, "k") == "SMTPRecipientsRefused"
    assert [envelope.rcpt_tos for envelope in inbox.taken] == [[ANN]]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
async def test_a_password_is_not_sent_without_encryption() -> None:
    seen: list[object] = []

    def authenticate(*given: object) -> AuthResult:
        seen.append(given)
        return AuthResult(success=True)

    def server() -> SMTP:
        return SMTP(Inbox(), authenticator=authenticate, auth_require_tls=False, auth_required=True)

    async with serving(server) as port:
        told = await mail(port, password="hush").send(MESSAGE, "k")
    assert told is not None
    assert (told.startswith("SMTP"), seen) == (True, [])


async def test_a_server_whose_certificate_nobody_knows_gets_nothing(tmp_path: Path) -> None:
    _, secret = make_certificate(tmp_path)
    self_signed = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    self_signed.load_cert_chain(secret)
    inbox = Inbox()
    async with serving(lambda: SMTP(inbox, tls_context=self_signed)) as port:
        told = await mail(port, password="hush").send(MESSAGE, "k")
        assert told is not None
        assert "hush" not in told
    assert inbox.taken == []


async def test_nobody_there_is_told_by_the_kind_of_failure() -> None:
    assert await mail(1).send(MESSAGE, "k") == "SMTPConnectError"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://relay", MailServer("relay", 587, False, None, None)),
        ("smtp://relay:25/", MailServer("relay", 25, False, None, None)),
        ("smtps://u%40x:p%2F@relay", MailServer("relay", 465, True, "u@x", "p/")),
    ],
)
def test_the_address_of_a_server(url: str, server: MailServer) -> None:
    assert mail_server(url) == server


@pytest.mark.parametrize("lacking", ["alert_email_to", "alert_email_from", "smtp_url"])
def test_half_of_what_mail_needs_is_refused(lacking: str) -> None:
    given = {
        "alert_email_to": f"{ANN}, {BOB}",
        "alert_email_from": FROM,
        "smtp_url": "smtp://relay:25",
    }
    assert load_settings(**given).alert_email_to == (ANN, BOB)
    with pytest.raises(SettingsError, match="NOVA_SMTP_URL: all are needed, or none"):
        load_settings(**{name: value for name, value in given.items() if name != lacking})


@pytest.mark.parametrize("address", ["nova", "a@b, c", "x\n@y", "Ann <ann@example.com>"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="NOVA_ALERT_EMAIL_FROM"):
        load_settings(alert_email_from=address)
    with pytest.raises(SettingsError, match="NOVA_ALERT_EMAIL_TO"):
        load_settings(alert_email_to=address)
