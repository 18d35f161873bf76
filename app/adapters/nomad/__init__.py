"""Nomad behind the ``Scheduler`` port.

``scheduler`` tells the story; ``gateway`` speaks HTTP for what must wait or compare; ``records`` keeps
namespaces, Variables and deregistration with python-nomad; ``observation`` and ``planning`` are pure.
"""
