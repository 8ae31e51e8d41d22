"""What is shipped for the tools around the daemon, tried with the real tools."""
