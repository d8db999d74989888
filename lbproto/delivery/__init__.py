"""How an event gets to everybody it is for.

The `hub` finds them, and encodes the event once for each wire format. The frame waits in a
connection's `outbox`, or for many together in a group (`turn`), until the `writer` sends it; the
`log` keeps it for those who are away. Other nodes are sent it as `forward` says, and `inflow`
delivers theirs. A client may be asked to acknowledge an event (`acknowledgements`).
"""
