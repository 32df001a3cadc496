"""The tables and figures of the paper: the runs that each one needs, and its page."""
