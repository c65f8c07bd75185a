"""Web addresses in the place of a backbone's name: `http://host:port/v1#model`."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from triptych.errors import BackboneError

__all__ = ["Address", "is_address", "is_loopback", "read_address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, by what stands before `/images`, and one of its models; without a `model`, the only one it has."""

    url: str
    host: str
    model: str | None = None

    def __str__(self) -> str:
        return self.url if self.model is None else f"{self.url}#{self.model}"

    @property
    def is_here(self) -> bool:
        """Whether what is sent stays on this machine."""
        return is_loopback(self.host)

    @property
    def is_sealed(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        return self.is_here or self.url.startswith("https://")


def is_address(name: str) -> bool:
    """Whether a backbone's name is an address."""
    return name.lower().startswith(("http://", "https://"))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_address(name: str) -> Address:
    """The address that a backbone's name is. Raises BackboneError, which never repeats a password."""
    try:
        parts = urlsplit(name)
        host, secret, _ = parts.hostname, parts.username is not None or parts.password is not None, parts.port
    except ValueError as error:
        raise BackboneError(f"the backbone's address cannot be read: {error}. {_FORM}") from error
    if secret:
        raise BackboneError(
            f"the address of {host} has a name or password in it, and names of backbones are written into pictures. "
            "Leave it out, and put the key into the environment, as OPENAI_API_KEY or TRIPTYCH_REMOTE_KEY."
        )
    if parts.query:
        raise BackboneError(
            f"the address of {host} has a query (what follows the '?'), which is not sent and might be a key. {_FORM}"
        )
    if not host:
        raise BackboneError(f"{name[:200]!r} names no host. {_FORM}")
    url = f"{parts.scheme.lower()}://{parts.netloc}{parts.path}".rstrip("/")
    return Address(url=url, host=host, model=parts.fragment or None)


_FORM = "Write it like http://localhost:8000/v1#model."
