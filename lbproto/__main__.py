"""`python -m lbproto` is the command `lbproto`."""

from lbproto.cli import main

main()
