"""The public key that signs what this band may install: 32 bytes, written here when an image is built.

Empty, as from source and in an image for developers: then nothing is installed over the air or the cable.
"""

KEY = b""
