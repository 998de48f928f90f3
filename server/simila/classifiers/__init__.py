"""Class prototypes and decision rules: vectors to predictions, in numpy (and scikit-learn where a module says so)."""
