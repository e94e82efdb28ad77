# Listens at a socket for the listener of a filter, prints what it is told of the container, and decides about one call: it
# fails with ENOTUNIQ (76). Source: seccomp_unotify(2).
import array, ctypes, fcntl, json, os, socket, struct, sys

server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
server.listen(1)
print("ready", flush=True)
connection, _ = server.accept()
text, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_LEN(4))
listener = array.array("i", ancillary[0][2])[0]
state = json.loads(text)
print(state["fds"], state["pid"] > 1, state["metadata"], state["state"]["id"], state["state"]["bundle"].endswith(state["state"]["id"]))
notification = bytearray(80)
fcntl.ioctl(listener, 0xc0502100, notification)
number = struct.unpack_from("i", notification, 16)[0]
print("call", number, flush=True)
fcntl.ioctl(listener, 0xc0182101, notification[:8] + struct.pack("qiI", 0, -76, 0))
