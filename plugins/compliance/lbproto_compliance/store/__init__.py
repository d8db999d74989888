"""The store of chain data: a directory with one of each chain below it, in Parquet.

::

    <data>/<chain>/latest               the id of the newest snapshot; the one file that is replaced
    <data>/<chain>/snapshots/<id>.json  which parts a snapshot is made of, and what was imported
    <data>/<chain>/parts/*.parquet      rows, named by a digest of their content; never changed
    <data>/<chain>/graphs/<id>/         the snapshot's graph
    <data>/<chain>/importing/           what an import has read so far
"""

from lbproto_compliance.store.chains import ChainStore, Pruned, Store
from lbproto_compliance.store.snapshots import Direction, Key, Movement, Snapshot

__all__ = ["ChainStore", "Direction", "Key", "Movement", "Pruned", "Snapshot", "Store"]
