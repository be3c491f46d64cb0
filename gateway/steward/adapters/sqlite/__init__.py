"""The store on SQLite: one file, one writer thread, a ledger that the schema itself keeps balanced."""
