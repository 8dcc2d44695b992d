"""The real libGenie as the judge of our library with the same interface; docs/real-library.md tells how."""
