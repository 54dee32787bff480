"""Runs one container of the process runtime and outlives the agent that started it.

Started by file path with a bare interpreter, so it imports the standard library only, and little
of it. Given a directory with `spec.json` it makes the container's view of the machine, runs its
command, writes its output to `log` (a line each: time, stream, F or P, text), and finally writes
`exit.json`.
Its own standard output says `ok`, or why the container cannot be started.

Modes: `root` (all namespaces), `user` (an unprivileged user namespace; the machine's network),
`plain` (no namespaces at all).
"""

import ctypes
import json
import os
import select
import signal
import sys
import time

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
LOG_BYTES_MAX = 10 << 20
"""A log is moved to `log.1` at this size; one old file is kept."""
LINE_BYTES_MAX = 16 << 10
"""A longer line is written in parts, all but the last marked P."""
INHERITED_MAX = 4096
"""What the agent's event loop leaves open in us is below this; it must not stay open."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
PSEUDO = frozenset(
    [
        "proc",
        "sysfs",
        "devtmpfs",
        "devpts",
        "cgroup",
        "cgroup2",
        "mqueue",
        "securityfs",
        "debugfs",
        "tracefs",
        "pstore",
        "bpf",
        "nsfs",
        "configfs",
        "fusectl",
        "hugetlbfs",
        "rpc_pipefs",
        "binfmt_misc",
        "autofs",
        "efivarfs",
        "tmpfs",
        "overlay",
    ]
)
"""Kinds of mounts that a container does not get from the machine."""

libc = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """The container cannot be started; the text says why."""


def call(name, *arguments):
    """Call the C library; raise OSError when it fails."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source, target, kind, flags=0, data=""):
    """Mount, with the arguments of the system call."""
    try:
        call(
            "mount",
            source.encode() if source else None,
            target.encode(),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() or None,
        )
    except OSError as error:
        raise StartError(f"mounting {kind or source} on {target}: {error}") from error


def now():
    """Return the time as RFC 3339 with nanoseconds."""
    nanoseconds = time.time_ns()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 10**9))
    return f"{stamp}.{nanoseconds % 10**9:09d}Z"


def write_json(path, value):
    """Put a file in place whole or not at all."""
    with open(path + ".partial", "w") as file:
        json.dump(value, file)
    os.rename(path + ".partial", path)


# --- the container's side, after fork ---------------------------------------------------------


def enter_user_namespace():
    """Become root of a namespace in which only we exist."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"0 {uid} 1"),
        ("gid_map", f"0 {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def machine_mounts(hidden):
    """Return the machine's own mounts of real file systems, parents first."""
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            target = left.split()[4].encode().decode("unicode_escape")
            if target != "/" and right.split()[0] not in PSEUDO:
                found.append(target)
    return [
        each for each in sorted(found) if not any((each + "/").startswith(h + "/") for h in hidden)
    ]


def make_point(target, source):
    """Make the file or directory on which `source` will be mounted."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            with open(target, "w"):
                pass


def bind(source, target, read_only):
    """Show `source` at `target`."""
    make_point(target, source)
    mount(source, target, None, MS_BIND | MS_REC)
    if read_only:
        mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def make_root(spec):
    """Make a root that shows the machine's files, keeps what is written to itself, and enter it."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    base = spec["scratch"]
    mount("tmpfs", base, "tmpfs", MS_NOSUID, f"mode=755,size={spec['scratch_bytes']}")
    for name in ("upper", "work", "root"):
        os.mkdir(f"{base}/{name}", 0o755)
    root = f"{base}/root"
    layers = f"lowerdir=/,upperdir={base}/upper,workdir={base}/work"
    mount("overlay", root, "overlay", 0, layers + (",userxattr" if spec["mode"] == "user" else ""))
    for target in machine_mounts(spec["hidden"]):
        bind(target, root + target, True)
    for target in spec["hidden"]:
        os.makedirs(root + target, exist_ok=True)
        mount("tmpfs", root + target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")
    make_devices(root)
    mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("/sys", root + "/sys", None, MS_BIND | MS_REC)
    for path, text in spec["files"].items():
        replace_file(root + path, text)
    for each in spec["mounts"]:
        bind(each["source"], root + each["target"], each["read_only"])
    old = root + "/.old"
    os.makedirs(old, exist_ok=True)
    number = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)
    if number is None:
        raise StartError(f"the process runtime does not know machine {os.uname().machine}")
    if libc.syscall(number, root.encode(), old.encode()) != 0:
        raise StartError(f"pivot_root: {os.strerror(ctypes.get_errno())}")
    os.chdir("/")
    call("umount2", b"/.old", MNT_DETACH)
    os.rmdir("/.old")


def replace_file(path, text):
    """Write a file in the container's root, whatever link was there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(path):
        os.unlink(path)
    with open(path, "w") as file:
        file.write(text)


def make_devices(root):
    """Give the container the devices that every program may expect."""
    dev = root + "/dev"
    mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for name in DEVICES:
        bind(f"/dev/{name}", f"{dev}/{name}", False)
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ):
        os.symlink(target, f"{dev}/{name}")
    os.mkdir(dev + "/pts")
    mount("devpts", dev + "/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666")
    os.mkdir(dev + "/shm", 0o1777)
    mount("tmpfs", dev + "/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")


def become(spec):
    """Take the container's user, directory and environment, then its program."""
    gid, uid = spec.get("gid"), spec.get("uid")
    if gid is not None:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
    directory = spec["working_dir"] or "/"
    if spec["mode"] != "plain":
        os.makedirs(directory, exist_ok=True)
    os.chdir(directory)
    if uid is not None:
        os.setresuid(uid, uid, uid)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    argv = spec["argv"]
    try:
        os.execvpe(argv[0], argv, spec["env"])
    except OSError as error:
        raise StartError(f'exec: "{argv[0]}": {error.strerror}') from error


def container(spec, failure):
    """Be the container: never returns."""
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        if spec["mode"] != "plain":
            if spec.get("netns"):
                with open(spec["netns"]) as file:
                    call("setns", file.fileno(), CLONE_NEWNET)
            call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)
            hostname = spec["hostname"].encode()
            call("sethostname", hostname, len(hostname))
            make_root(spec)
        become(spec)
    except (StartError, OSError) as error:
        os.write(failure, str(error).encode())
    os._exit(127)


# --- the shim's side ---------------------------------------------------------------------------


class Log:
    """The container's output, a line each, as the container runtime interface has it."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "ab", buffering=0)  # noqa: SIM115 (open as long as we live)
        self.partial = {"stdout": b"", "stderr": b""}

    def feed(self, stream, data):
        """Write whole lines, keep what is begun."""
        *lines, rest = (self.partial[stream] + data).split(b"\n")
        out = [b"%s %s F %s\n" % (now().encode(), stream.encode(), line) for line in lines]
        while len(rest) >= LINE_BYTES_MAX:
            part, rest = rest[:LINE_BYTES_MAX], rest[LINE_BYTES_MAX:]
            out.append(b"%s %s P %s\n" % (now().encode(), stream.encode(), part))
        self.partial[stream] = rest
        if out:
            self.file.write(b"".join(out))
        if self.file.tell() > LOG_BYTES_MAX:
            self.file.close()
            os.rename(self.path, self.path + ".1")
            self.file = open(self.path, "ab", buffering=0)  # noqa: SIM115

    def end(self, stream):
        """Write what was begun and never ended."""
        if self.partial[stream]:
            self.feed(stream, b"\n")


def pump(streams, log):
    """Copy output to the log until every writer is gone."""
    poll = select.poll()
    for descriptor in streams:
        poll.register(descriptor, select.POLLIN)
    while streams:
        for descriptor, _ in poll.poll():
            data = os.read(descriptor, 65536)
            if data:
                log.feed(streams[descriptor], data)
            else:
                poll.unregister(descriptor)
                log.end(streams.pop(descriptor))
                os.close(descriptor)


def start_time(pid):
    """Return the kernel's start time of a process, in ticks since boot."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[19]


def run(directory):
    """Run the container of `directory` to its end; return the shim's exit code."""
    with open(f"{directory}/spec.json") as file:
        spec = json.load(file)
    if spec["mode"] == "user":
        enter_user_namespace()
    if spec["mode"] != "plain":
        call("unshare", CLONE_NEWPID)
    out, err, failure = os.pipe(), os.pipe(), os.pipe()
    started = now()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(out[1], 1)
        os.dup2(err[1], 2)
        container(spec, failure[1])
    for pipe in (out, err, failure):
        os.close(pipe[1])
    why = b""
    while chunk := os.read(failure[0], 4096):
        why += chunk
    if why:
        os.waitpid(pid, 0)
        os.write(1, why)
        return 1
    write_json(
        f"{directory}/state.json",
        {
            "pid": pid,
            "shim": os.getpid(),
            "shim_started": start_time(os.getpid()),
            "started_at": started,
        },
    )
    os.write(1, b"ok")
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    log = Log(f"{directory}/log")
    pump({out[0]: "stdout", err[0]: "stderr"}, log)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    write_json(
        f"{directory}/exit.json",
        {"code": code if code >= 0 else 128 - code, "signal": max(0, -code), "finished_at": now()},
    )
    return 0


def enter(pid, arguments):
    """Run a command inside a container that runs: `enter PID CWD TTY COMMAND...`."""
    directory, tty, *argv = arguments
    spaces = ("user", "ipc", "uts", "net", "pid", "mnt")
    with open(f"/proc/{pid}/environ", "rb") as file:
        pairs = [each.partition(b"=") for each in file.read().split(b"\0") if each]
    env = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    opened = []
    for name in spaces:
        ours, theirs = os.stat(f"/proc/self/ns/{name}"), os.stat(f"/proc/{pid}/ns/{name}")
        if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino):
            opened.append(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY))
    for descriptor in opened:
        call("setns", descriptor, 0)
        os.close(descriptor)
    child = os.fork()
    if child == 0:
        if tty == "tty":
            os.setsid()
            import fcntl
            import termios

            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            env.setdefault("TERM", "xterm")
        os.chdir(directory)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execvpe(argv[0], argv, env)
        except OSError as error:
            os.write(2, f'exec: "{argv[0]}": {error.strerror}\n'.encode())
            os._exit(126 if isinstance(error, PermissionError) else 127)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main():
    """Dispatch: `run DIRECTORY` or `enter PID CWD TTY COMMAND...`."""
    verb, first, *rest = sys.argv[1:]
    os.closerange(3, INHERITED_MAX)
    try:
        return run(first) if verb == "run" else enter(int(first), rest)
    except (StartError, OSError) as error:
        os.write(1 if verb == "run" else 2, str(error).encode())
        return 1


if __name__ == "__main__":
    sys.exit(main())
