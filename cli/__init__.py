"""The command line, a module per noun. Commands load what they need when they run: `--help` needs no database."""
