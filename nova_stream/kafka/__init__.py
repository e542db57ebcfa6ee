"""Everything that talks to Kafka, but for Faust's consumer (``stream/fetching.py``)."""
