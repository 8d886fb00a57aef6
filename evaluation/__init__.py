"""Labelled worlds, a scorer and baselines: what the detectors and rules are measured with (`make evaluate`)."""
