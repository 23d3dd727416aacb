"""The version, where everybody can import it without importing the Python API."""

VERSION = "0.1.0"
