"""What hosts and plugins declare, looked at when they do: a mistake is told at once."""
