"""What the protos say about the Kubernetes API: tables, and all that is derived from them.

Pure. `scheme.load()` reads the descriptors once; `types` turns messages and their options into
tables, lazily; every other module turns the tables of a type into one operation on JSON trees:
normalise, validate, merge, describe. Nothing here knows a kind by name.
"""
