"""Several nodes of one application: what each knows of the others, and how they ask each other.

What they say (`messages`) goes over pub/sub. A pure machine (`roster`) makes of it who is in which
room elsewhere; `control` sends and receives, and has calls (`calls`) answered.
"""
