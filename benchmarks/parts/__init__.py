"""The parts of the benchmark: one module per part, with its plain reference."""
