"""For technicians: boards and bands at the bench, found, flashed, keyed, tested and updated."""
