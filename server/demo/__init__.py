"""What only the demo has: users without passwords, and sample films. A production server never imports this."""
