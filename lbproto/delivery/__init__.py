"""How an event gets to everybody it is for: numbered, encoded once, queued, written, logged."""
