"""The daily run: plain functions and one runner."""
