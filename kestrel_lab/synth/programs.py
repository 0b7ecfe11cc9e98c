"""The programs of the synthetic machine, how they are called, and its users."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """A program: the kernel's name of it, its file (empty for a thread of the kernel), the argument lists it is called
    with, and whether a name of a file is added to them."""

    name: str
    executable: str
    calls: tuple[tuple[str, ...], ...]
    open_ended: bool = False


def _bin(name: str, *calls: str, called: str = "", path: str = "") -> Program:
    words = tuple((called or name, *call.split()) for call in calls or ("",))
    return Program(name, path or f"/usr/bin/{name}", words, open_ended=True)


def _service(name: str, *args: str, path: str = "") -> Program:
    executable = path or f"/usr/sbin/{name}"
    return Program(name, executable, ((executable, *args),))


def _thread(name: str) -> Program:
    return Program(name, "", ((),))


#: what runs from before the first event until after the last: program, parent by place (-1: none), user, what it is
#: for: `web` and `accepts` take connections, `net` makes them, `shell` is a person's, others begin jobs of that name
STANDING: tuple[tuple[Program, int, int, str], ...] = (
    (_service("systemd", path="/usr/lib/systemd/systemd"), -1, 0, "init"),
    (_thread("kthreadd"), -1, 0, "kernel"),
    *((_thread(f"kworker/{i}:1"), 1, 0, "kernel") for i in range(4)),
    (_service("systemd-journald", path="/usr/lib/systemd/systemd-journald"), 0, 0, "daemon"),
    (_service("systemd-udevd", path="/usr/lib/systemd/systemd-udevd"), 0, 0, "daemon"),
    (_service("dbus-daemon", "--system", "--nofork", path="/usr/bin/dbus-daemon"), 0, 2, "daemon"),
    (_service("cron", "-f"), 0, 0, "cron"),
    (_service("sshd", "-D"), 0, 0, "sshd"),
    (_service("chronyd", "-F", "1"), 0, 2, "net"),
    (_service("nginx", "-g", "daemon on; master_process on;"), 0, 0, "daemon"),
    *((_service("nginx", "-g", "daemon on; master_process on;"), 12, 1, "web") for _ in range(4)),
    (_service("postgres", "-D", "/var/lib/postgresql/15/main", path="/usr/lib/postgresql/15/bin/postgres"),
     0, 3, "app"),
    (_service("redis-server", "127.0.0.1:6379", path="/usr/bin/redis-server"), 0, 4, "accepts"),
    (_service("haproxy", "-Ws", "-f", "/etc/haproxy/haproxy.cfg"), 0, 1, "net"),
    (_service("node", "/srv/shop/server.js", path="/usr/bin/node"), 0, 5, "net"),
    (_service("java", "-Xmx2g", "-jar", "/srv/search/search.jar", path="/usr/lib/jvm/java-17/bin/java"), 0, 5, "net"),
    (_service("prometheus", "--config.file=/etc/prometheus/prometheus.yml", path="/usr/bin/prometheus"), 0, 6, "net"),
    (_service("containerd-shim-runc-v2", "-namespace", "moby", path="/usr/bin/containerd-shim-runc-v2"),
     0, 0, "daemon"),
    (_service("python3.11", "-m", "gunicorn", "shop.wsgi", path="/usr/bin/python3.11"), 23, 5, "container"),
    *((Program("bash", "/usr/bin/bash", (("-bash",),)), 10, 7 + i, "shell") for i in range(6)),
)  # fmt: skip

#: what shells, scripts and timers run, the most frequent first
COMMANDS: tuple[Program, ...] = (
    _bin("sed", "-n 1p", "-e s/a/b/", "-i s/old/new/"), _bin("grep", "-q ok", "-r TODO", "-c error"),
    _bin("cat"), _bin("rm", "-f", "-rf"), _bin("sort", "", "-u", "-n"), _bin("cp", "", "-a"), _bin("mv", "", "-f"),
    _bin("chmod", "644", "755", "600"), _bin("mkdir", "-p"), _bin("ls", "", "-l", "-la"), _bin("date", "+%s", "-u"),
    _bin("mawk", "{print}", called="awk"), _bin("head", "-n 1"), _bin("tail", "-n 100"), _bin("wc", "-l"),
    _bin("uniq", "", "-c"), _bin("gzip", "-f", "-dc"), _bin("find", ". -name"), _bin("cut", "-d: -f1"),
    _bin("tr", "a-z A-Z"), _bin("stat", "-c %s"), _bin("xargs", "-0 rm"), _bin("tee"), _bin("basename"),
    _bin("dirname"), _bin("readlink", "-f"), _bin("sleep", "1", "5"), _bin("diff", "-u"), _bin("expr", "1 +"),
    _bin("ln", "-s"), _bin("install", "-m 755"), _bin("logger", "-t app"), _bin("sha256sum"), _bin("du", "-s"),
    _bin("systemctl", "status", "is-active"), _bin("journalctl", "-u"), _bin("perl", "-ne print"),
    _bin("python3.11", "manage.py", "-m json.tool", called="python3"), _bin("jq", "-r .name"), _bin("test", "-f"),
    *(_bin(f"tool-{i:03}", "", "--check", path=f"/opt/tools/bin/tool-{i:03}") for i in range(150)),
)  # fmt: skip
#: what runs and opens connections
NET_COMMANDS: tuple[Program, ...] = (
    _bin("curl", "-s -o /dev/null", "-fsS"), _bin("git", "fetch", "pull --ff-only"),
    _bin("python3.11", "fetch.py", "sync.py", called="python3"), _bin("apt-get", "-q update"), _bin("wget", "-q"),
    _bin("psql", "-c", path="/usr/lib/postgresql/15/bin/psql"), _bin("node", "worker.js"), _bin("rsync", "-a"),
)  # fmt: skip
SHELL = _bin("dash", "-c", "-e", called="sh")
BASH = Program("bash", "/usr/bin/bash", (("-bash",), ("bash",)))
SSHD = Program("sshd-session", "/usr/lib/openssh/sshd-session", (("sshd-session: [accepted]",),))
MAKE, GCC = _bin("make", "-j4", "all", "-C"), _bin("x86_64-linux-gnu-gcc-12", "-O2 -c", "-O1 -c -o", called="gcc")
CC1 = _bin("cc1", "-quiet", "-quiet -O2", path="/usr/lib/gcc/x86_64-linux-gnu/12/cc1")
AS = _bin("x86_64-linux-gnu-as", "--64 -o", called="as")
COLLECT2 = _bin("collect2", "-plugin", path="/usr/lib/gcc/x86_64-linux-gnu/12/collect2")
LD = _bin("x86_64-linux-gnu-ld.bfd", "-pie -o", called="/usr/bin/ld")

#: user id, group id, user name, group name
USERS: tuple[tuple[str, str, str, str], ...] = (
    ("0", "0", "root", "root"), ("33", "33", "www-data", "www-data"), ("100", "101", "messagebus", "messagebus"),
    ("101", "102", "postgres", "postgres"), ("102", "103", "redis", "redis"), ("999", "999", "app", "app"),
    ("103", "104", "prometheus", "prometheus"),
    *((str(1000 + i), str(1000 + i), f"user{i:02}", f"user{i:02}") for i in range(12)),
)  # fmt: skip
FIRST_PERSON, PERSONS = 7, 12
