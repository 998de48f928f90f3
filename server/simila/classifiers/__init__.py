"""Class prototypes and decision rules: vectors to predictions, in numpy and nothing else."""
