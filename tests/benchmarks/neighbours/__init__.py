"""How fast, how exact and how large collections are, beside raw FAISS."""
