"""Requests with an id of their own: a repeat joins the first, on every node."""
