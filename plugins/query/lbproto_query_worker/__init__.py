"""What runs beside a server, in a process of its own: DuckDB, locked, and whatever keeps it so.

It imports nothing of the server's: a worker is small, starts fast, and has no secret to tell.
`python -m lbproto_query_worker` is started by `lbproto_query.DuckDBEngine`, never by hand.
"""
