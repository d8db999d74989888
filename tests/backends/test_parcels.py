"""How messages are packed and numbered, and what whoever gets them makes of it."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lbproto.backends.parcels import OVERHEAD, Message, Packed, Packer, Parcel, Place, Progress
from lbproto.backends.shards import Shard


def unpacked(packed: Packed) -> Parcel:
    parcel = msgspec.msgpack.decode(packed.data, type=Parcel)
    assert packed.messages == len(parcel.payloads)
    assert packed.size == sum(map(len, parcel.payloads))
    return parcel


def test_messages_of_one_turn_to_one_channel_are_one_parcel() -> None:
    packer = Packer("a", 1_000)
    packed = packer.pack([Message("x", b"1"), Message("y", b"2"), Message("x", b"3")])
    assert [each.channel for each in packed] == ["x", "y"]
    assert unpacked(packed[0]) == Parcel("a", 1, 1, [b"1", b"3"])
    assert all(each.data.startswith(packer.mark) for each in packed)
    assert not packed[0].data.startswith(Packer("b", 1_000).mark)


def test_a_parcel_holds_no_more_than_it_may_but_for_one_message() -> None:
    payloads = [b"x" * size for size in (4, 4, 4, 30, 1)]
    packed = Packer("a", 20).pack([Message("x", payload) for payload in payloads])
    assert [unpacked(each).payloads for each in packed] == [
        payloads[:2],
        payloads[2:3],
        payloads[3:4],
        payloads[4:],
    ]


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=30))
def test_however_small_they_are_it_is_no_larger_in_the_end(sizes: list[int]) -> None:
    packer = Packer("a" * 16, 70_005)
    packer._highest = 2**62
    for packed in packer.pack([Message("x", bytes(size)) for size in sizes]):
        assert len(packed.data) <= 70_005 + OVERHEAD


Turns = st.lists(st.lists(st.sampled_from("xyz"), min_size=1, max_size=5), max_size=12)


@given(Turns, st.integers(1, 3), st.data())
def test_what_comes_twice_is_told_from_what_is_missing(
    turns: list[list[str]], max_channels: int, data: st.DataObject
) -> None:
    """Whatever is lost and repeated, and however many channels the publisher remembers."""
    packer = Packer("a", 4, max_channels)
    progress = {channel: Progress() for channel in "xyz"}
    heard: dict[str, int] = {}
    missing = dict.fromkeys("xyz", 0)
    for turn in turns:
        for packed in packer.pack([Message(channel, b"--") for channel in turn]):
            parcel, channel = unpacked(packed), packed.channel
            times = data.draw(st.integers(0, 2))
            if not times:
                missing[channel] += packed.messages
                continue
            missed = progress[channel].advance(parcel)
            assert missed is not None
            if channel in heard:  # of what a forgotten count has lost, nobody knows
                assert missed <= missing[channel]
                if max_channels == 3:
                    assert missed == missing[channel]
            else:
                assert missed == 0
            heard[channel] = missing[channel] = 0
            if times == 2:
                assert progress[channel].advance(parcel) is None


def test_of_what_waits_to_be_sent_when_a_log_is_lost_nobody_is_reminded() -> None:
    """Or it would be taken for what came before."""
    packer, progress = Packer("a", 1_000), Progress()
    shard = Shard(0, "{0}", packer)
    (before,) = packer.pack([Message("x", b"1", 1)])
    shard.answered(Place(1, 1), since=0)
    shard.sent([before], Place(1, 1), now=0)
    (waiting,) = packer.pack([Message("x", b"2", 2)])
    shard.answered(Place(2, 0), since=0)
    (reminder,) = shard.reminders
    assert unpacked(reminder).before == Place(1, 1)
    for packed in (before, reminder, waiting):
        assert progress.advance(unpacked(packed)) == 0


def test_a_channel_remembers_no_more_publishers_than_a_number() -> None:
    progress = Progress()
    for number in range(1_000):
        assert progress.advance(Parcel(f"{number}", 1, 1, [b""])) == 0
    assert len(progress._last) == 256
    assert progress.advance(Parcel("999", 1, 3, [b""])) == 1
    assert progress.advance(Parcel("0", 1, 3, [b""])) == 0


def test_numbers_that_make_no_sense_are_no_gap() -> None:
    progress = Progress()
    for first, start in ((5, 1), (7, 2**60), (2**60, -1), (3, 3), (2**61, 2**62)):
        missed = progress.advance(Parcel("a", start, first, [b""]))
        assert missed is None or missed >= 0
