"""What a sequence is made of, its bytes for the player, and its text.

A sequence is a list of steps: Datagram (of Messages, of Attributes), NetlinkOption, SocketCall.
Lengths are right unless said otherwise, so that a part can be taken out and the rest stays whole.
The text form is what differences are printed in and what regressions/ holds:

    option 11 1                              NETLINK_EXT_ACK on
    send                                     one datagram
      message type=4956 flags=5 seq=1 pid=0 body=01010000
        1 nested                             attribute number 1, the deeper lines are its payload
          8001 = 0200                        attribute with its NLA_F_* bits, payload in hex
          3 length=2 = 00                    and a wrong length field
      message type=4956 flags=5 seq=2 pid=0 length=12 body=01010000
      tail = 00                              bytes after the last message
    set 1154 44 = 0600...                    setsockopt: option, length, value; "null" for a pointer
    get 1152 64 =

All numbers but sockopt's, seq and pid are hexadecimal; body is what follows nlmsghdr, up to the
attributes.
"""

import struct
from dataclasses import dataclass, field, replace

FAMILY = 0x4956
REQUEST, ACK, ECHO, DUMP = 1, 4, 8, 0x300
NESTED = 0x8000


def padded(data):
    return data + bytes(-len(data) % 4)


@dataclass(frozen=True)
class Attribute:
    type: int
    payload: object  # bytes, or a tuple of Attributes and, at the end, perhaps bytes
    length: int = None

    def encode(self):
        payload = self.payload if isinstance(self.payload, bytes) else encode_all(self.payload)
        length = 4 + len(payload) if self.length is None else self.length
        return padded(struct.pack("=HH", length & 0xFFFF, self.type) + payload)


def encode_all(attributes):
    return b"".join(one if isinstance(one, bytes) else one.encode() for one in attributes)


@dataclass(frozen=True)
class Message:
    type: int = FAMILY
    flags: int = REQUEST | ACK
    sequence: int = 0
    port: int = 0
    body: bytes = b""
    attributes: tuple = ()
    length: int = None

    def encode(self):
        content = self.body + encode_all(self.attributes)
        length = 16 + len(content) if self.length is None else self.length
        header = struct.pack("=IHHII", length, self.type, self.flags, self.sequence, self.port)
        return padded(header + content)


@dataclass(frozen=True)
class Datagram:
    messages: tuple
    tail: bytes = b""

    def content(self):
        return b"".join(message.encode() for message in self.messages) + self.tail

    def encode(self):
        content = self.content()
        return struct.pack("=BBHII", 0, 0, 0, 0, len(content)) + content


@dataclass(frozen=True)
class NetlinkOption:
    option: int
    value: int

    def encode(self):
        return struct.pack("=BBHII", 1, 0, self.option, self.value, 0)


@dataclass(frozen=True)
class SocketCall:
    get: bool
    option: int
    length: int
    value: bytes = b""
    null: bool = False

    def encode(self):
        kind = 3 if self.get else 2
        head = struct.pack(
            "=BBHII", kind, self.null, self.option, self.length & 0xFFFFFFFF, len(self.value)
        )
        return head + self.value


def types_of(content):
    """The types of the messages that the kernel finds, whatever was meant to be one."""
    while len(content) >= 16:
        length, kind = struct.unpack_from("=IH", content)
        if length < 16 or length > len(content):
            return
        yield kind
        content = content[(length + 3) & ~3 :]


def concerns_others(steps):
    """A wrong length can turn an attribute into a message to another family of this kernel."""
    return any(
        16 <= kind < 1024
        for step in steps
        if isinstance(step, Datagram)
        for kind in types_of(step.content())
    )


def encode_sequence(steps):
    content = b"".join(step.encode() for step in steps)
    return struct.pack("=I", len(content)) + content


# --- text


def attribute_lines(attribute, indent):
    if isinstance(attribute, bytes):
        return [f"{indent}bytes = {attribute.hex()}"]
    length = "" if attribute.length is None else f" length={attribute.length:x}"
    if isinstance(attribute.payload, bytes):
        return [f"{indent}{attribute.type:x}{length} = {attribute.payload.hex()}"]
    lines = [f"{indent}{attribute.type:x}{length} nested"]
    for one in attribute.payload:
        lines += attribute_lines(one, indent + "  ")
    return lines


def step_lines(step):
    if isinstance(step, NetlinkOption):
        return [f"option {step.option} {step.value}"]
    if isinstance(step, SocketCall):
        words = "get" if step.get else "set"
        null = " null" if step.null else ""
        return [f"{words} {step.option} {step.length}{null} = {step.value.hex()}"]
    lines = ["send"]
    for message in step.messages:
        length = "" if message.length is None else f" length={message.length:x}"
        lines.append(
            f"  message type={message.type:x} flags={message.flags:x} seq={message.sequence}"
            f" pid={message.port}{length} body={message.body.hex()}"
        )
        for attribute in message.attributes:
            lines += attribute_lines(attribute, "    ")
    if step.tail:
        lines.append(f"  tail = {step.tail.hex()}")
    return lines


def to_text(steps):
    return "".join(line + "\n" for step in steps for line in step_lines(step))


def parse_attributes(lines, depth):
    """Takes the lines that are indented by `depth` and what is below them."""
    found = []
    while lines and len(lines[0]) - len(lines[0].lstrip()) == depth:
        words = lines.pop(0).split()
        if words[0] == "bytes":
            found.append(bytes.fromhex("".join(words[2:])))
            continue
        length = next((int(w[7:], 16) for w in words if w.startswith("length=")), None)
        if words[-1] == "nested":
            payload = tuple(parse_attributes(lines, depth + 2))
        else:
            payload = bytes.fromhex("".join(words[words.index("=") + 1 :]))
        found.append(Attribute(int(words[0], 16), payload, length))
    return found


def parse_datagram(lines):
    messages, tail = [], b""
    while lines and lines[0].startswith("  "):
        words = lines.pop(0).split()
        if words[0] == "tail":
            tail = bytes.fromhex("".join(words[2:]))
            continue
        values = dict(word.split("=", 1) for word in words[1:])
        messages.append(
            Message(
                type=int(values["type"], 16),
                flags=int(values["flags"], 16),
                sequence=int(values["seq"]),
                port=int(values["pid"]),
                body=bytes.fromhex(values["body"]),
                length=int(values["length"], 16) if "length" in values else None,
                attributes=tuple(parse_attributes(lines, 4)),
            )
        )
    return Datagram(tuple(messages), tail)


def from_text(text):
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    steps = []
    while lines:
        words = lines.pop(0).split()
        if words[0] == "send":
            steps.append(parse_datagram(lines))
        elif words[0] == "option":
            steps.append(NetlinkOption(int(words[1]), int(words[2])))
        else:
            value = bytes.fromhex("".join(words[words.index("=") + 1 :]))
            steps.append(
                SocketCall(words[0] == "get", int(words[1]), int(words[2]), value, "null" in words)
            )
    return steps


# --- parts that can be taken out, for shrinking


def without(items, index):
    return items[:index] + items[index + 1 :]


def smaller_attributes(attributes):
    """Each tuple that lacks one attribute, or has a simpler one."""
    for index, one in enumerate(attributes):
        yield without(attributes, index)
        if isinstance(one, bytes):
            continue
        simpler = []
        if one.length is not None:
            simpler.append(replace(one, length=None))
        if not isinstance(one.payload, bytes):
            simpler += [replace(one, payload=part) for part in smaller_attributes(one.payload)]
        for candidate in simpler:
            yield attributes[:index] + (candidate,) + attributes[index + 1 :]


def smaller_messages(message):
    for attributes in smaller_attributes(message.attributes):
        yield replace(message, attributes=attributes)
    if message.length is not None:
        yield replace(message, length=None)
    if message.port != 0:
        yield replace(message, port=0)
    for bit in range(16):
        if message.flags & (1 << bit) and message.flags != REQUEST:
            yield replace(message, flags=message.flags & ~(1 << bit))


def smaller_sequences(steps):
    """The sequences that are one part shorter, the largest parts first."""
    steps = tuple(steps)
    half = len(steps) // 2
    if half > 1:
        yield steps[half:]
        yield steps[:half]
    for index in range(len(steps)):
        yield without(steps, index)
    for index, step in enumerate(steps):
        if not isinstance(step, Datagram):
            continue
        variants = []
        if len(step.messages) > 1:
            variants += [
                replace(step, messages=without(step.messages, i)) for i in range(len(step.messages))
            ]
        if step.tail:
            variants.append(replace(step, tail=b""))
        for number, message in enumerate(step.messages):
            variants += [
                replace(
                    step,
                    messages=step.messages[:number] + (one,) + step.messages[number + 1 :],
                )
                for one in smaller_messages(message)
            ]
        for variant in variants:
            yield steps[:index] + (variant,) + steps[index + 1 :]
