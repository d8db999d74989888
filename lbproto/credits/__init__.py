"""What users own, and what requests set aside of it; `lbproto.ledger` keeps it."""
