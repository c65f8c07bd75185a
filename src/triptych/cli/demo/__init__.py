"""`triptych demo`: four kinds of pages on pictures in the package, and one HTML page that shows them."""
