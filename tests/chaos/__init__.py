"""The kill matrix: checks written once, held to every scenario (docs/reliability.md)."""
