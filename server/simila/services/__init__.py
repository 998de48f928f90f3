"""Use cases: the only layer that puts engine, index and classifiers together."""
