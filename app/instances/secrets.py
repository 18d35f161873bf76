"""How variables are sealed and compared, wherever they are stored.

The context binds a ciphertext to its row, so that rows cannot be swapped. A digest tells "changed" from
"same" without opening anything; that of a build-time variable starts with ``build:``, so that a release,
which keeps only digests in the open, still knows which of its variables the build has seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.crypto import Sealed, SecretBox
from app.models import Build, EnvVar, Release

_BUILD_MARK = "build:"


def _value_context(instance_id: str, name: str) -> str:
    return f"env:{instance_id}:{name}"


def seal_value(box: SecretBox, instance_id: str, name: str, value: str) -> Sealed:
    return box.seal(value.encode(), context=_value_context(instance_id, name))


def open_value(box: SecretBox, variable: EnvVar) -> str:
    """Raises PreconditionFailed when its key is not held."""
    sealed = Sealed(variable.ciphertext, variable.key_id)
    context = _value_context(variable.instance_id, variable.name)
    return box.open(sealed, context=context).decode()


def digest_of(box: SecretBox, instance_id: str, name: str, value: str, *, is_build: bool) -> str:
    digest = box.digest(value, context=_value_context(instance_id, name))
    return _BUILD_MARK + digest if is_build else digest


def is_build_digest(digest: str) -> bool:
    return digest.startswith(_BUILD_MARK)


def new_variable(
    box: SecretBox, instance_id: str, name: str, value: str, *, is_build: bool
) -> EnvVar:
    """A row for a desired variable, not yet added to any session."""
    sealed = seal_value(box, instance_id, name, value)
    return EnvVar(
        instance_id=instance_id,
        name=name,
        ciphertext=sealed.ciphertext,
        key_id=sealed.key_id,
        digest=digest_of(box, instance_id, name, value, is_build=is_build),
        is_build=is_build,
    )


def seal_release_env(box: SecretBox, release_id: str, values: Mapping[str, str]) -> Sealed:
    """For ``Release.env_ciphertext`` and ``Release.key_id``."""
    return box.seal_mapping(values, context=f"release:{release_id}")


def open_release_env(box: SecretBox, release: Release) -> dict[str, str]:
    sealed = Sealed(release.env_ciphertext, release.key_id)
    return box.open_mapping(sealed, context=f"release:{release.id}")


def seal_build_env(box: SecretBox, build_id: str, values: Mapping[str, str]) -> Sealed:
    """For ``Build.build_env`` and ``Build.build_env_key_id``."""
    return box.seal_mapping(values, context=f"build:{build_id}")


def open_build_env(box: SecretBox, build: Build) -> dict[str, str]:
    """Empty once the build has ended and its variables were cleared."""
    if build.build_env is None:
        return {}
    sealed = Sealed(build.build_env, build.build_env_key_id or "")
    return box.open_mapping(sealed, context=f"build:{build.id}")
