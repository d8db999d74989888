"""Who is in which room: the index, ways in and out, and what members are told of each other."""
