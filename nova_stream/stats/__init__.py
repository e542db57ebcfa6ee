"""What the numbers mean: pure functions."""
