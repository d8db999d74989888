"""What runs when.

`tasks`, and how long they live; deadlines (`timers`); one task that serves many (`relay`), which
learns by `suspension` whether one of them has to wait; an event that is waited for repeatedly
(`wakeup`); and which connections are closed when (`drain`).
"""
