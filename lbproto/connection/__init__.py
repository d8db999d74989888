"""Live connections: a transport, an outbox, and the wire protocol between them. One file a wire."""
