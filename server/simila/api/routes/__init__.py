"""One module a resource; no try/except and no arithmetic here."""
