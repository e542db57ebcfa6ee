"""The same events through nova-stream and what else people would build this with.

``python -m benchmarks.peers`` runs it. A peer is a module or a folder of its own that defines
``PEER``; ``peer.py`` says what that is.
"""
