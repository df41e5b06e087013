"""The operators' page: what runs, what is held, and which brands are near a budget."""
