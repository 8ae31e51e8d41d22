"""Validation of Value at Risk and expected shortfall: numpy in, frozen results out, no input or output.

To read the code: `violations.py` (signs, gaps, bad input), `results.py`, `likelihood.py`, then the tests:
`unconditional.py`, `traffic_light.py`, `independence.py`, and `exact.py` for what their p-values are.
"""
