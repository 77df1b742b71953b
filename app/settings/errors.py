"""What is wrong with the settings."""

from __future__ import annotations


class ConfigError(Exception):
    """The settings can't be used. The message has one line for each wrong setting."""
