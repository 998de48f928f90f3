"""Every tolerance of the tests, with its reason."""

PARITY_COSINE = 0.9999
"""Least cosine of a float32 vector to the reference library's: what the manifests promise."""

FLOAT32_VALUES = 1e-5
"""Largest difference of two float32 unit vectors, value by value, that come from differently ordered sums."""

ROUNDED_GREY_LEVELS = 2
"""Largest difference of a pixel to the reference's: only what is kept is scaled, from a box rounded to float32."""

MOST_ROUNDED_PIXELS = 0.01
"""Largest share of an image's values that may differ so; where passes of Pillow run in another order, 20 % do."""

BATCH_INVARIANCE_COSINE = 0.99999
"""Least cosine of a text's vector alone to the same text's in a padded batch: sums of float32 in another order."""

FLOAT64_VALUES = 1e-12
"""Largest difference of two float64 results of the same formula, written twice."""

CONGRUENT_COSINE = 0.99999
"""Least cosine of one input's vectors from two runtimes, or two batches: sums of float32 in another order."""

ROUNDED_BAND_LEVELS = 1
"""Largest difference, of 65,536 levels, of a band to torch's interpolation, which holds coefficients as floats."""
