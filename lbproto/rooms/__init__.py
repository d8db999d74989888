"""Who is in which room.

The `index` knows those of this node. `membership` lets sessions in and out, unless their users are
banned (`bans`); `announcements` tells members which users join and leave, always in pairs
(`presence`).
"""
