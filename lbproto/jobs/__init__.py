"""Jobs: long work that tells how far it is, may be cancelled, and ends exactly once.

`Plugin.job` declares one; its handler is given a `Job`. The stages of its declaration (`stages`)
become a machine that says which event follows which (`lifecycle`) and a memory of what was told
(`journal`); both are in one job under way (`work`), which its handler sees as a `Job` (`job`), and
which is one of all that a server has (`runner`). Who is told of it (`watching`) may be on another
node (`elsewhere`). What is recorded of it (`records`) outlives its node, so that it ends all the
same (`lost`).
"""
