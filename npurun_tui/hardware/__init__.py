"""What machine this is: processor, NPU, driver, the Genie runtime in words, and how busy the NPU is.

Every probe is bounded in time and never raises: what cannot be found out is a `Fact` that says so.
"""
