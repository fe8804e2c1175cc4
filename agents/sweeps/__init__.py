"""Many runs: their numbers, compared, and the report of it."""
