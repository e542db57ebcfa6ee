"""Who may call what: bearer tokens, scopes, limits of failures, the trail of what was done."""
