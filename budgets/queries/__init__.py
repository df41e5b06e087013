"""Questions that screens ask; they read and never write."""
