"""The dialog contract (`engine/dialog.py`) as tests over every implementation, on a real model."""
