"""Protocols, and the frozen values that they speak: what the platform needs of the outside world."""
