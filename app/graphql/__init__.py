"""The GraphQL API at ``/graphql``.

Each noun's types, queries and mutations stand in its own folder's ``graphql.py``; here is what they share:

- ``node``        the ``Node`` interface, and how a row becomes its type
- ``context``     what a resolver is given: who asks, and the loaders
- ``loaders``     every read that more than one object of a request may need, batched
- ``connection``  cursor pages, forward and backward
- ``mutation``    one root mutation field is one write transaction
- ``errors``      failures as data, and the mask over everything else
- ``limits``      how deep and how large a document may be
- ``schema``      the whole, put together
- ``asgi``        the HTTP endpoint
"""
