"""The toolboxes whose configs DAS extends, and what is different in each."""

from .base import Host
from .known import all_hosts, find_host, head_places, host_scopes, register_host

__all__ = ['Host', 'all_hosts', 'find_host', 'head_places', 'host_scopes', 'register_host']
