"""The command line for AI phone calls."""

__version__ = "0.1.0"
