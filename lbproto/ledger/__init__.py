"""Credits: integer amounts, append-only movements, spending in two phases; where they are kept."""
