"""Alerts as e-mail, handed to the server of NOVA_SMTP_URL."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate

import aiosmtplib

from nova_stream.jobs.alerting.messages import Message
from nova_stream.smtp_url import MailServer
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_TIMEOUT_S = 10.0
_LONGEST_SUBJECT = 150


class Mail:
    """Sends each message as one e-mail to all recipients.

    A message counts as taken when the server has taken it for one of them. The connection is
    encrypted where the server offers it, and always where there is a password.
    """

    name = "email"

    def __init__(self, server: MailServer, sender: str, recipients: Sequence[str]) -> None:
        self._server = server
        self._sender = sender
        self._recipients = list(recipients)

    async def send(self, message: Message, key: str) -> str | None:
        """As ``Channel``; the key is the Message-ID, by which many programs show it once."""
        server = self._server
        try:
            refused, _ = await aiosmtplib.send(
                self._mail(message, key),
                hostname=server.host,
                port=server.port,
                username=server.user,
                password=server.password,
                use_tls=server.encrypted,
                start_tls=None if server.encrypted or server.user is None else True,
                timeout=_TIMEOUT_S,
            )
        except aiosmtplib.SMTPResponseException as error:
            return f"SMTP {error.code}"
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return type(error).__name__
        if refused:
            _log.warning("recipients of alerts are refused", refused=len(refused))
        return None

    def _mail(self, message: Message, key: str) -> EmailMessage:
        mail = EmailMessage()
        state = "over: " if message.over else ""
        subject = _line(f"[nova-stream] {state}{message.kind}: {message.subject}")
        mail["Subject"] = subject[:_LONGEST_SUBJECT]
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._recipients)
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{key}@{self._sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        lines = [message.message, "", f"began at {message.began_at}"]
        if message.ended_at is not None:
            lines.append(f"ended at {message.ended_at}")
        if message.alert is not None:
            lines.append(f"alert {message.alert} (nova-stream alerts list --all)")
        mail.set_content("\n".join(lines) + "\n")
        return mail


def _line(text: str) -> str:
    """``text`` without what a header cannot hold."""
    return "".join(char if char.isprintable() else " " for char in text)
