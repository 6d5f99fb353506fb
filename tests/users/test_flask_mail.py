"""Flask-Mail, which has no place for a context: it verifies once ours is injected."""

from __future__ import annotations

import pytest
from ca.ca import Paths
from conftest import RECIPIENT, SENDER

from users.peers import HOST, MODES, judge_injected, mail_server, openssl_server

flask = pytest.importorskip("flask")
flask_mail = pytest.importorskip("flask_mail")


def send(mode: str, port: int) -> None:
    app = flask.Flask("users")
    app.config.update(
        MAIL_SERVER=HOST, MAIL_PORT=port, MAIL_USE_TLS=mode == "starttls", MAIL_USE_SSL=mode == "implicit"
    )
    mail = flask_mail.Mail(app)
    with app.app_context():
        mail.send(flask_mail.Message("smtptls", sender=SENDER, recipients=[RECIPIENT], body="one line"))


@pytest.mark.parametrize("mode", MODES)
def test_injected(mode: str, pki: Paths) -> None:
    judge_injected(pki, mode, lambda port: send(mode, port))


def test_content(pki: Paths) -> None:
    """The server that `judge_injected` uses gets the message, and not something else."""
    with mail_server(starttls=openssl_server(pki)) as recorder:
        send("starttls", recorder.port)
    assert b"one line" in recorder.messages[0]
