"""What the jobs do to rows: retention, stalled builds, inactivity, archive."""
