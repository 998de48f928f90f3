"""How many threads FAISS may use; OpenMP keeps the figure for each calling thread, so it is set before each use."""

import faiss

_CORES: int = faiss.omp_get_max_threads()
BUILD_CORES = max(1, _CORES - 1)
"""Those that train and add; one is left to those who search meanwhile."""

# A batch of queries goes through BLAS once `queries * dimension` passes this. By FAISS's own 128,000, 64 queries of 384
# dimensions would take five times as long; below four queries BLAS is the slower way.
faiss.cvar.distance_compute_blas_threshold = 1500


def use_search_threads() -> None:
    """Give this thread's searches one core: as many threads search as there are cores."""
    faiss.omp_set_num_threads(1)


def use_build_threads() -> None:
    """Give this thread's training and adding `BUILD_CORES`."""
    faiss.omp_set_num_threads(BUILD_CORES)
