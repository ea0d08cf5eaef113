"""The checklist, executable: `make doctor` (SPEC K).

It reads the project's real files as they stand, after everybody's edits, and says of each item
whether it holds, where it doesn't, why that matters and how to mend it. Nothing of it is imported
by the running service or part of its image: see decision 10 of the template.
"""
