"""When jobs run, who runs them, and the ledger that accounts for every slot."""
