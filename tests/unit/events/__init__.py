"""What the events package promises: reading, writing, versions and schemas."""
