"""The demo: a platform whose agents build software, in a few seconds."""
