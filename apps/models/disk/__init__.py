"""What takes space on the disk, and what of it may go."""
