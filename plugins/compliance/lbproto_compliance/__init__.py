"""Compliance for lbproto: addresses of public chains analysed, by a score that can be explained."""

from lbproto_compliance.addresses import MalformedAddress, parse
from lbproto_compliance.analysis.weights import DEFAULT_WEIGHTS, Weights
from lbproto_compliance.bundled import bundled, bundled_store
from lbproto_compliance.chains import CHAINS, Chain
from lbproto_compliance.events import (
    JOBS,
    AddressAnalysis,
    AddressAnalysisCompleted,
    AddressAnalysisError,
    AddressAnalysisProgress,
    AddressAnalysisResponse,
    AddressAnalysisStarted,
    AddressTransactions,
    AddressTransactionsResponse,
    CorridorFlow,
    CorridorTotals,
    CrossBorderFlows,
    CrossBorderFlowsResponse,
    Transaction,
)
from lbproto_compliance.graph import LIMITS, Limits
from lbproto_compliance.plugin import compliance
from lbproto_compliance.prices import Prices, StaticPrices
from lbproto_compliance.store import Store

__all__ = [
    "CHAINS",
    "DEFAULT_WEIGHTS",
    "JOBS",
    "LIMITS",
    "AddressAnalysis",
    "AddressAnalysisCompleted",
    "AddressAnalysisError",
    "AddressAnalysisProgress",
    "AddressAnalysisResponse",
    "AddressAnalysisStarted",
    "AddressTransactions",
    "AddressTransactionsResponse",
    "Chain",
    "CorridorFlow",
    "CorridorTotals",
    "CrossBorderFlows",
    "CrossBorderFlowsResponse",
    "Limits",
    "MalformedAddress",
    "Prices",
    "StaticPrices",
    "Store",
    "Transaction",
    "Weights",
    "bundled",
    "bundled_store",
    "compliance",
    "parse",
]
