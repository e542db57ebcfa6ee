"""Schemas from a Schema Registry, through the client that Confluent makes for it."""
