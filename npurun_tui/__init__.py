"""npurun-tui: a terminal workbench for local language models on the NPU, or labelled so, the CPU."""

__version__ = "0.1.0"
