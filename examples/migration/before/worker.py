import asyncio
import os

import socketio

REDIS = os.environ.get(
    "REDIS_URL", "redis://localhost:6379/0"
)


async def main():
    external = socketio.AsyncRedisManager(
        REDIS, write_only=True
    )
    await external.emit("news", {"text": "done"})


if __name__ == "__main__":
    asyncio.run(main())
