"""The shortest sequence that still differs."""

from model import encode_sequence, smaller_sequences

CANDIDATES = 400


def candidates_of(steps):
    found = {}
    for one in smaller_sequences(steps):
        found.setdefault(encode_sequence(one), one)
        if len(found) == CANDIDATES:
            break
    return list(found.values())


def shrink(kernel, daemon, steps):
    """(steps, kernel's answers, nlvsd's): every part of `steps` is needed for the difference.

    Each round plays all sequences that are one part smaller to both sides, and goes on with the
    smallest that differs. A difference that needs what went before the sequence is returned whole.
    """
    result = (steps, *kernel.play([steps]), *daemon.play([steps]))
    while True:
        candidates = candidates_of(result[0])
        if not candidates:
            return result
        outcomes = zip(candidates, kernel.play(candidates), daemon.play(candidates))
        different = [one for one in outcomes if one[1] != one[2]]
        if not different:
            return result
        result = min(different, key=lambda one: len(encode_sequence(one[0])))
