"""Sessions of users: they outlive their connections, and may move between nodes.

A `session` begins, is lost, resumed and over in its `lifecycle`, and is found in the `directory`.
`admission` says who may have one, `expiry` for how long. While its client is away it waits
(`absence`); one that comes back is sent what it has missed (`recovery`). On another node a session
goes on by `handover`, and where its own has died by its record (`places`). `notices` tell clients
about their connections.
"""
