"""Score tables as arrays and counts. Enters: a DataFrame or a file. Leaves: `ScoreTable`, `Counts`."""
