"""Repositories as bare ones on a local disk, through the ``git`` program and GitPython."""

from app.adapters.git.repositories import LocalRepositories

__all__ = ["LocalRepositories"]
