"""The GraphQL API at ``/graphql``.

Each noun's types, queries and mutations stand in its own folder's ``graphql.py``; here is what they share:

- ``node``        the ``Node`` interface, and how a row becomes its type
- ``context``     what a resolver is given: who asks, and the loaders
- ``loaders``     every read that more than one object of a request may need, batched
- ``sources``     where a field's value comes from, declared once; ``fields`` makes resolvers of it
- ``compile``     and a query's SQL: one statement whose result is the answer's text
- ``connection``  cursor pages, forward and backward
- ``mutation``    one root mutation field is one write transaction
- ``errors``      failures as data, and the mask over everything else
- ``documents``   a document parsed and judged once, by ``limits`` (how deep, how large) and ``cost``
- ``schema``      the whole, put together
- ``asgi``        the HTTP endpoint
"""
