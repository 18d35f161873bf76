"""A query as one SQL statement whose result is the answer's JSON text: nothing of it is made into objects here.

- ``request``    a validated operation with its variables; what a plan's shape depends on, and its parameters
- ``selection``  which fields of one object an answer holds: fragments, directives, aliases
- ``text``       JSON as SQL expressions
- ``statement``  a selection and the fields' sources → the statement
- ``plan``       compiled once, and used again while what its shape depends on is the same

What has Python code of its own, would be refused, or may come to an error is ``Uncovered``: then Strawberry
answers the whole operation, through the loaders.
"""
