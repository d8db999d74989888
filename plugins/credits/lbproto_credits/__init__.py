"""Credits for lbproto: users are told what moves on their accounts, and may ask."""

from lbproto_credits.events import (
    CreditEntry,
    CreditsBalance,
    CreditsBalanceResponse,
    CreditsHistory,
    CreditsHistoryResponse,
)
from lbproto_credits.plugin import accounts

__all__ = [
    "CreditEntry",
    "CreditsBalance",
    "CreditsBalanceResponse",
    "CreditsHistory",
    "CreditsHistoryResponse",
    "accounts",
]
