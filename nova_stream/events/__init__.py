"""What happened: change events, versions, decoding."""
