"""Tells people of a game day: a webhook, whatever takes Slack's `{text: …}`, or a mail. One way each; addresses are shown nowhere."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

from chaos.drivers.announcer import TIMEOUT_S
from chaos.drivers.http import ask, session
from chaos.errors import Unreachable
from chaos.gameday.file import Email, Tell
from chaos.gameday.messages import Message

log = logging.getLogger("chaos.gameday")

MAIL_TIMEOUT_S = 10.0


def tell(way: Tell, message: Message) -> None:
    """It was told, and whoever takes it has said so. Raises Unreachable when not."""
    if way.webhook is not None:
        said = {"text": message.text, "when": message.when, "subject": message.subject, **message.more}
        _post("the webhook", way.webhook.get_secret_value(), said)
    elif way.slack is not None:
        _post("the chat", way.slack.get_secret_value(), {"text": message.text})
    elif way.email is not None:
        _mail(way.email, message)


def _post(what: str, url: str, said: Mapping[str, object]) -> None:
    host = urlsplit(url).hostname or "its host"
    try:
        answer = ask(session(), "POST", url, what=what, timeout_s=TIMEOUT_S, json=said, allow_redirects=False)
    except Unreachable:
        raise Unreachable(f"{what} at {host} does not answer") from None
    if not 200 <= answer.status_code < 300:
        raise Unreachable(f"{what} at {host} answered {answer.status_code}")


def _letter(way: Email, message: Message) -> EmailMessage:
    letter = EmailMessage()
    letter["Subject"] = f"[chaos] {message.subject}"
    letter["From"] = way.from_
    letter["To"] = ", ".join(way.to)
    letter["Date"] = formatdate()
    letter["Message-ID"] = make_msgid(domain=way.from_.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office reply comes back
    letter.set_content(message.text + "\n")
    return letter


def _mail(way: Email, message: Message) -> None:
    where = f"the mail server {way.host}:{way.at_port()}"
    try:
        with _connected(way) as server:
            if way.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if way.user is not None and way.password is not None:
                server.login(way.user, way.password.get_secret_value())
            missed = server.send_message(_letter(way, message))
    except smtplib.SMTPRecipientsRefused as error:  # its text has their addresses
        raise Unreachable(f"{where} refused every one of {len(error.recipients)} recipients") from None
    except smtplib.SMTPResponseException as error:
        raise Unreachable(f"{where} answered {error.smtp_code}") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Unreachable(f"{where} took no mail: {error}") from None
    if missed:
        log.warning("%s refused %d of %d recipients; the others have the mail", where, len(missed), len(way.to))


def _connected(way: Email) -> smtplib.SMTP:
    if way.security == "tls":
        return smtplib.SMTP_SSL(way.host, way.at_port(), timeout=MAIL_TIMEOUT_S, context=ssl.create_default_context())
    return smtplib.SMTP(way.host, way.at_port(), timeout=MAIL_TIMEOUT_S)
