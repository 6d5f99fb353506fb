"""The MTA-STS policy of a domain from its web server (RFC 8461 section 3.3): httpx over the engine's TLS."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence

import httpx

from .._errors import ConfigError
from .._native import StsPolicy, escape
from .._sslcontext import SSLContext
from .options import LARGEST_STS, roots

LIMIT = 60.0  # seconds for all of it, which RFC 8461 section 3.3 suggests
PATH = "/.well-known/mta-sts.txt"
TYPE = "text/plain"


class Unfetched(Exception):
    """There is no policy. The state is the result type that a report has (RFC 8460 section 4.3)."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(message)
        self.state = state


def url(host: str) -> str:
    return f"https://{host}{PATH}"


def fetch(host: str, places: Sequence[tuple[str, int]], ca: Sequence[str] | None, by: float) -> StsPolicy:
    """The policy that a web server has, at the first of these addresses that answers; raises Unfetched.

    ca: as the option --ca.
    by: a time of time.monotonic().
    """
    limit = min(LIMIT, by - time.monotonic())
    shown = escape(url(host).encode())
    try:
        # A limit for each step would let a server that dribbles have as long as it likes.
        with asyncio.Runner(debug=False) as runner:
            text = runner.run(_within(limit, host, places, trusting(ca)))
    except TimeoutError as error:
        message = f"{shown} was not there within {max(limit, 0):.3g} s"
        raise Unfetched("sts-policy-fetch-error", message) from error
    except (httpx.HTTPError, OSError) as error:
        raise _explained(shown, error) from error
    try:
        return StsPolicy.parse(text)
    except ConfigError as error:
        raise Unfetched("sts-policy-invalid", f"{shown}: {error.message}") from error


def trusting(ca: Sequence[str] | None) -> ssl.SSLContext:
    """The same trust as for the SMTP servers, and the same rules for names: the common name never counts."""
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for kind, path in roots(ca):
        if kind == "system":
            context.load_default_certs()
        else:
            context.load_verify_locations(**{"cafile" if kind == "file" else "capath": path})
    return context


async def _within(
    limit: float, host: str, places: Sequence[tuple[str, int]], context: ssl.SSLContext
) -> bytes:
    async with asyncio.timeout(max(limit, 0)):
        # No cache, no cookies, no proxy of the environment, and no redirects (RFC 8461 section 3.3).
        async with httpx.AsyncClient(
            verify=context, timeout=None, follow_redirects=False, trust_env=False
        ) as client:
            for place in places[:-1]:
                try:
                    return await _get(client, host, *place)
                except httpx.ConnectError as error:
                    if _certificate(error) is not None:
                        raise
            return await _get(client, host, *places[-1])


async def _get(client: httpx.AsyncClient, host: str, address: str, port: int) -> bytes:
    request = client.build_request(
        "GET",
        httpx.URL(scheme="https", host=address, port=port, path=PATH),
        headers={"Host": host, "Accept": TYPE, "Accept-Encoding": "identity", "User-Agent": "smtptls"},
        # The name in SNI, and the one that the certificate has to be for.
        extensions={"sni_hostname": host},
    )
    response = await client.send(request, stream=True)
    try:
        return await _body(response, escape(url(host).encode()))
    finally:
        await response.aclose()


async def _body(response: httpx.Response, shown: str) -> bytes:
    if response.status_code != 200:
        what = "a redirect, which a sender does not follow" if response.is_redirect else "not 200"
        message = f"{shown} answers HTTP status {response.status_code}, {what}"
        raise Unfetched("sts-policy-fetch-error", message)
    kind = response.headers.get("Content-Type", "")
    if kind.partition(";")[0].strip().lower() != TYPE:
        # RFC 8461 section 3.2: against servers where users can put files.
        message = f"{shown} is of type {escape(kind.encode()) or 'none'}, and not of {TYPE}"
        raise Unfetched("sts-policy-invalid", message)
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unfetched("sts-policy-fetch-error", f"{shown} is compressed, and nobody asked for that")
    text = b""
    async for octets in response.aiter_raw():
        text += octets
        if len(text) > LARGEST_STS:
            raise Unfetched("sts-policy-fetch-error", f"{shown} is larger than {LARGEST_STS} octets")
    return text


def _explained(shown: str, error: Exception) -> Unfetched:
    failure = _certificate(error)
    if failure is not None:
        why = str(failure).partition("certificate verify failed: ")[2] or str(failure)
        return Unfetched("sts-webpki-invalid", f"{shown}: its certificate is not good: {why}")
    why = str(error) or type(error).__name__
    return Unfetched("sts-policy-fetch-error", f"{shown}: no answer: {escape(why.encode())}")


def _certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What is wrong with the certificate, if that is why."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
