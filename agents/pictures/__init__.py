"""Pictures, films and tables of scores: what is looked at."""
