"""Catalogs from elsewhere, signed with TUF: who is trusted, how they are brought up to date, and what they hold.

`sources` knows the configured catalogs and their roots of trust, `stored` what was last verified of each, `known` puts
it together with the built-in list. These three are quick, work offline, and import neither httpx nor tuf. `updating`
runs the TUF client over the network, with `fetcher` as its hands; `faults` says in one sentence each what it
refuses. Importing this package imports none of them.
"""
