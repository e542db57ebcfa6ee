"""Old executions' documents in a folder or bucket: written, verified, read back."""
