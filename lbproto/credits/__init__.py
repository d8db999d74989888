"""Credits: what users own, and what requests reserve of it.

`accounts` is what hosts and plugins call; `holds` are open while a request with a price is served.
`lbproto.ledger` keeps both.
"""
