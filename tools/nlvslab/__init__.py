"""Network-namespace topologies around nlvs directors: what tools/lab, tools/demo and
tests/end_to_end share. Python standard library only."""
