"""A synthetic world of advertisers, deterministic by seed and day. Knows nothing of the pipelines."""
