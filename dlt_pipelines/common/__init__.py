"""What every source shares. No platform names in here."""
