"""The words every layer shares: errors, manifests, vectors and results."""
