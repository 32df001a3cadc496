"""The tables and figures of the paper: which runs each needs, and the page that is written of them."""
