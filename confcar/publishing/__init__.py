"""Publishing: whole generations on disk, switched at once or renamed file by file, and the checks before that."""
