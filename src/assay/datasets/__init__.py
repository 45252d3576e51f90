"""Datasets: files of cases, read lazily, checked completely, and imported from elsewhere."""
