"""What changes, told to all who follow: one look at the database, many streams."""
