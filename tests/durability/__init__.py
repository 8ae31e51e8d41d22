"""What is left after the worst moment: power cuts, crash states, failing system calls, flipped bits."""
