"""The command line, a module per noun. Commands import what they need when they run, so `--help` is fast."""
