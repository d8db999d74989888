"""How much may be asked for.

`windows` count, `quotas` keep the counts of each session and user, and the `throttle` refuses what
is too much.
"""
