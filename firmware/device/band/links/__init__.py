"""The desktop board's ways to a reader. Not part of an image for real hardware."""
