"""How much may be asked for: windows, who has used them up how far, and refusals."""
