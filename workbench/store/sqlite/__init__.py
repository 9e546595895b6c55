"""The store on one machine: SQLite in one file, written by one thread per process."""
