"""Sessions: let in, lost, resumed here or on another node, and over."""
