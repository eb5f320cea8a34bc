// A client of the IPVS netlink family on raw system calls, for launcher_test.py: linked
// statically, without libc, so no preload library reaches it.
//
// usage: go_client blocking|polled|routines|descriptors|files|interrupted
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	genericProtocol = 16
	controller      = 0x10
	getFamily       = 3
	newService      = 1
	getService      = 4
	newDestination  = 5
	getDestination  = 8
	getInfo         = 15

	requestFlag = 1
	ackFlag     = 4
	dumpFlags   = 0x300
	nested      = 0x8000
)

var order = binary.LittleEndian

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func attribute(kind uint16, payload []byte) []byte {
	raw := make([]byte, 4, 4+len(payload)+3)
	order.PutUint16(raw, uint16(4+len(payload)))
	order.PutUint16(raw[2:], kind)
	raw = append(raw, payload...)
	for len(raw)%4 != 0 {
		raw = append(raw, 0)
	}
	return raw
}

func number16(value uint16) []byte { return order.AppendUint16(nil, value) }
func number32(value uint32) []byte { return order.AppendUint32(nil, value) }

func bigEndian16(value uint16) []byte { return []byte{byte(value >> 8), byte(value)} }

func address(text string) []byte {
	var ip [16]byte
	fmt.Sscanf(text, "%d.%d.%d.%d", &ip[0], &ip[1], &ip[2], &ip[3])
	return ip[:]
}

func message(kind, flags uint16, sequence uint32, command byte, attributes ...[]byte) []byte {
	payload := []byte{command, 1, 0, 0}
	for _, one := range attributes {
		payload = append(payload, one...)
	}
	raw := make([]byte, 16, 16+len(payload))
	order.PutUint32(raw, uint32(16+len(payload)))
	order.PutUint16(raw[4:], kind)
	order.PutUint16(raw[6:], requestFlag|flags)
	order.PutUint32(raw[8:], sequence)
	return append(raw, payload...)
}

func service(ip string, port uint16, full bool) []byte {
	parts := [][]byte{
		attribute(1, number16(syscall.AF_INET)), attribute(2, number16(syscall.IPPROTO_TCP)),
		attribute(3, address(ip)), attribute(4, bigEndian16(port)),
	}
	if full {
		parts = append(parts, attribute(6, []byte("wrr\x00")),
			attribute(7, append(number32(0), 0xff, 0xff, 0xff, 0xff)),
			attribute(8, number32(0)), attribute(9, number32(0xffffffff)))
	}
	return attribute(1|nested, bytes.Join(parts, nil))
}

func destination(ip string, port uint16, weight uint32) []byte {
	return attribute(2|nested, bytes.Join([][]byte{
		attribute(1, address(ip)), attribute(2, bigEndian16(port)),
		attribute(3, number32(0)), attribute(4, number32(weight)),
		attribute(5, number32(0)), attribute(6, number32(0)),
	}, nil))
}

// A connection talks over a socket that blocks, or, with a file, over one that Go's runtime polls.
type connection struct {
	descriptor int
	file       *os.File
	sequence   uint32
	family     uint16
}

func open(flags int) *connection {
	descriptor, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|flags,
		genericProtocol)
	check(err)
	check(syscall.Bind(descriptor, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}))
	opened := &connection{descriptor: descriptor}
	if flags&syscall.SOCK_NONBLOCK != 0 {
		opened.file = os.NewFile(uintptr(descriptor), "netlink")
	}
	return opened
}

func (c *connection) send(kind, flags uint16, command byte, attributes ...[]byte) {
	c.sequence++
	raw := message(kind, flags, c.sequence, command, attributes...)
	check(syscall.Sendto(c.descriptor, raw, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}))
}

// receive returns one datagram and insists that it comes from the kernel.
func (c *connection) receive() []byte {
	buffer := make([]byte, 65536)
	var size int
	var sender syscall.Sockaddr
	var err error
	if c.file == nil {
		size, sender, err = syscall.Recvfrom(c.descriptor, buffer, 0)
	} else {
		raw, failed := c.file.SyscallConn()
		check(failed)
		failed = raw.Read(func(descriptor uintptr) bool {
			size, _, _, sender, err = syscall.Recvmsg(int(descriptor), buffer, nil, 0)
			return !errors.Is(err, syscall.EAGAIN)
		})
		check(failed)
	}
	check(err)
	if from := sender.(*syscall.SockaddrNetlink); from.Pid != 0 {
		check(fmt.Errorf("the sender is %d", from.Pid))
	}
	return buffer[:size]
}

// answers collects the payloads up to the end of a dump or the acknowledgement.
func (c *connection) answers() ([][]byte, syscall.Errno) {
	var found [][]byte
	for {
		messages, err := syscall.ParseNetlinkMessage(c.receive())
		check(err)
		for _, one := range messages {
			if one.Header.Seq != c.sequence {
				check(fmt.Errorf("sequence %d, not %d", one.Header.Seq, c.sequence))
			}
			switch one.Header.Type {
			case syscall.NLMSG_DONE:
				return found, 0
			case syscall.NLMSG_ERROR:
				return found, syscall.Errno(-int32(order.Uint32(one.Data)))
			}
			found = append(found, one.Data[4:])
		}
	}
}

func (c *connection) ask(flags uint16, command byte, attributes ...[]byte) ([][]byte, syscall.Errno) {
	c.send(c.family, flags, command, attributes...)
	return c.answers()
}

func (c *connection) resolve() {
	c.send(controller, ackFlag, getFamily, attribute(2, []byte("IPVS\x00")))
	found, failed := c.answers()
	if failed != 0 {
		check(failed)
	}
	for rest := found[0]; len(rest) >= 4; {
		length := int(order.Uint16(rest))
		if order.Uint16(rest[2:]) == 1 {
			c.family = order.Uint16(rest[4:])
		}
		rest = rest[(length+3)&^3:]
	}
}

func expect(what string, got, wanted any) {
	if got != wanted {
		check(fmt.Errorf("%s: %v, not %v", what, got, wanted))
	}
}

// configure adds a service of its own and two destinations, and lists them.
func configure(c *connection, port uint16) {
	c.resolve()
	_, failed := c.ask(ackFlag, newService, service("10.0.0.1", port, true))
	expect("new service", failed, syscall.Errno(0))
	_, failed = c.ask(ackFlag, newService, service("10.0.0.1", port, true))
	expect("the same service", failed, syscall.EEXIST)
	for i, ip := range []string{"10.1.0.1", "10.1.0.2"} {
		_, failed = c.ask(ackFlag, newDestination, service("10.0.0.1", port, false),
			destination(ip, 8080, uint32(i+1)))
		expect("new destination", failed, syscall.Errno(0))
	}
	found, failed := c.ask(dumpFlags, getDestination, service("10.0.0.1", port, false))
	expect("destinations", failed, syscall.Errno(0))
	expect("destinations listed", len(found), 2)
	found, _ = c.ask(dumpFlags, getService)
	for _, one := range found {
		if bytes.Contains(one, attribute(4, bigEndian16(port))) && bytes.Contains(one, []byte("wrr\x00")) {
			return
		}
	}
	check(errors.New("the service is not listed"))
}

func routines() {
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		flags := i % 2 * syscall.SOCK_NONBLOCK
		port := uint16(1000 + i)
		all.Add(1)
		go func() {
			defer all.Done()
			c := open(flags)
			configure(c, port)
			for n := 0; n < 20; n++ {
				found, failed := c.ask(ackFlag, getInfo)
				expect("info", failed, syscall.Errno(0))
				expect("answers", len(found), 1)
			}
		}()
	}
	all.Wait()
}

// descriptors uses copies of the socket, one after a fork and an exec.
func descriptors() {
	if len(os.Args) > 2 {
		var descriptor int
		fmt.Sscan(os.Args[2], &descriptor)
		(&connection{descriptor: descriptor}).resolve()
		return
	}
	c := open(0)
	copied, err := syscall.Dup(c.descriptor)
	check(err)
	(&connection{descriptor: copied}).resolve()
	duplicate, _, failed := syscall.Syscall(syscall.SYS_FCNTL, uintptr(c.descriptor),
		syscall.F_DUPFD_CLOEXEC, 0)
	expect("fcntl", failed, syscall.Errno(0))
	(&connection{descriptor: int(duplicate)}).resolve()
	expect("dup3", syscall.Dup3(c.descriptor, 40, 0), error(syscall.EMFILE))
	var size [1]byte
	c.send(controller, 0, getFamily, attribute(2, []byte("IPVS\x00")))
	whole, from, err := syscall.Recvfrom(c.descriptor, size[:], syscall.MSG_PEEK|syscall.MSG_TRUNC)
	check(err)
	expect("the peeked sender", from.(*syscall.SockaddrNetlink).Pid, uint32(0))
	expect("the peeked size", whole, len(c.receive()))
	self, err := os.Executable()
	check(err)
	check(syscall.Exec(self, []string{self, os.Args[1], fmt.Sprint(copied)}, os.Environ()))
}

func files() {
	text, err := os.ReadFile("/proc/net/ip_vs")
	check(err)
	fmt.Print(string(text))
	_, err = os.Stat("/proc/net/ip_vs")
	check(err)
	_, err = os.Stat("/proc/net/ip_vs_app")
	expect("a file that is not there", errors.Is(err, os.ErrNotExist), true)
	expect("access", syscall.Access("/proc/sys/net/ipv4/vs/conntrack", 2), error(nil))
	check(os.WriteFile("/proc/sys/net/ipv4/vs/conntrack", []byte("1\n"), 0o644))
	entries, err := os.ReadDir("/proc/sys/net/ipv4/vs")
	check(err)
	for _, entry := range entries {
		fmt.Println(entry.Name())
	}
	text, err = os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	check(err)
	fmt.Println(len(strings.TrimSpace(string(text))))
}

// interrupted waits for a message that does not come: a time limit ends it, then a signal's
// handler runs while the wait goes on.
func interrupted() {
	c := open(0)
	limit := syscall.Timeval{Usec: 200000}
	check(syscall.SetsockoptTimeval(c.descriptor, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit))
	_, _, err := syscall.Recvfrom(c.descriptor, make([]byte, 100), 0)
	expect("the end of a time limit", err, error(syscall.EAGAIN))
	check(syscall.SetsockoptTimeval(c.descriptor, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO,
		&syscall.Timeval{}))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go c.receive()
	time.Sleep(100 * time.Millisecond)
	fmt.Println("waiting")
	<-signals
	c.resolveFromElsewhere()
	fmt.Println("handled")
}

// resolveFromElsewhere makes an answer for the reader that waits.
func (c *connection) resolveFromElsewhere() {
	c.send(controller, 0, getFamily, attribute(2, []byte("IPVS\x00")))
	time.Sleep(100 * time.Millisecond)
	var pending int32
	syscall.Syscall(syscall.SYS_IOCTL, uintptr(c.descriptor), 0x541b, uintptr(unsafe.Pointer(&pending)))
	expect("bytes left", pending, int32(0))
}

func main() {
	switch os.Args[1] {
	case "blocking":
		configure(open(0), 80)
	case "polled":
		configure(open(syscall.SOCK_NONBLOCK), 81)
	case "routines":
		routines()
	case "descriptors":
		descriptors()
	case "files":
		files()
	case "interrupted":
		interrupted()
	}
}
