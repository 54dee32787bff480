"""The programs of a Pybernetes cluster; they share the library and never import each other."""
