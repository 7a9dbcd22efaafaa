"""The command line: arguments, exit codes and printing. The only part that prints to standard output."""
