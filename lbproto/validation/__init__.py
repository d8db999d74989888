"""Checks of what hosts and plugins declare, when they do: a mistake is told at once.

`options` are those of a server; `declarations` and `signatures` are a plugin's; `reserved` has the
names that mean something already. The sentences are in `mistakes`.
"""
