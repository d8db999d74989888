"""What queries cost, and what they cost whoever is beside them: `python -m benchmarks.queries`."""
