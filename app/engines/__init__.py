"""The real engines on one machine: finding or building them, and how each is started.

``install`` makes the binaries; ``services`` says how Consul, Nomad, Docker, the registry and Traefik are
run; ``nomad_access`` makes the tokens. All of it serves ``paas engine install``, ``paas up --engine
nomad`` and the tests; a cluster is configured by hand, see ``nomad/README.md``.
"""
