"""Logs as files: a folder an instance, and in it segments that are only appended to.

{home}/logs/apps/INSTANCE/
  00000000000000000000.log   named by the position of its first byte, so that a position is found by name
  writer.lock                held by the one collector that writes

A segment has one record a line. ``[…]`` is a line of the app's (``codec.py``); ``{…}`` says how far its
container's output has been read, and ends a batch: what no such record follows does not count. So a line
and the fact that it was read are one write, and a collector that dies at any byte goes on exactly there.
A position is a byte's: the segment's name and the offset in it, added.
"""
