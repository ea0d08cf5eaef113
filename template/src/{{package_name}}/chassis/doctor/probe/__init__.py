"""What runs in a process of its own, to see what the configuration and the service really are."""
