"""`python -m lbproto.cli` is the command `lbproto`."""

from lbproto.cli import main

main()
