"""Chaos engineering for systems that contain machine-learning models."""

__version__ = "0.1.0"
