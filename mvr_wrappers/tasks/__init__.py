"""Tasks: what is filmed, judged and learned, from registry.yaml and users' own files."""
