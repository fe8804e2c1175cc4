"""Runs: their folders and metrics, evaluation, and what watches a training."""
