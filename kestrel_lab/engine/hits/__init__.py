"""What the scan of an epoch hands to the matcher: hits, their join keys, and what an alert shows of them."""
