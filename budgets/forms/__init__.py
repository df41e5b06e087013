"""Form fields of ours that the admin and the pages share."""
