"""Chance that can be had again: the seed of this run, and how often it kills."""

import os
import secrets

SEED = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
os.environ["SEED"] = str(SEED)  # whoever works for this process throws the same
KILLS = int(os.environ.get("KILLS") or 3)
"""`KILLS=10 SEED=7 pytest tests/scenarios` for more of them, at the same moments as before."""
