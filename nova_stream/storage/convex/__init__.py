"""What the main app's functions read, and the locks of what they write."""
