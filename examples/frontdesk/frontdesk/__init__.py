"""The front desk of the Northlight Hotel: an agent that books, changes and cancels rooms."""
