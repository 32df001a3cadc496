"""The parts of the benchmark, one a module, each with the plain reference it stands beside."""
