"""Small servers that do the same by other means, each as its own documentation has it.

Those that have no protocol of their own for rooms and requests speak a text of three words:

    S <room>                   subscribe; answered "OK"
    P <room> <count> <size>    send `count` events of `size` bytes to the room
    {"id": ..., ...}           an order, answered by JSON with the same id
"""
