"""Sessions of users: they outlive their connections, and may move between nodes.

A `session` begins, is lost, resumed and over in its `lifecycle`, and is found in the `directory`.
`admission` says who may have one, `expiry` for how long. Whose client is away waits (`absence`), and
the client gets what it has missed (`recovery`). On another node the session goes on by `handover`,
from that of a dead node by its record (`places`). `notices` tell clients about their connections.
"""
