"""What lbproto costs, beside what others cost: `python -m benchmarks` runs any of it."""
