"""Tests of Genie's C ABI: the library of ours that has it, and the real one."""
