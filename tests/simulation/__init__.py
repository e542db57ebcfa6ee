"""Histories of the product in virtual time, with faults at every step, against a model of a page.

``docs/reliability.md`` says what is real in it and what stands in for something else.
"""
