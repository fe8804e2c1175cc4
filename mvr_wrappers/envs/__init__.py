"""What `gymnasium.make` and `make_vec` call for the ids `MVR/<task>`."""
