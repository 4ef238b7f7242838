"""The vault: sealed objects, sealed rows and the keys that wrap the keys. Only sealed bytes touch the disk."""
