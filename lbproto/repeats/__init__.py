"""Requests with a `requestId`: a repeat joins the first.

On one node by their `outcomes`, between nodes by `claims` in the storage.
"""
