"""Who paid whom: the graph of one snapshot, in arrays that are mapped, not read.

Nodes are addresses, edges are payments, both named by their positions. Nothing here awaits, and
nothing here knows of attributions or of scores::

    build(directory, flows)                   # once for each snapshot; appears whole or not at all
    graph = Graph.open(directory)             # maps files; threads and processes share the pages
    graph = Graph.of(flows)                   # in memory, where data are few

    node = graph.node("1Boat...")             # or None
    graph.address(node), graph.nodes, graph.asset_names
    graph.outgoing(node), graph.incoming(node)  # -> Edges, by time
    graph.degree(node), graph.degrees         # transactions that it takes part in; (nodes,)
    graph.first_tx(node)                      # the earliest of them, or None
    graph.tx_hash(tx), graph.tx_time(tx), graph.tx_times  # Unix seconds; (transactions,)
    graph.inputs(tx)                          # addresses; empty on chains of accounts
    graph.outputs(tx)                         # -> Outputs: nodes, amounts
    graph.coinjoins                           # (transactions,) bool
    graph.changes                             # (transactions,) who likely gets the change, or -1

    graph.cluster(node)                       # -> Cluster(id, members, heuristics, confidence)
    graph.cluster_roots                       # (nodes,): each one's smallest fellow member

    expansion = expand(graph, [node], hops=3)  # limits: Limits; step=: gets hop, edges; may raise
    for walk in expansion.incoming, expansion.outgoing:  # where money came from, where it went
        walk.nodes, walk.hops                 # seeds first, at 0; then by distance
        walk.edges                            # -> Edges: every payment that was walked
        walk.hubs                             # those of `nodes` that were not walked through
        walk.cut, walk.stopped                # whether `most_edges` ended it; whether a hub did
    expansion.truncated                       # a hub or the limit left something out

    depositors(graph, node, exchanges)        # -> Cluster of those who share deposit addresses

`Edges` is columns of one length: `sources, targets, txs, amounts, assets` (positions in
`graph.asset_names`); `edges.chosen(mask)` is some of them. `txs` are in the chain's order: the
smaller is the earlier.
"""

from lbproto_compliance.graph.building import build
from lbproto_compliance.graph.clusters import CONFIDENCE, Cluster
from lbproto_compliance.graph.edges import Edges, Outputs
from lbproto_compliance.graph.expansion import LIMITS, Expansion, Limits, Step, Walk, expand
from lbproto_compliance.graph.flows import Flows
from lbproto_compliance.graph.forwarding import Forwarding, depositors
from lbproto_compliance.graph.graph import Graph

__all__ = [
    "CONFIDENCE",
    "LIMITS",
    "Cluster",
    "Edges",
    "Expansion",
    "Flows",
    "Forwarding",
    "Graph",
    "Limits",
    "Outputs",
    "Step",
    "Walk",
    "build",
    "depositors",
    "expand",
]
