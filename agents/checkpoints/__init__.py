"""Checkpoints of a training: written whole or not at all, checked before they are used, exact when a run goes on."""
