"""For whoever runs a node: its health, its statistics, pseudonyms of its users."""
