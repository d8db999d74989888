"""For whoever runs a node: its `health`, its `statistics` (`census`), `pseudonyms` of its users."""
