"""Pure rendering: what should run → a Nomad job (JSON API form). Imports nothing of ``app``."""

from jobs.render import Artifact, Capabilities, JobInput, Scale, render

__all__ = ["Artifact", "Capabilities", "JobInput", "Scale", "render"]
