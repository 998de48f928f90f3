"""One raw input to one row of a batch. A row knows what it costs to run."""
