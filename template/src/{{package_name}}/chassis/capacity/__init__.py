"""What this container can carry, and how long its stop may take: limits, workers, durations."""
