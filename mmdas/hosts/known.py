"""Hosts by their scopes."""

from .base import Host
from .mmpretrain import MMPRETRAIN
from .mmseg import MMSEG

_HOSTS: dict[str, Host] = {host.scope: host for host in (MMSEG, MMPRETRAIN)}


def register_host(host: Host) -> None:
    """Let DAS extend the configs of a further toolbox: those whose ``default_scope`` is the host's.

    Raises:
        ValueError: if there is another host of that scope.
    """
    if _HOSTS.setdefault(host.scope, host) != host:
        raise ValueError(f'there is a host of the scope {host.scope!r}; give yours another one')


def host_scopes() -> tuple[str, ...]:
    """Scopes of all hosts."""
    return tuple(_HOSTS)


def all_hosts() -> tuple[Host, ...]:
    """All hosts."""
    return tuple(_HOSTS.values())


def find_host(scope: str | None) -> Host:
    """The host of a scope; for one that nobody registered, a host of which nothing is known."""
    return _HOSTS.get(scope or '') or Host(scope or 'none')


def head_places() -> tuple[str, ...]:
    """Places in which a model of any host has heads."""
    return tuple(dict.fromkeys(place for host in all_hosts() for place in host.heads))
