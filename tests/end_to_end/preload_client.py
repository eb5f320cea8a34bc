"""Raw clients that preload_test.py runs with the library loaded. usage: preload_client.py CASE

Each case raises, or prints what the test compares. Nothing here knows the daemon.
"""

import array
import ctypes
import errno
import os
import select
import socket
import struct
import sys
import threading

REQUEST, MULTI, ACK, DUMP = 1, 2, 4, 0x300
CONTROLLER, GET_FAMILY, GET_INFO, GET_SERVICE = 0x10, 3, 15, 4
ERROR, DONE = 2, 3
libc = ctypes.CDLL(None, use_errno=True)


def generic_socket():
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    opened.settimeout(5)
    return opened


def message(kind, flags, payload, sequence=1):
    return struct.pack("=IHHII", 16 + len(payload), kind, REQUEST | flags, sequence, 0) + payload


def attribute(kind, payload):
    raw = struct.pack("=HH", 4 + len(payload), kind) + payload
    return raw + bytes(-len(raw) % 4)


def get_family(name, flags=0, sequence=1):
    payload = struct.pack("=BBH", GET_FAMILY, 1, 0)
    if name:
        payload += attribute(2, name.encode() + b"\0")
    return message(CONTROLLER, flags, payload, sequence)


def messages(datagram):
    while len(datagram) >= 16:
        length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", datagram)
        yield kind, flags, sequence, datagram[16:length]
        datagram = datagram[(length + 3) & ~3:]


def attributes(payload):
    found = {}
    while len(payload) >= 4:
        length, kind = struct.unpack_from("=HH", payload)
        found[kind] = payload[4:length]
        payload = payload[(length + 3) & ~3:]
    return found


def receive(opened):
    """One datagram, which must come from the kernel as far as this process can see."""
    data, _, _, sender = opened.recvmsg(65536)
    assert sender == (0, 0), sender
    return list(messages(data))


def receive_error(opened):
    (kind, _, sequence, payload), = receive(opened)
    assert kind == ERROR, kind
    return -struct.unpack_from("=i", payload)[0], sequence


def resolve(opened):
    opened.sendto(get_family("IPVS", ACK), (0, 0))
    (kind, _, _, payload), = receive(opened)
    assert kind == CONTROLLER, kind
    assert receive_error(opened)[0] == 0
    return struct.unpack("=H", attributes(payload[4:])[1])[0]


def get_info(family, sequence=1):
    return message(family, ACK, struct.pack("=BBH", GET_INFO, 1, 0), sequence)


def expect_info(opened, sequence):
    (kind, _, answered, payload), = receive(opened)
    assert payload[0] == 14 and answered == sequence, (kind, payload, answered)
    assert receive_error(opened) == (0, sequence)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
                ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("header", Msghdr), ("length", ctypes.c_uint)]


def case_every_send_call():
    opened = generic_socket()
    family = resolve(opened)
    name = struct.pack("=HHII", socket.AF_NETLINK, 0, 0, 0)
    address = ctypes.create_string_buffer(name, 12)

    def sendmmsg():
        vectors = [(Iovec * 1)(Iovec(get_info(family, n), 20)) for n in (8, 9)]
        batch = (Mmsghdr * 2)(*[
            Mmsghdr(Msghdr(ctypes.addressof(address), 12, vector, 1)) for vector in vectors])
        assert libc.sendmmsg(opened.fileno(), batch, 2, 0) == 2
        assert [entry.length for entry in batch] == [20, 20]

    request = [get_info(family, n) for n in range(8)]
    opened.sendto(request[1], (0, 0))
    expect_info(opened, 1)
    opened.sendmsg([request[2][:5], request[2][5:17], request[2][17:]], [], 0, (0, 0))
    expect_info(opened, 2)
    opened.send(request[3])
    expect_info(opened, 3)
    assert os.write(opened.fileno(), request[4]) == 20
    expect_info(opened, 4)
    assert os.writev(opened.fileno(), [request[5][:1], request[5][1:]]) == 20
    expect_info(opened, 5)
    sendmmsg()
    expect_info(opened, 8)
    expect_info(opened, 9)
    # A connected socket takes datagrams from its peer only.
    opened.connect((0, 0))
    opened.send(request[6])
    expect_info(opened, 6)
    assert opened.getpeername() == (0, 0)


def case_clients_that_do_not_wait():
    opened = generic_socket()
    family = resolve(opened)
    opened.setblocking(False)
    for sequence in range(100):
        opened.sendto(get_info(family, sequence), (0, 0))
        expect_info(opened, sequence)
    for receive_once in (lambda: opened.recv(4096), lambda: os.read(opened.fileno(), 4096),
                         lambda: os.readv(opened.fileno(), [bytearray(4096)])):
        opened.sendto(get_family("IPVS"), (0, 0))
        receive_once()
        try:
            receive_once()
            raise AssertionError("something to read")
        except BlockingIOError:
            pass


def case_dump_to_a_client_that_does_not_wait():
    opened = generic_socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    family = resolve(opened)
    opened.setblocking(False)
    opened.sendto(message(family, DUMP, struct.pack("=BBH", GET_SERVICE, 1, 0), 3), (0, 0))
    count = 0
    while True:
        for kind, _, _, _ in receive(opened):
            if kind == DONE:
                print(count)
                return
            count += 1


def case_every_receive_call():
    opened = generic_socket()
    family = resolve(opened)
    for sequence in range(1, 5):
        opened.sendto(get_info(family, sequence), (0, 0))
    for receive_once in (
            lambda: opened.recvfrom(4096)[1],
            lambda: opened.recvfrom_into(bytearray(4096))[1],
            lambda: opened.recvmsg(4096, 0, socket.MSG_PEEK | socket.MSG_TRUNC)[3],
            lambda: opened.recvmsg(4096)[3]):
        assert receive_once() == (0, 0)
    names = [ctypes.create_string_buffer(12) for _ in range(3)]
    rooms = [ctypes.create_string_buffer(4096) for _ in range(3)]
    batch = (Mmsghdr * 3)(*[
        Mmsghdr(Msghdr(ctypes.addressof(name), 12,
                       (Iovec * 1)(Iovec(ctypes.cast(room, ctypes.c_char_p), 4096)), 1))
        for name, room in zip(names, rooms)])
    assert libc.recvmmsg(opened.fileno(), batch, 3, 0, None) == 3
    assert [struct.unpack("=HHII", name.raw)[2] for name in names] == [0, 0, 0]


def case_credentials_are_the_kernels():
    opened = generic_socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    opened.sendto(get_family("IPVS"), (0, 0))
    _, ancillary, _, sender = opened.recvmsg(4096, 256)
    assert sender == (0, 0)
    (_, kind, data), = ancillary
    assert kind == socket.SCM_CREDENTIALS and struct.unpack("=III", data)[0] == 0


def case_other_families_stay_with_the_kernel():
    opened = generic_socket()
    opened.sendto(get_family("nlctrl", ACK), (0, 0))
    (_, _, _, payload), = receive(opened)
    assert attributes(payload[4:])[2] == b"nlctrl\0"
    assert receive_error(opened)[0] == 0
    opened.sendto(get_family("no such family", ACK), (0, 0))
    assert receive_error(opened)[0] == errno.ENOENT


def case_mixed_datagram():
    opened = generic_socket()
    family = resolve(opened)
    mixed = get_info(family, 1) + get_family("nlctrl", ACK, 2) + get_info(family, 3) + bytes(8)
    assert opened.sendmsg([mixed[:30], mixed[30:]], [], 0, (0, 0)) == len(mixed)
    seen = {}
    for _ in range(6):
        (kind, _, sequence, payload), = receive(opened)
        seen.setdefault(sequence, []).append(kind)
    assert seen == {1: [family, ERROR], 2: [CONTROLLER, ERROR], 3: [family, ERROR]}, seen


def case_keepalived_before_it_resolved():
    opened = generic_socket()
    body = struct.pack("=BBH", GET_INFO, 1, 0)
    opened.sendto(message(0, ACK, body, 7), (0, 0))
    assert receive_error(opened) == (0, 7)
    opened.sendto(message(0xfff4, ACK, body, 8), (0, 0))
    assert receive_error(opened) == (errno.ENOENT, 8)


def list_families():
    opened = generic_socket()
    opened.sendto(get_family(None, DUMP, 5), (0, 0))
    names = []
    while True:
        for kind, flags, sequence, payload in receive(opened):
            assert sequence == 5 and flags & MULTI
            if kind == DONE:
                return names
            names.append(attributes(payload[4:])[2].rstrip(b"\0").decode())


def case_list_families():
    print("\n".join(list_families()))


def case_threads_fork_and_dup():
    opened = generic_socket()
    family = resolve(opened)
    failures = []

    def ask():
        try:
            own = generic_socket()
            for sequence in range(200):
                own.sendto(get_info(family, sequence), (0, 0))
                expect_info(own, sequence)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    child = os.fork()
    if child == 0:
        copy = socket.socket(fileno=os.dup(opened.fileno()))
        copy.sendto(get_info(family, 5), (0, 0))
        expect_info(copy, 5)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    left, right = socket.socketpair(socket.AF_UNIX)
    socket.send_fds(left, [b"x"], [opened.fileno()])
    passed = socket.socket(fileno=socket.recv_fds(right, 1, 1)[1][0])
    passed.send(get_info(family, 6))
    expect_info(passed, 6)


def case_inherited_over_exec():
    if len(sys.argv) == 2:
        opened = generic_socket()
        os.set_inheritable(opened.fileno(), True)
        os.execv(sys.executable, [sys.executable, *sys.argv, str(opened.fileno())])
    opened = socket.socket(fileno=int(sys.argv[2]))
    os.write(opened.fileno(), get_family("IPVS", ACK))
    (kind, _, _, _), = receive(opened)
    assert kind == CONTROLLER


def case_errno_is_preserved():
    opened = generic_socket()
    family = resolve(opened)
    request = get_info(family)
    for call in (lambda: libc.write(opened.fileno(), request, 20),
                 lambda: libc.send(opened.fileno(), request, 20, 0),
                 lambda: libc.write(1, b"", 0),
                 lambda: libc.open(b"/dev/null", 0),
                 lambda: libc.access(b"/", 0)):
        ctypes.set_errno(77)
        assert call() >= 0
        assert ctypes.get_errno() == 77, ctypes.get_errno()
    for call, expected in ((lambda: libc.write(-1, request, 20), errno.EBADF),
                           (lambda: libc.open(b"/no/such", 0), errno.ENOENT),
                           (lambda: libc.open(1, 0), errno.EFAULT),
                           (lambda: libc.access(1, 0), errno.EFAULT)):
        ctypes.set_errno(77)
        assert call() == -1
        assert ctypes.get_errno() == expected, ctypes.get_errno()


def case_bad_pointers_are_efault():
    """Before the process has a generic netlink socket nothing it passes is looked at."""
    pipe = os.pipe()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for call in (lambda: libc.write(pipe[1], 1, 100),
                 lambda: libc.writev(pipe[1], 1, 1),
                 lambda: libc.sendmsg(udp.fileno(), 1, 0),
                 lambda: libc.sendto(udp.fileno(), 1, 100, 0, None, 0),
                 lambda: libc.recvmsg(udp.fileno(), 1, 0)):
        assert call() == -1
        assert ctypes.get_errno() in (errno.EFAULT, errno.EDESTADDRREQ), ctypes.get_errno()


def case_socket_options():
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    first, *rest = raw.getsockopt(0, 1152, 64)
    assert rest == [(first + i) & 255 for i in range(1, 64)]
    size = 1000000
    room = ctypes.create_string_buffer(b"\x05", size)
    length = ctypes.c_uint32(size)
    assert libc.getsockopt(raw.fileno(), 0, 1154, room, ctypes.byref(length)) == 0
    assert length.value == size and room.raw == bytes((5 + i) & 255 for i in range(size))
    raw.setsockopt(0, 1154, bytes(44))
    libc.setsockopt(raw.fileno(), 0, 1157, None, 0)
    try:
        raw.setsockopt(0, 1154, bytes(13))
        raise AssertionError("accepted")
    except OSError as error:
        assert error.errno == errno.EINVAL, error
    assert libc.setsockopt(raw.fileno(), 0, 1154, 1, 44) == -1
    assert ctypes.get_errno() == errno.EFAULT
    # Elsewhere the numbers mean something else.
    unix = socket.socket(socket.AF_UNIX)
    assert libc.setsockopt(unix.fileno(), 0, 1154, bytes(44), 44) == -1
    assert ctypes.get_errno() == errno.EOPNOTSUPP, ctypes.get_errno()


def case_paths():
    print(open("/proc/net/ip_vs").read(), end="")
    print(open("/proc/self/net/ip_vs").read(), end="")
    assert os.path.exists("/proc/net/ip_vs") and not os.path.exists("/proc/net/ip_vs_app")
    assert os.access("/proc/sys/net/ipv4/vs/conntrack", os.W_OK)
    assert os.stat("/proc/net/ip_vs").st_size > 0
    assert os.listdir("/proc/sys/net/ipv4/vs") == ["conntrack"]
    with open("/proc/sys/net/ipv4/vs/conntrack", "w") as file:
        file.write("1\n")
    print(open("/proc/sys/net/ipv4/vs/conntrack").read(), end="")
    assert open("/proc/sys/net/ipv4/ip_forward").read() in ("0\n", "1\n")


def case_slow_reader():
    """Reads nothing until told to; then everything must be there."""
    opened = generic_socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    family = resolve(opened)
    opened.sendto(message(family, DUMP, struct.pack("=BBH", GET_SERVICE, 1, 0), 3), (0, 0))
    print("stopped", flush=True)
    sys.stdin.readline()
    count = 0
    while True:
        for kind, _, _, _ in receive(opened):
            if kind == DONE:
                print(count)
                return
            count += 1


def wait_for_input(opened, way):
    if way == "poll":
        poll = select.poll()
        poll.register(opened, select.POLLIN)
        poll.poll()
    elif way == "epoll":
        with select.epoll() as epoll:
            epoll.register(opened, select.EPOLLIN | select.EPOLLET)
            epoll.poll()
    elif way == "select":
        select.select([opened], [], [])
    else:
        assert way == "receive", way


def case_orphan():
    """usage: orphan WAY REQUEST. Asks, loses its daemon while it waits, asks the next one."""
    way, request = sys.argv[2:4]
    opened = generic_socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    family = resolve(opened)
    opened.settimeout(None)
    opened.setblocking(way == "receive")
    asked = {"info": get_info(family, 7),
             "dump": message(family, DUMP, struct.pack("=BBH", GET_SERVICE, 1, 0), 7)}[request]
    print("ready", flush=True)
    sys.stdin.readline()
    opened.sendto(asked, (0, 0))
    print("asked", flush=True)
    if request == "dump":
        sys.stdin.readline()
    errors = []
    while not errors:
        wait_for_input(opened, way)
        for kind, _, sequence, payload in receive(opened):
            assert sequence == 7 and kind != DONE, (sequence, kind)
            if kind == ERROR:
                errors.append(-struct.unpack_from("=i", payload)[0])
    print(errno.errorcode[errors[0]], flush=True)
    sys.stdin.readline()
    for again in (opened, generic_socket()):
        again.settimeout(5)
        again.sendto(get_info(family, 8), (0, 0))
        expect_info(again, 8)
    print("served", flush=True)


def case_orphaned_option():
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print("asked", flush=True)
    try:
        raw.setsockopt(0, 1154, bytes(44))
    except OSError as error:
        print(errno.errorcode[error.errno])


def case_unprivileged():
    opened = generic_socket()
    try:
        opened.sendto(get_family("IPVS", ACK), (0, 0))
        raise AssertionError("sent")
    except OSError as error:
        assert error.errno == errno.EPERM, error
    assert "nlctrl" in list_families()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    assert libc.setsockopt(udp.fileno(), 0, 1154, bytes(44), 44) == -1
    assert ctypes.get_errno() == errno.EPERM


if __name__ == "__main__":
    globals()["case_" + sys.argv[1]]()
