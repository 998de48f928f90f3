"""Where benchmarks are imported from."""

import sys
from pathlib import Path

# A script finds the modules beside it without a package; here they are found in the same way.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
