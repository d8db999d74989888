"""Transactions for a node to mine, of all kinds that move something, or fail to."""

from __future__ import annotations

import random

from tests.compliance import anvil
from tests.compliance.anvil import Anvil


def populate(node: Anvil, transactions: int, blocks: int, seed: int = 1) -> None:
    """Payments, tokens, payments by contracts, contracts made, and failures, at random."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    people = [f"0x{number:040x}" for number in range(0x100, 0x120)]
    for number in range(transactions):
        sender, receiver = chance.randrange(10), chance.choice(people)
        amount = chance.randrange(1, 10**18)
        kind = chance.choice(["pay", "pay", "pay", "token", "forward", "lost", "revert", "create"])
        if kind == "pay":
            node.send(sender, receiver, amount)
        elif kind == "token":
            node.send(
                sender, anvil.TOKEN, 0, "0xa9059cbb" + anvil.word(receiver) + anvil.word(amount)
            )
        elif kind == "forward":
            node.send(sender, anvil.FORWARDER, amount, "0x" + anvil.word(receiver))
        elif kind == "lost":  # the contract keeps it: its own payment fails
            node.send(sender, anvil.FORWARDER, amount, "0x" + anvil.word(anvil.REVERTER))
        elif kind == "revert":
            node.send(sender, anvil.REVERTER, amount)
        else:
            node.send(sender, None, amount, "0x00")
        if number % (transactions // blocks) == transactions // blocks - 1:
            node.mine()
