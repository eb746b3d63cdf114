"""What was measured, and what became of every batch: latest values, readings, ledgers."""
