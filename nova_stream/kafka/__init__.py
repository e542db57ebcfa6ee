"""Everything that talks to Kafka, but for the consumer inside Faust (``stream/transport.py``)."""
