"""People are told by webhook, chat and mail: what arrives, and what is said when nothing does. Against loopback servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import AsyncMessage
from pydantic import SecretStr

from chaos.drivers.ports import free_ports
from chaos.drivers.teller import tell
from chaos.errors import Unreachable
from chaos.gameday.file import Email, Tell
from chaos.gameday.messages import Message
from tests.drivers.loopback import Said, serving

MESSAGE = Message(
    "before", "game day drill begins", "Ada begins drill – für alle.\nTo end it: Ctrl-C", {"gameday": "drill"}
)
SECRET = "/hooks/hunter2"


class Mailbox(AsyncMessage):
    """Keeps what comes; refuses what goes to nobody@."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: list = []

    async def handle_RCPT(self, _server, _session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    async def handle_message(self, message) -> None: ...


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    [port] = free_ports(1)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def mail(port: int, *to: str, security: str = "none") -> Tell:
    email = Email.model_validate({"host": "127.0.0.1", "port": port, "security": security, "from": "chaos@example.org", "to": list(to)})  # fmt: skip
    return Tell(email=email)


def test_a_webhook_gets_the_sentence_and_the_same_for_machines() -> None:
    with serving(lambda _: Said()) as here:
        tell(Tell(webhook=SecretStr(here.url + SECRET)), MESSAGE)
        [asked] = here.asked
    assert asked.path == SECRET
    assert json.loads(asked.body) == {
        "text": MESSAGE.text, "when": "before", "subject": "game day drill begins", "gameday": "drill",
    }  # fmt: skip


def test_a_chat_gets_what_slack_takes_and_nothing_else() -> None:
    with serving(lambda _: Said(body=b"ok", kind="text/plain")) as here:
        tell(Tell(slack=SecretStr(here.url + SECRET)), MESSAGE)
        assert json.loads(here.asked[0].body) == {"text": MESSAGE.text}


def test_a_mail_arrives_as_it_was_written_at_everybody(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    tell(mail(port, "a@example.org", "b@example.org"), MESSAGE)
    [letter] = box.letters
    assert (letter["Subject"], letter["To"]) == ("[chaos] game day drill begins", "a@example.org, b@example.org")
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().replace("\r\n", "\n").strip() == MESSAGE.text


def test_people_whom_the_mail_server_refuses_are_counted_and_the_others_have_heard(
    mailbox: tuple[Mailbox, int], caplog: pytest.LogCaptureFixture
) -> None:
    box, port = mailbox
    tell(mail(port, "a@example.org", "nobody@example.org"), MESSAGE)
    assert len(box.letters) == 1
    assert "refused 1 of 2 recipients; the others have the mail" in caplog.text
    with pytest.raises(Unreachable, match=r"refused every one of 2 recipients") as lost:
        tell(mail(port, "nobody@example.org", "nobody@example.com"), MESSAGE)
    assert "nobody" not in caplog.text + str(lost.value)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_does_not_take_it_is_said_without_the_secret_address(status: int) -> None:
    with serving(lambda _: Said(status)) as here, pytest.raises(Unreachable) as said:
        tell(Tell(slack=SecretStr(here.url + SECRET)), MESSAGE)
    assert str(said.value) == f"the chat at 127.0.0.1 answered {status}"


def test_nobody_at_the_address_is_said_without_the_secret_address() -> None:
    with serving(lambda _: Said()) as here:
        url = here.url
    with pytest.raises(Unreachable) as said:
        tell(Tell(webhook=SecretStr(url + SECRET)), MESSAGE)
    assert str(said.value) == "the webhook at 127.0.0.1 does not answer"
    with pytest.raises(Unreachable, match=r"the mail server 127\.0\.0\.1:"):
        tell(mail(int(url.rpartition(":")[2]), "a@b"), MESSAGE)


def test_a_mail_server_that_offers_no_tls_gets_no_mail_that_wants_it(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    with pytest.raises(Unreachable, match="took no mail"):
        tell(mail(port, "a@b", security="starttls"), MESSAGE)
    assert box.letters == []
