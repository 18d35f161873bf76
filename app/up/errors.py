"""What can go wrong while the platform comes up, each with what a person does next.

ExternalFailure
├── AlreadyUp      another ``paas up`` has this home
├── PortTaken      a port that a component needs has another owner
└── ChildFailed    a component ended, or did not become ready in time
"""

from __future__ import annotations

from app.errors import ExternalFailure


class AlreadyUp(ExternalFailure):
    """Another ``paas up`` holds the home's lock."""


class PortTaken(ExternalFailure):
    """Names the port, its holder and the setting that chooses another."""


class ChildFailed(ExternalFailure):
    """Holds the end of the component's log."""
