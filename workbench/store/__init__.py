"""The durable truth of a workspace: rows, change feed, ledger, and the locks around them."""
