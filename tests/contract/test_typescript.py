"""The contract as TypeScript: whatever a contract has in it compiles, and says what it should."""

from __future__ import annotations

from pathlib import Path

from lbproto import Server, StaticTokens
from lbproto.contract import Contract, describe, typescript
from tests.contract.compiling import compile_in
from tests.e2e.node import need_node

USES = """
import { type Answer, Client, contract, type Draw, type ErrorCode, type JobEvent, type JobName,
  type Payload, type RoomName, type Told } from "./everything.js";

declare const client: Client;
type Of<A> = <T>() => T extends A ? 1 : 2;
type Same<A, B> = Of<A> extends Of<B> ? true : false;
const is = <T extends true>(_: T): void => {};

is<Same<Draw["place"], [number, string]>>(true);
is<Same<Draw["point"], [number, number?, ...unknown[]]>>(true);
is<Same<Draw["colour"], "red" | "blue">>(true);
is<Same<Draw["labels"], Record<string, number>>>(true);
is<Same<Draw["it's weird"], number | string | null | undefined>>(true);
is<Same<JobName, "walk">>(true);
type Walk = "walk_started" | "walking" | "step" | "walk_stopping" | "walked";
is<Same<JobEvent<"walk">["event"], Walk>>(true);
is<Same<Answer<"shape:draw">, Payload<"shape:draw"> | Payload<"silent">>>(true);
is<Same<Answer<"strict">, undefined>>(true);
is<Same<typeof contract.requests["shape:draw"]["price"], 2>>(true);
is<Same<typeof contract.events.walking.overflow, "conflate">>(true);
is<Same<ErrorCode, keyof typeof contract.codes>>(true);
export const told = (each: Told<"walking" | "step">): number =>
  each.event === "walking" ? each.data.pct : each.data.walkId.length;
export const room = "what?a/`b" satisfies RoomName;
export const rested = client.request("rest");
export const walked = client.job("walk", { pathId: "a" }).result();
"""


def test_it_compiles_whatever_is_in_it(
    tmp_path: Path, contract: Contract, published: Contract
) -> None:
    need_node()
    bare = describe(Server(auth=StaticTokens({}), recovery=None))
    for name, each in {"everything": contract, "published": published, "bare": bare}.items():
        (tmp_path / f"{name}.ts").write_text(typescript(each))
    (tmp_path / "uses.ts").write_text(USES)
    assert compile_in(tmp_path, "published.ts", "bare.ts", "uses.ts") == ""


def test_a_comment_does_not_end_early(contract: Contract) -> None:
    text = typescript(contract)
    assert "A comment ends with *\\/ and a template has `${these}`." in text
    assert text.startswith("// Everything */ 1`\n")


def test_prices_and_lifecycles_are_in_the_comments(contract: Contract) -> None:
    text = typescript(contract)
    assert " * It costs 2 credits.\n" in text
    assert "A job: `walk_started` → `walking`* → `step`* → `walk_stopping` → `walked`" in text
    assert "A client that is too slow gets the newest of each kind only." in text
    assert "A user of the tier pro, which is the default: 300 in 60 s" in text
