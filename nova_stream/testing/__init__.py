"""Fixtures for integration tests with a real Kafka and a real Postgres."""
