"""What the player wrote: parts, and text for people."""

import errno
import struct

from model import FAMILY, NetlinkOption, step_lines

ERROR, DONE = 2, 3
REPLY_COMMANDS = {1: "service", 5: "destination", 9: "daemon", 12: "timeouts", 14: "information"}


def split(data):
    """The answers to each sequence, as bytes."""
    result = []
    offset = 0
    while offset < len(data):
        (size,) = struct.unpack_from("=I", data, offset)
        result.append(data[offset + 4 : offset + 4 + size])
        offset += 4 + size
    return result


def steps_of(answer):
    """Lists of items, one list a step."""
    steps = []
    offset = 0
    while offset < len(answer):
        (count,) = struct.unpack_from("=I", answer, offset)
        offset += 4
        items = []
        for _ in range(count):
            (size,) = struct.unpack_from("=I", answer, offset)
            items.append(answer[offset + 4 : offset + 4 + size])
            offset += 4 + size
        steps.append(items)
    return steps


def errno_name(number):
    return errno.errorcode.get(number, str(number))


def attribute_text(data, indent, depth):
    lines = []
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4 or offset + length > len(data):
            break
        payload = data[offset + 4 : offset + length]
        nested = depth == 0 and kind <= 3 or depth == 1 and kind in (10, 12) and len(payload) > 8
        if nested:
            lines.append(f"{indent}{kind:x} nested")
            lines += attribute_text(payload, indent + "  ", depth + 1)
        else:
            lines.append(f"{indent}{kind:x} = {payload.hex()}")
        offset += (length + 3) & ~3
    if offset < len(data):
        lines.append(f"{indent}bytes {data[offset:].hex()}")
    return lines


def message_text(message):
    length, kind, flags, sequence, port = struct.unpack_from("=IHHII", message)
    body = message[16:length]
    head = f"    length={length} type={kind:x} flags={flags:x} seq={sequence} pid={port}"
    if kind == ERROR and len(body) >= 4:
        (error,) = struct.unpack_from("=i", body)
        name = "ACK" if error == 0 else errno_name(-error)
        return [f"{head} {name}", f"      {body[4:].hex()}"]
    if kind == FAMILY and len(body) >= 4:
        name = REPLY_COMMANDS.get(body[0], str(body[0]))
        return [f"{head} {name} {body[:4].hex()}", *attribute_text(body[4:], "      ", 0)]
    return [head, f"      {body.hex()}"]


def item_text(item):
    lines = ["  datagram"]
    offset = 0
    while offset + 16 <= len(item):
        (length,) = struct.unpack_from("=I", item, offset)
        if length < 16 or offset + length > len(item):
            break
        lines += message_text(item[offset : offset + length])
        offset += (length + 3) & ~3
    if offset < len(item):
        lines.append(f"    bytes {item[offset:].hex()}")
    return lines


def looks_like_datagram(item):
    return len(item) >= 16 and struct.unpack_from("=I", item)[0] in range(16, len(item) + 1)


def to_text(steps, answer):
    """The steps of a sequence with what came back from each."""
    lines = []
    listed = steps_of(answer)
    for index, items in enumerate(listed):
        step = steps[index] if index < len(steps) else None
        lines += step_lines(step) if step is not None else ["final state"]
        old_interface = step is not None and not hasattr(step, "messages")
        for position, item in enumerate(items):
            if looks_like_datagram(item) and not old_interface:
                lines += item_text(item)
            elif len(item) == 4 and (position == 0 or old_interface):
                (value,) = struct.unpack("=i", item)
                lines.append(f"  result {errno_name(-value) if value < 0 else value}")
            elif not isinstance(step, NetlinkOption):
                lines.append(f"  {item.hex()}")
    return [line + "\n" for line in lines]
