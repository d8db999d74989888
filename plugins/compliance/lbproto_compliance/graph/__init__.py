"""Who paid whom: the graph of one snapshot, in arrays that are mapped, not read.

Nodes are addresses, edges are payments. `Flows` is what it is built of.
"""

from lbproto_compliance.graph.flows import Flows

__all__ = ["Flows"]
