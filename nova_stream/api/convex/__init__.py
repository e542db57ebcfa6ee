"""The main app's backend as it calls it: Convex's HTTP protocol, a file per group of functions."""
