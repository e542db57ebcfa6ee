"""Records that could not be applied: kept, shown, published again."""
