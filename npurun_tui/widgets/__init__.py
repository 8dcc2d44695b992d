"""Reusable pieces of screens, none of which knows the program's services."""
