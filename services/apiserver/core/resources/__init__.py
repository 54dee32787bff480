"""One file per resource that is special; `..strategies` finds them."""
