"""One module per board. Only a board's own module imports its hardware."""
