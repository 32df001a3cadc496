"""Readers of users' files: tables, archives and device files."""
