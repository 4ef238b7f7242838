"""`python -m server` is the command `safelight`."""

from server.cli import main

main()
