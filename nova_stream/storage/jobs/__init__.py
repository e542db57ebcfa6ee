"""The ledger of runs, and alerts."""
