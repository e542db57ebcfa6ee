"""A real Kafka and a real Postgres on this machine."""
