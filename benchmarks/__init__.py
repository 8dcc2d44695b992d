"""Programs that measure, each as ratios between two things run side by side. None of them is a test."""
