"""The maintainer's side of remote catalogs: keys, signed metadata, renewal, rotation; docs/catalog.md tells how."""
