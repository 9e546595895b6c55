"""What a page may ask for, one plain function per operation."""
