from tests.engines.docker import docker_engine, image_registry

__all__ = ["docker_engine", "image_registry"]
