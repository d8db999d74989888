"""The app of several nodes, where one that is not heard for two seconds is dead."""

from __future__ import annotations

from lbproto.nodes import control, roster
from tests.e2e.nodes import build

control._BEAT_SECONDS = 0.4
roster.SILENCE = 2.0

app = build().asgi()
