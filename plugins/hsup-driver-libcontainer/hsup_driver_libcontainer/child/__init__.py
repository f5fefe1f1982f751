"""What runs in the children of hsup, down to the first process of a dyno.

They are forked, keep no memory of hsup, and change root, user and namespaces: this imports
nothing but the standard library and prctl.
"""
