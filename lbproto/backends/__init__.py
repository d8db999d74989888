"""Storage and pub/sub backends behind the ports of `lbproto.backends.base`."""
