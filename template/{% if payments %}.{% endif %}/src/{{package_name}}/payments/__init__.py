"""Payments: taken once, stored once, told to others at least once. Yours to change.

Read from the outside in: `routes` (HTTP), `service` (the rules), `store` (table and queries),
`events` (what others are told), `payment` (what a payment is). For a resource of your own copy
these five; `capture` and `reconcile` stand beside them.
"""
