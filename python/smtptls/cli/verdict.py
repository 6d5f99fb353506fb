"""What a sender at a level would do, as the engine says."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._enums import Action, Auth, Code, Level
from .._errors import ConfigError, Error
from .._native import Config, certificate_dict
from .facts import Facts

# One stable word for a cause.
WHYS = {
    Code.ARGUMENT: "facts-missing",
    Code.NO_ROOTS: "no-roots",
    Code.IO: "connect",
    Code.EOF: "closed",
    Code.TRUNCATED: "tls-truncated",
    Code.TIMEOUT: "timeout",
    Code.NOT_OFFERED: "starttls-not-offered",
    Code.REFUSED: "starttls-rejected",
    Code.NOT_WANTED: "not-wanted",
    Code.SMTP_SYNTAX: "protocol",
    Code.TOO_LONG: "protocol",
    Code.UNSOLICITED: "protocol",
    Code.PLAINTEXT_INJECTED: "response-injection",
    Code.HANDSHAKE: "tls-handshake",
    Code.ALERT: "tls-alert",
    Code.TLS: "tls",
    Code.CERT_INVALID: "certificate-unusable",
    Code.CERT_TIME: "expired",
    Code.CERT_UNTRUSTED: "untrusted",
    Code.CERT_NAME: "name-mismatch",
    Code.CERT_REVOKED: "revoked",
    Code.CRL_EXPIRED: "crl-expired",
    Code.FINGERPRINT: "fingerprint",
    Code.DANE_MISMATCH: "dane-no-match",
    Code.DANE_REQUIRED: "dane-required",
    Code.DNSSEC: "dnssec",
    Code.STS_MX: "sts-mx-mismatch",
    Code.STS_INVALID: "sts-invalid",
    Code.REQUIRETLS: "requiretls",
}
# For those that never came to a connection, by enhanced status code.
ABSENCES = {
    "4.4.3": "dns",  # the lookup failed
    "5.1.2": "no-domain",
    "5.1.10": "null-mx",  # RFC 7505
    "5.4.4": "no-address",
}
# What may be otherwise in an hour.
TRANSIENT = {Code.IO, Code.EOF, Code.TIMEOUT, Code.TRUNCATED, Code.DNSSEC}

# What each action comes to for the message.
ACTIONS = {
    Action.FAIL: "unknown",  # a mistake or a gap on this side, which says nothing of the server
    Action.CONTINUE: "clear",
    Action.RECONNECT: "clear",
    Action.NEXT_HOST: "defer",
}


@dataclass(frozen=True)
class Verdict:
    """What a sender at a level would do, and why."""

    level: str
    action: str  # clear, deliver, defer, bounce, unknown
    effective: Level | None = None
    auth: Auth | None = None
    error: Error | None = None
    why: str | None = None
    is_transient: bool = False

    @property
    def is_met(self) -> bool:
        return self.action in ("clear", "deliver")

    @property
    def word(self) -> str:
        """For a person."""
        if self.action == "deliver":
            return "verified" if self.effective is not None and self.effective > Level.ENCRYPT else "send"
        return self.action.upper() if self.action in ("defer", "bounce") else self.action

    @property
    def status(self) -> str | None:
        """The enhanced status code of the deferral or the bounce; a message that goes has none."""
        if self.error is None or self.action not in ("defer", "bounce"):
            return None
        return self.error.enhanced_status

    def document(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {"action": self.action}
        if self.effective is not None:
            found["effective"] = self.effective.label
        if self.auth is not None:
            found["auth"] = self.auth.label
        if self.error is not None:
            found |= {"why": self.why, "code": self.error.name, "message": self.error.message}
            if self.status:
                found["status"] = self.status
            if self.error.tlsrpt:
                found |= {"tlsrpt": self.error.tlsrpt, "tlsrpt_reason": self.error.tlsrpt_reason}
        return found


def may_pass(error: Error) -> bool:
    """Whether it may be otherwise in an hour: the line was at fault, or the server itself says so."""
    return error.code in TRANSIENT or (error.reply or "").startswith("4")


def judge(
    config: Config,
    facts: Facts,
    level: str,
    host: str,
    chain: Sequence[bytes] | None,
    failure: Error | None = None,
    at: float | None = None,
    has_plaintext: bool = True,
) -> Verdict:
    """The verdict of a level on a host that showed this chain, or with which TLS failed at level may.

    at: the time to judge for, in seconds since 1970, in place of the present.
    has_plaintext: the port has, so that a sender that may can do without TLS.
    """
    is_absent = failure is not None and failure.code is Code.IO and failure.enhanced_status in ABSENCES
    if not is_absent and level in ("dane", "dane-only") and facts.doubt is not None:
        error = Error(Code.ARGUMENT, f"level {level} needs DNSSEC: {facts.doubt}")
        return Verdict(level, "unknown", None, None, error, "dnssec-unknown")
    if not is_absent and level == "sts" and not facts.has_sts:
        error = Error(
            Code.ARGUMENT, "level sts needs to know the MTA-STS policy of the domain, or that it has none"
        )
        return _failed(level, None, error, Action.FAIL, chain)
    try:
        policy = facts.policy(level)
        effective = policy.effective_level(host)
    except Error as error:
        # What is not known, or not there, does not count where there is no host to go to.
        is_minor = error.code in (Code.ARGUMENT, Code.DANE_REQUIRED)
        told = failure if failure is not None and is_absent and is_minor else error
        return _failed(level, None, told, told.action, chain)
    if effective is Level.NONE and (failure is None or _is_of_tls(failure, has_plaintext)):
        return Verdict(level, "clear", effective)
    if failure is not None:
        action = failure.action
        if (effective > Level.MAY or not has_plaintext) and action is not Action.FAIL:
            # docs/errors.md: where the levels differ, all but none and may go to the next host.
            action = Action.NEXT_HOST
        return _failed(level, effective, failure, action, chain)
    try:
        auth = config.judge(policy, host, chain or (), now=at)
    except Error as error:
        return _failed(level, effective, error, error.action, chain, at)
    return Verdict(level, "deliver", effective, auth)


def _is_of_tls(failure: Error, has_plaintext: bool) -> bool:
    """What fails from STARTTLS on, and so nothing to who wants no TLS. What fails before is in no report."""
    return has_plaintext and (failure.tlsrpt is not None or failure.action is not Action.NEXT_HOST)


def _failed(
    level: str,
    effective: Level | None,
    error: Error,
    action: Action,
    chain: Sequence[bytes] | None,
    at: float | None = None,
) -> Verdict:
    word = ACTIONS[action]
    if word == "defer" and not error.is_temporary:
        word = "bounce"
    is_transient = may_pass(error) and error.is_temporary
    return Verdict(level, word, effective, None, error, _why(error, chain, at), is_transient)


def _why(error: Error, chain: Sequence[bytes] | None, at: float | None) -> str:
    why = WHYS.get(error.code, "internal")
    if error.code is Code.IO:
        return ABSENCES.get(error.enhanced_status or "", why)
    if error.code is Code.ALERT and error.alert is not None:
        try:
            name = ssl.AlertDescription(error.alert).name.removeprefix("ALERT_DESCRIPTION_")
        except ValueError:
            name = str(error.alert)
        return f"{why}:{name.lower().replace('_', '-')}"
    if error.code is Code.CERT_TIME and chain and _begins(chain[0]) > (time.time() if at is None else at):
        return "not-yet-valid"
    return why


def _begins(certificate: bytes) -> float:
    try:
        return ssl.cert_time_to_seconds(certificate_dict(certificate)["notBefore"])
    except (ConfigError, KeyError, ValueError):
        return 0.0
