"""What one request may cost, and the one place that holds it to that."""
