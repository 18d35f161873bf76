"""Ports: are they free, who holds them, and which setting chooses others."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

import psutil

from app.up.errors import PortTaken


@dataclass(frozen=True)
class Need:
    host: str
    port: int
    purpose: str
    """As in "Port 7070 is needed for *the API*"."""
    setting: str


def taken(need: Need) -> str | None:
    """Who holds the port, in words; None when it is free."""
    family = socket.AF_INET6 if ":" in need.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((need.host, need.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return holder(need.port)
            return f"refused by the system ({error.strerror})"
    return None


def holder(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "held by a process that this user may not see"
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return f"held by {_name(connection.pid)} (process {connection.pid})"
    return "held by a process that this user may not see"


def check(needs: list[Need]) -> None:
    """Raises PortTaken for the first that is not free."""
    for need in needs:
        who = taken(need)
        if who is not None:
            raise PortTaken(
                f"Port {need.port}, for {need.purpose}, is {who}.",
                hint=f"Stop that process, or choose another port: {need.setting}={need.port + 1000} paas up",
            )


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a process"
