"""Readers of the files that people have: tables, archives and files of devices."""
