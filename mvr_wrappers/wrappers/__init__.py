"""Wrappers that shape rewards: of one env, of a vector, and what these share. They know engines, never tasks."""
