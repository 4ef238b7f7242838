"""Its presence puts this directory on the import path, so that every test can import `builders`."""
