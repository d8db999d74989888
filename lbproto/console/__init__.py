"""A page to see a server by: what it can be asked, what it sends, how it is. An ASGI app.

No server has it by itself; `lbproto demo` does, at `/console/`.
"""

from lbproto.console.app import ConsoleApp
from lbproto.console.state import MayWatch

__all__ = ["ConsoleApp", "MayWatch"]
