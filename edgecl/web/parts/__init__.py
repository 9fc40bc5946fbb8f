"""One file for each part of the API and the page, found by itself: each has a `router`."""
