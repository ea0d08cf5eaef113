"""Which statements of a migration endanger a service that is serving meanwhile (SPEC I4)."""
