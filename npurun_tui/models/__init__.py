"""Models on disk and where they come from.

`manifest` is `npurun.json`, `store` is what is installed, `catalog` is what can be pulled, and `pull` brings one
into the other: resumable, hashed, atomic. `names` holds the rule for names, so that no path is ever built from
outside.
"""
