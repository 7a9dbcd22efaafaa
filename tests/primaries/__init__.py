"""Programs that stand for a primary in the tests, each with a class that starts it and reads what it noted."""
