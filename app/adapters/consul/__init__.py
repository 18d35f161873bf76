"""Consul's catalog, and Traefik in front of it, behind the ``Ingress`` port."""
