"""What each page shows, as finished values: templates neither compute nor ask the database."""
