"""Use cases: the order of things, silent. They print nothing and know no terminal."""
