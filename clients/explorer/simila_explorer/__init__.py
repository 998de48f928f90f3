"""The explorer: a page for people, served as it lies in `page/`. It knows the server's public routes alone."""
