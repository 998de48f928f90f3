"""The wire format: one module a resource."""
