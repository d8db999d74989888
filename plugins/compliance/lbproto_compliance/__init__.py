"""Compliance for lbproto: addresses of public chains analysed, by a score that can be explained."""

from lbproto_compliance.chains import CHAINS, Chain

__all__ = ["CHAINS", "Chain"]
