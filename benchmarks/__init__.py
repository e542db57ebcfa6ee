"""Measurements of nova-stream on this machine: throughput, freshness, memory."""
