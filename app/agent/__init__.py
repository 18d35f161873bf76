"""The embedded engine: a small daemon that runs Nomad's job document as processes of this machine.

    main      one process: lock, sockets, signals
    api       what the platform may ask, over a Unix socket; what Traefik fetches, over loopback
    engine    every job: register, plan, observe, stop, adopt after a restart
    job       one job: the rollout as a story, and keeping the wanted number of copies
    copies    one copy: start, check, restart with back-off, stop
    process, docker   how a copy runs
    spec      the job document, read
    routing   the routing table that Traefik is given, and waiting until Traefik has it
    slugs, store, checks, http   what those stand on

It isolates nothing: apps are processes of one unprivileged user, see one another and share the network.
It is for one machine. Past that the answer is Nomad, which is given the same document.

The imports stay light on purpose (no SQLAlchemy, no aiohttp, no GraphQL): it runs all the time.
"""
