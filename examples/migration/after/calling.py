from lbproto import (
    Context,
    Event,
    Plugin,
    RequestTimeout,
    Server,
)
from migration.users import users


class AskMe(Event):
    pass


class Question(Event):
    text: str


class Heard(Event):
    answer: str


plugin = Plugin("questions")
plugin.emits(Question)


@plugin.on(AskMe)
async def ask_me(ctx: Context, request: AskMe) -> Heard:
    question = Question("Really?")
    try:
        answer = await ctx.emit_with_ack(
            question, into=str, timeout=5
        )
    except RequestTimeout:
        answer = "nothing"
    return Heard(answer)


server = Server([plugin], auth=users)
app = server.asgi()
