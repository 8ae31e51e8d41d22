"""`make bench`: one command, one table. Every figure stands beside a baseline measured in the same run.

Machines are shared and noisy: read the ratios. Nothing here asserts a speed.
"""
