"""The version of the package, for what it writes to be known by."""

__all__ = ["__version__"]

__version__ = "0.1.0"
