"""Who may come in, by which token, in all examples."""

from lbproto import StaticTokens

TOKENS = {"secret": "alice", "other": "bob"}

users = StaticTokens(TOKENS)
