"""Break a store of real processes under load, and judge what its clients saw.

Four nouns: `traffic` asks, `faults` break, `history` remembers, `check` judges. A `run` puts them
together from one seed; `python -m pybernetes.testing.robustness` does many runs.
"""
