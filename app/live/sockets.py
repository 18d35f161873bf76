"""What the server is told of sockets when it starts, apart from what imports GraphQL."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 256 * 1024
PING_SECONDS = 20.0
"""A socket whose other end does not answer a ping within as many more is closed."""
