"""The flight recorder: records the last frames of sessions, and replays them.

`Recorder` is put on a server and keeps the last frames of its sessions; a `Recording` of them is a
file that is safe to hand on, and that `replay` plays to a server in virtual time.
"""

from lbproto.recorder.file import BadRecording, Header, Recording, Row, decode, encode
from lbproto.recorder.recorder import Recorder
from lbproto.recorder.replay import Replayed, Step, in_virtual_time, replay

__all__ = [
    "BadRecording",
    "Header",
    "Recorder",
    "Recording",
    "Replayed",
    "Row",
    "Step",
    "decode",
    "encode",
    "in_virtual_time",
    "replay",
]
