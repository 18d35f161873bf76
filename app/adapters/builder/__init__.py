"""Builds a source tree on this machine: into an image where it has a Dockerfile, else into a *slug*.

A slug is a ``tar.gz`` whose root is the app's folder: the source as it was pushed, its dependencies
(``.paas/python`` or ``node_modules``) and ``.paas/start``. To run a process, unpack it and

    cd <the folder>; exec /bin/sh .paas/start "<shell line of the process>"

with ``PORT`` and the app's variables in the environment. The wrapper puts dependencies on the path and
says in plain words when this machine lacks the interpreter. ``.paas/processes.json`` lists the lines.

A slug may be several gzip members in a row, which every gunzip reads as one stream: dependencies are
packed once and then only copied.

    builder.py   the Builder port: detect, then build an image or a slug
    detect.py    pure: what kind of tree is this
    procfile.py  pure: its process types
    slug.py      dependencies + source + start wrapper = one archive
    python.py, node.py, static.py   what each language needs
    layers.py    packed dependencies by the digest of all that went into them
    pack.py      deterministic archives
    run.py       the one way to run a tenant's code: own session, own user, clean environment, limits
    users.py     whom it runs as
    area.py      where
"""
