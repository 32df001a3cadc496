"""One module a public data set or file format; each ends in a cohort store through ``relcon-prepare data=...``."""
