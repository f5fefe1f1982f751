"""The code of hsup's child processes: the zygote, and the processes of a dyno.

They share no memory with hsup, and change root, user and namespaces. This package imports
nothing but the standard library and prctl.
"""
