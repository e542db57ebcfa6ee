"""Lists of entities with filters, page by page in both directions, and search."""
