import anyio

from lbproto import Emitter
from lbproto.backends.redis_pubsub import RedisPubSub
from migration.after.scaling import REDIS, News


async def main() -> None:
    async with Emitter(RedisPubSub(REDIS)) as emitter:
        emitter.to("everyone").emit(News("done"))


if __name__ == "__main__":
    anyio.run(main)
