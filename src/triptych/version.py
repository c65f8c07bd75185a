"""The version of the package, recorded in every file it writes."""

__all__ = ["__version__"]

__version__ = "0.1.0"
