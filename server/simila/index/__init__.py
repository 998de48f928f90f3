"""From vectors to neighbours: collections, each a durable store joined to a FAISS index."""
