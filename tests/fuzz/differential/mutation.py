"""Ways to make a message wrong."""

from dataclasses import replace

from model import Attribute

KERNEL_NEVER_USES = 0x3FF0


def mutate(source, message):
    change = source.weighted(
        (mutate_attributes, mutate_flags, mutate_header, mutate_body, mutate_length),
        (70, 12, 4, 8, 6),
    )
    return change(source, message)


def mutate_flags(source, message):
    if source.chance(0.5):
        return replace(message, flags=message.flags ^ (1 << int(source.random.random() * 16)))
    if source.chance(0.5):
        return replace(message, flags=source.pick([0, 1, 4, 5, 0x100, 0x101, 0x201, 0x301, 0x105,
                                                   0x205, 0x304, 0x305, 0x705, 0x405, 0x605]))
    return replace(message, flags=source.random.getrandbits(12))


def mutate_header(source, message):
    if source.chance(0.5):
        return replace(message, port=source.pick([1, 77, 0xFFFFFFFF]))
    # Neither a number that some family of the kernel might have.
    return replace(message, type=source.pick([0, 1, 2, 3, 4, 15, KERNEL_NEVER_USES, 0xFFF4]))


def mutate_body(source, message):
    kind = int(source.random.random() * 4)
    if kind == 0:
        command = source.pick([0, 14, 18, 19, 255, int(source.random.random() * 20)])
        return replace(message, body=bytes([command]) + message.body[1:])
    if kind == 1:
        return replace(message, body=message.body[:1] + source.pick([b"\0\0\0", b"\2\0\0", b"\xff\1\0"]))
    if kind == 2:
        return replace(message, body=message.body[:2] + source.pick([b"\1\0", b"\xff\xff"]))
    cut = int(source.random.random() * 4)
    return replace(message, body=message.body[:cut], attributes=())


def mutate_length(source, message):
    size = len(message.encode())
    wrong = source.pick([0, 1, 15, 16, 17, 19, 20, 21, 23, 24, size - 4, size - 2, size - 1,
                         size + 1, size + 4, 0x7FFFFFFF, 0xFFFFFFFF])
    return replace(message, length=max(wrong, 0))


def mutate_attributes(source, message):
    return replace(message, attributes=mutate_list(source, message.attributes, 0))


def mutate_list(source, attributes, depth):
    """One change, in this list or (mostly) further down."""
    nests = [
        index
        for index, one in enumerate(attributes)
        if isinstance(one, Attribute) and isinstance(one.payload, tuple)
    ]
    if nests and source.chance(0.75):
        index = source.pick(nests)
        changed = mutate_list(source, attributes[index].payload, depth + 1)
        return spliced(attributes, index, replace(attributes[index], payload=changed))
    if not attributes or source.chance(0.12):
        return insert_something(source, attributes, depth)
    index = int(source.random.random() * len(attributes))
    one = attributes[index]
    if isinstance(one, bytes):
        return spliced(attributes, index)
    return change_attribute(source, attributes, index, one)


def spliced(items, index, *new):
    return items[:index] + new + items[index + 1 :]


def insert_something(source, attributes, depth):
    place = int(source.random.random() * (len(attributes) + 1))
    kind = int(source.random.random() * 4)
    if kind == 0:
        return attributes + (source.pick([b"\0", bytes(3), bytes(4), b"\x05\0\x01\0", b"\xff" * 7]),)
    number = source.pick([0, 7, 13, 16, 99, 0x3FFF, int(source.random.random() * 16)])
    payload = source.pick([b"", b"\0", bytes(2), bytes(4), b"\2\0", b"\1\0\0\0", bytes(8), b"rr\0"])
    return attributes[:place] + (Attribute(number, payload),) + attributes[place:]


def change_attribute(source, attributes, index, one):
    kind = int(source.random.random() * 11)
    if kind == 0:
        return spliced(attributes, index)
    if kind == 1:
        copy = change_payload(source, one) if source.chance(0.5) else one
        return spliced(attributes, index, one, copy)
    if kind == 2:
        return spliced(attributes, index) + (one,)
    if kind == 3:
        return spliced(attributes, index, replace(one, type=one.type ^ source.pick([0x8000, 0x4000,
                                                                                    0xC000])))
    if kind == 4:
        number = int(source.random.random() * 16)
        return spliced(attributes, index, replace(one, type=(one.type & 0xC000) | number))
    if kind == 5:
        return spliced(attributes, index, replace(one, payload=(one,)))
    if kind == 6 and isinstance(one.payload, tuple):
        return spliced(attributes, index, *one.payload)
    if kind == 7:
        length = len(one.encode())
        wrong = source.pick([0, 1, 3, 4, 5, 6, 8, length - 1, length - 4, length + 1, length + 4,
                             0x7FFF, 0xFFFF])
        return spliced(attributes, index, replace(one, length=max(wrong, 0)))
    return spliced(attributes, index, change_payload(source, one))


def change_payload(source, one):
    """Shorter, longer, other bytes; a nest becomes a leaf."""
    if isinstance(one.payload, tuple):
        return replace(one, payload=source.pick([b"", b"\0", bytes(3), bytes(4), bytes(8), b"abc"]))
    kind = int(source.random.random() * 5)
    if kind == 0:
        return replace(one, payload=one.payload[: int(source.random.random() * len(one.payload))])
    if kind == 1:
        return replace(one, payload=one.payload + source.pick([b"\0", b"\1", bytes(4), bytes(12),
                                                               bytes(60)]))
    if kind == 2:
        return replace(one, payload=one.payload.rstrip(b"\0"))
    if kind == 3:
        return replace(one, payload=source.pick([b"", b"\0", b"\xff" * len(one.payload),
                                                 bytes(len(one.payload))]))
    changed = bytearray(one.payload)
    if changed:
        changed[int(source.random.random() * len(changed))] = source.random.getrandbits(8)
    return replace(one, payload=bytes(changed))
