"""What `once` leaves for `run`: tokens and leases, in one file that nobody but its owner can read."""
