"""The URL door: fetch an image from an address that a person typed.

The address may point into the network of the machine that runs this (metadata services, other
people's notebooks), so text is never trusted to say where it leads. The name is resolved here,
every address it has is checked, and the connection goes to the very address that was checked; a
second look-up could answer differently. The HTTP layer is httpcore, below httpx: no proxies or
netrc from the environment, no cookies, no redirects on its own, no decompression.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urljoin

from workbench.errors import InvalidRequest

if TYPE_CHECKING:
    import ssl

    import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]

_MAX_URL = 2_048
_CONNECT_S = 5.0

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?"
)
_NAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})\.)*[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.?")
# What browsers call a host that ends in a number: 127.1, 0x7f000001, 2130706433, 0177.0.0.1.
_NUMERIC_END = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)$")
_LOCAL_NAMES = re.compile(
    r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|lan|home|corp|home\.arpa)",
    re.IGNORECASE,
)

# Python 3.11 calls several of these global (192.0.0.8, 64:ff9b::7f00:1, 2002:7f00:1::, multicast).
_DENIED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; holds Alibaba's metadata service
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata and DNS, a public address by its looks
        "169.254.0.0/16",  # link local; metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Only this block is given out for the public Internet; ::1, fc00::/7, fe80::/10, fec0::/10,
# ff00::/8, ::ffff:0:0/96 and all the rest lie outside.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments; Teredo embeds IPv4 addresses
        "2001:db8::/32",
        "2002::/16",  # 6to4 embeds IPv4 addresses
        "3fff::/20",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """True for addresses of the public Internet, by our own lists and by Python's.

    Examples
    --------
    >>> is_public(ipaddress.ip_address("1.1.1.1"))
    True
    >>> is_public(ipaddress.ip_address("168.63.129.16"))
    False
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _DENIED_V4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        # Networks without IPv4 reach all of it this way; what counts is the embedded address.
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (
        address in _GLOBAL_V6
        and address.is_global
        and not any(address in network for network in _DENIED_V6)
    )


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Caps of one fetch.

    Parameters
    ----------
    max_bytes:
        Largest body in bytes.
    total_s:
        Longest time for everything, redirects included, in seconds.
    redirects:
        How many redirects are followed; each is checked like the first address.
    """

    max_bytes: int = 25_000_000
    total_s: float = 15.0
    redirects: int = 3


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Policy:
    """Where a fetch may lead. Tests let a local server through; nothing else should.

    Parameters
    ----------
    allows:
        Whether connections to an address may be made.
    ports:
        TCP ports that may be used.
    resolve:
        Addresses of a host name.
    tls:
        Context for https; None makes one with the usual certificates.
    """

    allows: Callable[[Address], bool] = is_public
    ports: frozenset[int] = frozenset({80, 443})
    resolve: Resolver = _resolve
    tls: ssl.SSLContext | None = field(default=None, repr=False)


DEFAULT_POLICY = Policy()


class _Target(NamedTuple):
    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


class _Refused(Exception):
    """Why not, as a sentence; becomes an `InvalidRequest` for the caller's field."""


async def fetch_image(
    url: str,
    *,
    limits: FetchLimits = FetchLimits(),
    policy: Policy = DEFAULT_POLICY,
    field: str = "url",
) -> bytes:
    """Fetch the bytes behind an http or https URL.

    Parameters
    ----------
    url:
        As a person typed it. Only ports 80 and 443, no user names, no private addresses.
    limits:
        Caps on bytes, seconds and redirects.
    policy:
        Where the fetch may lead; for tests.
    field:
        Name of the parameter in errors ("references[0]").

    Returns
    -------
    bytes
        The body. It still has to pass the image door.

    Raises
    ------
    InvalidRequest
        With a sentence that says what to do instead. It never repeats the whole URL, which may
        be signed.
    """
    try:
        async with asyncio.timeout(limits.total_s):
            return await _fetch(url, limits, policy)
    except TimeoutError:
        message = (
            f"The address did not deliver its image within {limits.total_s:g} seconds. "
            "Download it yourself and upload the file."
        )
        raise InvalidRequest(field, message) from None
    except _Refused as refusal:
        raise InvalidRequest(field, str(refusal)) from None


async def _fetch(url: str, limits: FetchLimits, policy: Policy) -> bytes:
    target = _parse(url, policy)
    for _ in range(limits.redirects + 1):
        answer = await _get(target, limits, policy)
        if isinstance(answer, bytes):
            return answer
        following = _parse(urljoin(target.url, answer), policy)
        if target.scheme == "https" and following.scheme != "https":
            raise _Refused("The address leads from https to http, where anybody could change it.")
        target = following
    raise _Refused(
        f"The address was redirected more than {limits.redirects} times. "
        "Open it in a browser and use the address that it ends at."
    )


def _parse(url: str, policy: Policy) -> _Target:
    """Take a URL apart, refusing everything that two parsers could read in two ways."""
    # Copied addresses come with spaces and line breaks around them, never inside.
    url = url.strip(" \t\r\n")
    if len(url) > _MAX_URL:
        raise _Refused(f"The address is too long (at most {_MAX_URL:,} characters).")
    if any(c <= " " or c in '\\<>"`{}|^\x7f' for c in url):
        raise _Refused("The address contains characters that no address has. Copy it again.")
    match = _URL.fullmatch(url)
    if match is None or match["scheme"].lower() not in ("http", "https"):
        raise _Refused("Only addresses that begin with https:// or http:// can be fetched.")
    scheme = match["scheme"].lower()
    host, port = _split_authority(match["authority"])
    number = port if port is not None else {"http": 80, "https": 443}[scheme]
    if number not in policy.ports:
        raise _Refused("Only the usual ports (80 and 443) can be fetched from.")
    path = match["target"] or "/"
    if not path.startswith("/"):
        path = f"/{path}"
    return _Target(scheme, host, number, quote(path, safe="/?%!$&'()*+,;=:@~[]-._"))


def _split_authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise _Refused("Addresses with a user name or password are not fetched.")
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", authority)
    if match is None:
        raise _Refused("The address has no valid host name.")
    host = match[1]
    if host.startswith("["):
        try:
            host = str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise _Refused("The address has no valid host name.") from None
    elif _NUMERIC_END.search(host.rstrip(".")):
        try:
            host = str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _Refused("The address has a number for a host name. Use its name.") from None
    elif not _NAME.fullmatch(host) or len(host) > 253:
        # Browsers turn other scripts into ASCII; parsers differ in how ("127。0。0。1").
        raise _Refused("The host name is not plain ASCII. Copy the address from a browser.")
    elif _LOCAL_NAMES.fullmatch(host.rstrip(".")):
        raise _Refused("The address leads into a private network, which is not fetched from.")
    return host.lower().rstrip("."), int(match[2]) if match[2] else None


async def _checked_addresses(host: str, port: int, policy: Policy) -> list[str]:
    """All addresses of a host; one that is not allowed spoils them all."""
    try:
        found = [str(ipaddress.ip_address(host))]
    except ValueError:
        try:
            found = await policy.resolve(host, port)
        except (OSError, UnicodeError):
            raise _Refused(f"The host {host} is unknown. Check the address.") from None
    if not found:
        raise _Refused(f"The host {host} is unknown. Check the address.")
    for text in found:
        _check(text, policy)
    return found


def _check(text: str, policy: Policy) -> None:
    try:
        allowed = policy.allows(ipaddress.ip_address(text))
    except ValueError:
        allowed = False
    if not allowed:
        raise _Refused(
            "The address leads into a private network, which is not fetched from. "
            "Download the image yourself and upload the file."
        )


async def _get(target: _Target, limits: FetchLimits, policy: Policy) -> bytes | str:
    """One request: the body, or where a redirect leads."""
    # Loading modules and certificates reads files, which must not hold up the loop.
    tls = await asyncio.to_thread(_tls) if policy.tls is None else policy.tls
    import httpcore

    addresses = await _checked_addresses(target.host, target.port, policy)
    headers = [
        (b"Accept", b"image/png,image/jpeg,image/webp,image/gif"),
        (b"Accept-Encoding", b"identity"),
        (b"User-Agent", b"image-workbench"),
        (b"Connection", b"close"),
    ]
    try:
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=tls,
                network_backend=_pinned(addresses, policy),
                max_connections=1,
                max_keepalive_connections=0,
            ) as pool,
            pool.stream("GET", target.url, headers=headers) as response,
        ):
            found = {name.lower(): value for name, value in response.headers}
            if response.status in (301, 302, 303, 307, 308) and b"location" in found:
                return found[b"location"].decode("utf-8", "replace")
            if response.status != 200:
                raise _Refused(
                    f"The server {target.host} answered with status {response.status} instead of "
                    "an image."
                )
            return await _body(response, found, limits)
    except (httpcore.ConnectError, httpcore.ConnectTimeout, OSError):
        raise _Refused(f"The server {target.host} cannot be reached. Check the address.") from None
    except (
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.TimeoutException,
        httpcore.UnsupportedProtocol,
    ):
        raise _Refused(
            f"The server {target.host} broke off or sent nonsense. Try again, or download the "
            "image yourself and upload the file."
        ) from None


async def _body(
    response: httpcore.Response, headers: dict[bytes, bytes], limits: FetchLimits
) -> bytes:
    too_large = _Refused(
        f"The file behind the address is larger than {limits.max_bytes / 1e6:g} MB."
    )
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if coding not in (b"", b"identity"):
        # Nobody asked for it, images do not need it, and a few KB can hold gigabytes.
        raise _Refused("The server sent the file compressed in a way that was not asked for.")
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > limits.max_bytes:
        raise too_large
    out = bytearray()
    async for piece in response.aiter_stream():
        out += piece
        if len(out) > limits.max_bytes:
            raise too_large
    return bytes(out)


def _tls() -> ssl.SSLContext:
    import ssl

    import certifi
    import httpcore  # noqa: F401 - loaded here, in a thread

    # The bundle is named so that SSL_CERT_FILE of the environment cannot add to it.
    return ssl.create_default_context(cafile=certifi.where())


def _pinned(addresses: list[str], policy: Policy) -> httpcore.AsyncNetworkBackend:
    """A network that knows only the addresses that were checked, whatever host it is asked for.

    TLS still verifies the host name: httpcore takes that from the URL.
    """
    import httpcore

    class Pinned(httpcore.AsyncNetworkBackend):
        # The names of the parameters are httpcore's.
        async def connect_tcp(
            self,
            host: str,  # noqa: ARG002 - resolved and checked already
            port: int,
            timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the whole fetch has one
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            failure: Exception = httpcore.ConnectError("no address")
            for address in addresses:
                try:
                    stream = await httpcore.AnyIOBackend().connect_tcp(
                        address,
                        port,
                        timeout=_CONNECT_S,
                        local_address=local_address,
                        socket_options=socket_options,
                    )
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failure = error
                    continue
                # The last word has the socket itself.
                peer = stream.get_extra_info("server_addr")
                try:
                    _check(str(peer[0]) if peer else "", policy)
                except _Refused:
                    await stream.aclose()
                    raise
                return stream
            raise failure

        async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
            raise httpcore.ConnectError("no local sockets")

    return Pinned()
