"""The flush: chunks of changes become rows, figures and caches in one transaction."""
