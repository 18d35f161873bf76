"""A taken port is named with its holder and the setting that chooses another."""

from __future__ import annotations

import os
import socket

import pytest

from app.up import ports
from app.up.errors import PortTaken
from tests.conftest import free_port


def test_taken_port_names_the_holder_and_the_setting() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        need = ports.Need("127.0.0.1", port, "the API", "PAAS_API_PORT")

        with pytest.raises(PortTaken) as caught:
            ports.check([need])

    assert f"Port {port}, for the API," in caught.value.message
    assert f"(process {os.getpid()})" in caught.value.message
    assert caught.value.hint is not None
    assert "PAAS_API_PORT=" in caught.value.hint


def test_free_ports_pass() -> None:
    ports.check([ports.Need("127.0.0.1", free_port(), "the API", "PAAS_API_PORT")])
