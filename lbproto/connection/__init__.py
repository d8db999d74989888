"""Live connections: a transport, an outbox, and the wire protocol between them.

A connection queues what it is sent (`base`) and takes what its peer sends (`intake`). How it speaks
is in one file a wire: `plain`, `engineio` with its long-polling (`polls`), and `socketio` on top of
that. Sessions know each of its clients as a `socket`. All connections of a server share its
`runtime`, and one `worker`; a request that takes too long is told to the log (`waits`).
"""
