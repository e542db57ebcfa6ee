"""What makes files that are checked in: for maintainers, not part of the installed package."""
