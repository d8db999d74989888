"""How many nodes so many clients take: what was measured of one, carried on by what nodes say."""
