"""Verified TLS for programs that let smtplib choose its own, which does not verify.

`inject_into_smtplib()` is for a program whose mail library calls `starttls()` and has no place for a context.
It is undone by `extract_from_smtplib()`.
"""

from __future__ import annotations

import functools
import inspect
import logging
import logging.handlers
import smtplib
import ssl
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ._sslcontext import SSLContext, create_default_context

if TYPE_CHECKING:
    from _typeshed import StrOrBytesPath

_lock = threading.Lock()
_given: SSLContext | None = None
_default: SSLContext | None = None

# What has been put where: class, name, what was there, and what is there now.
_patches: list[tuple[type, str, Any, Any]] = []

# While logging's SMTPHandler sends: its key file and certificate file, if any; None if it does without TLS.
_logging: ContextVar[Any] = ContextVar("smtptls_logging", default=None)


def inject_into_smtplib(context: SSLContext | None = None) -> None:
    """From now on, `starttls` and `SMTP_SSL` without a context use this one, or else one that verifies by the
    authorities that the system trusts (`create_default_context()`). Python gives them one that verifies
    nothing.

    It is for the whole process: SMTP, LMTP, SMTP_SSL, classes derived from them, and logging's SMTPHandler. A
    context that a program gives is used as it is. Files that it gives by the old arguments keyfile and
    certfile are shown to the server, which is verified all the same. The name in the certificate must be that
    of the host which `connect` was told. Where TLS fails, the connection is closed.

    A server that offers no STARTTLS, or refuses it, gives rise to smtplib's own errors, and the connection
    stays open, as ever: a program that goes on after them sends its mail in plaintext.

    Called again it puts the other context in place of the first one. It lasts until `extract_from_smtplib()`.
    """
    global _given
    if context is not None and not isinstance(context, SSLContext):
        raise TypeError("the context must be a smtptls.SSLContext")
    if context is not None and context.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ValueError("the context is for a server")
    with _lock:
        _given = context
        if not _patches:
            _put(smtplib.SMTP, "connect", _connect)
            _put(smtplib.SMTP, "starttls", _starttls)
            _put(smtplib.SMTP_SSL, "__init__", _init)
            _put(logging.handlers.SMTPHandler, "emit", _emit)


def extract_from_smtplib() -> None:
    """Undoes `inject_into_smtplib`; without that it does nothing. Objects that exist keep what they have.

    RuntimeError says that somebody else has replaced the same function since. Then nothing is changed; undo
    theirs first.
    """
    global _given, _default
    with _lock:
        for owner, name, _before, ours in _patches:
            if vars(owner).get(name) is not ours:
                where = f"{owner.__module__}.{owner.__qualname__}.{name}"
                raise RuntimeError(f"{where} has been replaced since inject_into_smtplib(): undo that first")
        for owner, name, before, _ours in _patches:
            setattr(owner, name, before)
        _patches.clear()
        _given = _default = None


def _put(owner: type, name: str, wrap: Callable[[Any], Any]) -> None:
    before = vars(owner)[name]
    ours = functools.update_wrapper(wrap(before), before)
    _patches.append((owner, name, before, ours))
    setattr(owner, name, ours)


def _connect(before: Any) -> Any:
    def connect(self: Any, host: str = "localhost", port: int = 0, *args: Any, **options: Any) -> Any:
        # The name to verify. Python keeps the one that __init__ was given, even if it has a port in it, and
        # none if __init__ was given none (up to 3.13).
        alone = not port and host.count(":") == 1
        self._host = host.partition(":")[0] if alone else host
        return before(self, host, port, *args, **options)

    return connect


def _starttls(before: Any) -> Any:
    # Python 3.12 took keyfile and certfile away, but up to 3.13 logging's SMTPHandler gives them.
    def starttls(
        self: Any,
        keyfile: StrOrBytesPath | None = None,
        certfile: StrOrBytesPath | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Any:
        try:
            files = _logging.get()
            if files is not None and context is not None and not isinstance(context, SSLContext):
                # From 3.14 on SMTPHandler makes a context, by itself, that verifies nothing.
                context = None
                keyfile, certfile = (*files, None, None)[:2]
            if context is None:
                context = _chosen(keyfile, certfile)
            elif keyfile is not None or certfile is not None:
                raise ValueError("context and keyfile or certfile are mutually exclusive")
            return before(self, context=context)
        except smtplib.SMTPException:
            raise
        except BaseException:
            # Whoever goes on all the same must not do so in plaintext.
            self.close()
            raise

    return starttls


def _init(before: Any) -> Any:
    signature = inspect.signature(before)

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        bound = signature.bind(self, *args, **options)
        if bound.arguments.get("context") is None:
            files = [bound.arguments.pop(name, None) for name in ("keyfile", "certfile")]
            bound.arguments["context"] = _chosen(*files)
        before(*bound.args, **bound.kwargs)

    return __init__


def _emit(before: Any) -> Any:
    def emit(self: logging.handlers.SMTPHandler, record: logging.LogRecord) -> None:
        token = _logging.set(self.secure)
        try:
            before(self, record)
        finally:
            _logging.reset(token)

    return emit


def _chosen(keyfile: StrOrBytesPath | None, certfile: StrOrBytesPath | None) -> SSLContext:
    """The context for a caller that gave none, but perhaps these files."""
    global _default
    with _lock:
        given = _given
        if given is None and _default is None:
            _default = create_default_context()
        context = given or _default
    assert context is not None
    if certfile is None:
        if keyfile is not None:
            raise ValueError("certfile must be specified")
        return context
    own = _same(given) if given else create_default_context()
    own.load_cert_chain(certfile, keyfile)
    return own


def _same(context: SSLContext) -> SSLContext:
    """Another context with the same trust and settings: the first one is not to show the certificate."""
    if context._fixed:
        raise ValueError("the injected context is made of a Config, which has a certificate or has none")
    same = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    same.check_hostname = context.check_hostname
    for setting in ("verify_mode", "verify_flags", "options", "minimum_version", "maximum_version"):
        setattr(same, setting, getattr(context, setting))
    older = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    if older:
        same.set_ciphers(":".join(older))
    for source in context._sources:
        same.load_verify_locations(**source)
    if context._system_roots:
        same.set_default_verify_paths()
    return same
