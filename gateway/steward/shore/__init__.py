"""The fleet's end of the link: takes every ship's events once, acknowledges them, and sends decisions back."""
