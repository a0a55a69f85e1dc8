"""What the numbers prove. Enters: counts, gaps, tests. Leaves: verdicts and the records behind them."""
