"""EmailBackend: Django's SMTP backend with verified TLS by rustls. For Django 4.2 to 6.x.

    EMAIL_BACKEND = "smtptls.django.EmailBackend"
    EMAIL_HOST = "smtp.example.com"
    EMAIL_PORT = 587

Django's settings and arguments mean what they mean to its own backend: EMAIL_HOST_USER, EMAIL_HOST_PASSWORD,
EMAIL_USE_TLS (STARTTLS), EMAIL_USE_SSL (TLS from the start), EMAIL_SSL_CERTFILE and EMAIL_SSL_KEYFILE (shown
to the server), EMAIL_TIMEOUT. What differs:

- Without EMAIL_USE_TLS and EMAIL_USE_SSL there is STARTTLS. Only EMAIL_USE_TLS = False, said in so many
  words, sends mail in plaintext.
- The system's authorities are trusted also where EMAIL_SSL_CERTFILE is set; Django then trusts none.
- EMAIL_SSL_CAFILE, or the argument ssl_cafile, is a PEM file of the authorities to trust, in place of those
  that the system trusts.
- The argument context is a smtptls.SSLContext to use as it is.

With MAILERS (Django 6.1) the arguments are what stands in OPTIONS:

    MAILERS = {
        "default": {
            "BACKEND": "smtptls.django.EmailBackend",
            "OPTIONS": {"host": "smtp.example.com", "ssl_cafile": "/etc/ssl/our-ca.pem"},
        },
    }
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from django import conf
from django.core.mail.backends import smtp
from django.utils.functional import cached_property

from ._sslcontext import SSLContext, create_default_context

if TYPE_CHECKING:
    from _typeshed import StrPath


class EmailBackend(smtp.EmailBackend):
    """Django's SMTP backend, whose TLS is that of rustls."""

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        use_tls: bool | None = None,
        fail_silently: bool = False,
        use_ssl: bool | None = None,
        timeout: float | None = None,
        ssl_keyfile: StrPath | None = None,
        ssl_certfile: StrPath | None = None,
        *,
        ssl_cafile: StrPath | None = None,
        context: SSLContext | None = None,
        **options: Any,
    ) -> None:
        if context is not None and not isinstance(context, SSLContext):
            raise TypeError("the context must be a smtptls.SSLContext")
        # With MAILERS, which gives an alias, the settings of the same meaning do not count.
        by_settings = options.get("alias") is None
        if use_ssl is None and by_settings:
            use_ssl = conf.settings.EMAIL_USE_SSL
        said = by_settings and conf.settings.is_overridden("EMAIL_USE_TLS")
        if use_tls is None and not use_ssl and not said:
            use_tls = True
        if ssl_cafile is None and by_settings:
            ssl_cafile = getattr(conf.settings, "EMAIL_SSL_CAFILE", None)
        self._cafile, self._context = ssl_cafile, context
        inherited: Any = super().__init__
        inherited(
            host=host,
            port=port,
            username=username,
            password=password,
            use_tls=use_tls,
            fail_silently=fail_silently,
            use_ssl=use_ssl,
            timeout=timeout,
            ssl_keyfile=ssl_keyfile,
            ssl_certfile=ssl_certfile,
            **options,
        )

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """Made when it is first asked for, as Django has it."""
        if self._context is not None:
            return self._context
        made = create_default_context(cafile=self._cafile or None)
        if self.ssl_certfile or self.ssl_keyfile:
            # A key file alone is an error of this call.
            made.load_cert_chain(self.ssl_certfile or "", self.ssl_keyfile or None)
        return made

    def open(self) -> bool | None:
        """As Django has it. A connection where TLS or the login failed is closed, so that the next message
        cannot go out on it.
        """
        opened: bool | None = None
        try:
            opened = super().open()
        finally:
            if opened is None:
                self._abandon()
        return opened

    def _abandon(self) -> None:
        # Django 4.2 keeps such a connection as if it were good; later versions keep it apart.
        for name in ("connection", "_partial_connection"):
            connection = vars(self).get(name)
            if connection is not None:
                setattr(self, name, None)
                connection.close()
