/* Rings, counters, configuration, and what every hook needs. Structs of the kernel are read only at offsets that
 * user space resolved from BTF (-DOFF_...): the headers this is compiled against may be another kernel's. */

#define READ(dst, ptr) bpf_probe_read_kernel(&(dst), sizeof(dst), (void *)(ptr))

BPF_RINGBUF_OUTPUT(ring_proc, PAGES_PROC);
BPF_RINGBUF_OUTPUT(ring_exec0, PAGES_EXEC0);
BPF_RINGBUF_OUTPUT(ring_exec1, PAGES_EXEC1);
BPF_RINGBUF_OUTPUT(ring_exec2, PAGES_EXEC2);
BPF_RINGBUF_OUTPUT(ring_file0, PAGES_FILE0);
BPF_RINGBUF_OUTPUT(ring_file1, PAGES_FILE1);
BPF_RINGBUF_OUTPUT(ring_net, PAGES_NET);
BPF_RINGBUF_OUTPUT(ring_act, PAGES_ACT);

struct counts { u64 seen, filtered, seq, lost; };
BPF_PERCPU_ARRAY(counters, struct counts, SOURCES);

struct settings {
    u64 actions;         /* bit per action code; fork, exec and end are not asked */
    u64 scope_id;        /* cgroup v2 id, 0 for the whole machine */
    u32 scope_level;
    u32 own_tgid;        /* the recorder */
    u32 flags;
    u32 filters;         /* kinds of filters there are, and, further up, which keep what fits no value */
};
#define WITH_ENV 1
BPF_ARRAY(config, struct settings, 1);

static __always_inline struct settings *settings(void) {
    int zero = 0;
    return config.lookup(&zero);
}

/* Events outside the scope are neither seen nor filtered: they are not counted at all. */
static __always_inline int in_scope(struct settings *set) {
    return !set->scope_id || bpf_get_current_ancestor_cgroup_id(set->scope_level) == set->scope_id;
}

static __always_inline struct counts *counts_of(int source) {
    return counters.lookup(&source);
}

static __always_inline u64 next_seq(struct counts *c) {
    c->seen++;
    return ++c->seq;
}

/* Each read of kernel memory costs some 8 ns whatever its size: members that lie near each other are read at once. */
#define AT(type, chunk, offset) (*(type *)((chunk) + (offset)))
#define PID_TO_LEADER (OFF_LEADER - OFF_PID + 8)

static __always_inline void read_ids(u64 task, u32 *tid, u32 *tgid, u64 *leader) {
#if OFF_TGID == OFF_PID + 4 && PID_TO_LEADER > 8 && PID_TO_LEADER <= 128 && PID_TO_LEADER % 8 == 0
    char near[PID_TO_LEADER] __attribute__((aligned(8)));
    READ(near, task + OFF_PID);
    *tid = AT(u32, near, 0);
    *tgid = AT(u32, near, 4);
    *leader = AT(u64, near, PID_TO_LEADER - 8);
#else
    READ(*tid, task + OFF_PID);
    READ(*tgid, task + OFF_TGID);
    READ(*leader, task + OFF_LEADER);
#endif
}

static __always_inline void read_cred(u64 task, u64 *cred, char comm[16]) {
#if OFF_COMM == OFF_CRED + 16
    struct { u64 cred, between; char comm[16]; } near;
    READ(near, task + OFF_CRED);
    *cred = near.cred;
    __builtin_memcpy(comm, near.comm, 16);
#else
    READ(*cred, task + OFF_CRED);
    bpf_probe_read_kernel(comm, 16, (void *)(task + OFF_COMM));
#endif
}

/* uid, gid, suid, sgid, euid, egid follow each other; the capability sets lie close behind. */
#define CRED_SPAN ((OFF_CAP_EFFECTIVE > OFF_CAP_PERMITTED ? OFF_CAP_EFFECTIVE : OFF_CAP_PERMITTED) + 8 - OFF_UID)

static __always_inline void read_ids_of(struct who *w, u64 cred) {
#if CRED_SPAN <= 128 && CRED_SPAN >= 40 && CRED_SPAN % 8 == 0 && (OFF_CAP_PERMITTED - OFF_CAP_EFFECTIVE) % 8 == 0
    char near[CRED_SPAN] __attribute__((aligned(8)));
    u32 *ids = (u32 *)near;
    READ(near, cred + OFF_UID);
    w->permitted = AT(u64, near, OFF_CAP_PERMITTED - OFF_UID);
    w->effective = AT(u64, near, OFF_CAP_EFFECTIVE - OFF_UID);
#else
    u32 ids[6] = {};
    READ(ids, cred + OFF_UID);
    READ(w->permitted, cred + OFF_CAP_PERMITTED);
    READ(w->effective, cred + OFF_CAP_EFFECTIVE);
#endif
    w->ruid = ids[0];
    w->rgid = ids[1];
    w->suid = ids[2];
    w->sgid = ids[3];
    w->euid = ids[4];
    w->egid = ids[5];
}

static __always_inline void fill_who(struct who *w, u64 task) {
    u64 leader = 0, cred = 0;
    u32 tid = 0, tgid = 0;
    read_ids(task, &tid, &tgid, &leader);
    w->tid = tid;
    w->tgid = tgid;
    READ(w->start, leader + OFF_START);
    READ(w->exec_seq, task + OFF_EXEC_ID);
    read_cred(task, &cred, w->comm);
    read_ids_of(w, cred);
    w->unwanted = 0;
}

static __always_inline void fill_place(struct head *h, int source, u32 action, u64 ts, u64 seq) {
    h->ts = ts;
    h->seq = seq;
    h->version = RECORD_VERSION;
    h->source = source;
    h->action = action;
    h->cpu = bpf_get_smp_processor_id();
    h->flags = 0;
    h->unused = 0;
}

static __always_inline void read_identity(u64 task, u64 *start, u32 *tgid, u32 *exec_seq) {
    u64 leader = 0;
    READ(leader, task + OFF_LEADER);
    READ(*start, leader + OFF_START);
    READ(*tgid, task + OFF_TGID);
    READ(*exec_seq, task + OFF_EXEC_ID);
}

/* Arguments of a call by what they are. */
struct call_args { u64 path[2], text, type, numbers[2]; s32 dirfd[2], fd; u32 present; };

/* What a record about a file says, besides its text. */
struct file_parts {
    u64 task, ts, seq, text_len, inode, numbers[2];
    u32 action, flags, dev, open_flags, present;
    s32 ret;
    u16 lens[4];
};

/* Paths: built backwards into `path`, then packed one after the other into `pack`. One scratch per program. */
#define PATH_END 4095
struct scratch {
    u64 pos;
    u32 truncated, unused;
    u64 mnt, dentry, name, inode;    /* of an open: where to walk from, the name that led nowhere, what was emptied */
    struct file_parts parts;
    struct call_args args;
    char path[4352];     /* a component may end past PATH_END */
    char pack[20480];    /* four strings, with room for the verifier */
};
BPF_PERCPU_ARRAY(exec_scratch, struct scratch, 1);
BPF_PERCPU_ARRAY(enter_scratch, struct scratch, 1);
BPF_PERCPU_ARRAY(exit_scratch, struct scratch, 1);

struct link { u64 parent; u32 hash, len; u64 name; };

static __always_inline void read_link(struct link *l, u64 dentry) {
#if OFF_D_LEN == OFF_D_PARENT + 12 && OFF_D_NAME == OFF_D_PARENT + 16
    READ(*l, dentry + OFF_D_PARENT);
#else
    READ(l->parent, dentry + OFF_D_PARENT);
    READ(l->len, dentry + OFF_D_LEN);
    READ(l->name, dentry + OFF_D_NAME);
#endif
}

/* Walk from a dentry up through its mounts; returns the length of what stands at &s->path[PATH_END - length].
 * The position lives in the map: in a register the verifier would follow every value of it. */
static __always_inline u32 walk_from(struct scratch *s, u64 mnt, u64 dentry) {
    volatile u64 *at = &s->pos;
    u64 mount, root = 0, pos;
    s->truncated = 0;
    *at = PATH_END;
    if (!mnt || !dentry)
        return 0;
    mount = mnt - OFF_MNT;
    READ(root, mnt + OFF_MNT_ROOT);
    for (int i = 0; i < WALK_DEPTH; i++) {
        struct link l = {};
        if (dentry == root) {
            u64 up = 0;
            READ(up, mount + OFF_MNT_PARENT);
            if (up == mount || !up)
                goto done;
            READ(dentry, mount + OFF_MNT_POINT);
            mount = up;
            READ(root, mount + OFF_MNT + OFF_MNT_ROOT);
            continue;
        }
        read_link(&l, dentry);
        if (l.parent == dentry || !l.parent)
            goto done;
        l.len &= 255;
        pos = *at;
        if (pos < l.len + 1)
            break;
        pos -= l.len + 1;
        *at = pos;
        s->path[pos & 4095] = '/';
        bpf_probe_read_kernel(&s->path[(pos + 1) & 4095], l.len & 255, (void *)l.name);
        dentry = l.parent;
    }
    s->truncated = 1;
done:
    pos = *at;
    if (pos == PATH_END) {           /* a root, whose name is /, or what hangs nowhere, as /memfd:name */
        struct link l = {};
        read_link(&l, dentry);
        l.len &= 255;
        if (l.len < 2)
            l.len = 0;
        pos = PATH_END - 1 - l.len;
        *at = pos;
        s->path[pos & 4095] = '/';
        bpf_probe_read_kernel(&s->path[(pos + 1) & 4095], l.len & 255, (void *)l.name);
    }
    return PATH_END - pos;
}

static __always_inline u32 walk(struct scratch *s, u64 path) {
    u64 ends[2] = {};    /* struct path: mnt, dentry */
    READ(ends, path);
    return walk_from(s, ends[0], ends[1]);
}

/* Append the last walk to `pack` at `at`, which is at most 8191. */
static __always_inline void pack_walk(struct scratch *s, u64 at, u64 len) {
    u64 pos = PATH_END - len;
    asm volatile("%0 &= 4095" : "+r"(len));
    asm volatile("%0 &= 4095" : "+r"(pos));
    asm volatile("%0 &= 16383" : "+r"(at));
    bpf_probe_read_kernel(&s->pack[at], len, &s->path[pos]);
}

static __always_inline u64 file_of(u64 task, u32 fd) {
    u64 files = 0, table = 0, fds = 0, file = 0;
    u32 max = 0;
    READ(files, task + OFF_FILES);
    READ(table, files + OFF_FDT);
#if OFF_MAX_FDS == 0 && OFF_FDS == 8
    u64 near[2];
    READ(near, table);
    max = near[0];
    fds = near[1];
#else
    READ(max, table + OFF_MAX_FDS);
    READ(fds, table + OFF_FDS);
#endif
    if (fd < max)
        READ(file, fds + 8 * (u64)fd);
    return file;
}

/* The struct sock of a file, 0 if it is no socket. */
static __always_inline u64 socket_of_file(u64 file) {
    u64 inode = 0, socket = 0, sk = 0;
    u16 mode = 0;
    if (!file)
        return 0;
    READ(inode, file + OFF_F_INODE);
    READ(mode, inode + OFF_I_MODE);
    if ((mode & 0xf000) != 0xc000)
        return 0;
    READ(socket, file + OFF_PRIVATE_DATA);
    READ(sk, socket + OFF_SOCKET_SK);
    return sk;
}

/* The device of the controlling terminal, as in an inode. */
static __always_inline u32 tty_of(u64 signal) {
#ifdef OFF_TTY
    u64 tty = 0, driver = 0;
    s32 major = 0, minor = 0, index = 0;
    READ(tty, signal + OFF_TTY);
    if (!tty)
        return 0;
    READ(driver, tty + OFF_TTY_DRIVER);
    READ(index, tty + OFF_TTY_INDEX);
    READ(major, driver + OFF_TTY_MAJOR);
    READ(minor, driver + OFF_TTY_MINOR);
    return (u32)major << 20 | ((minor + index) & 0xfffff);
#else
    return 0;
#endif
}

static __always_inline u32 number_of(u64 pid) {
    u32 nr = 0;
#ifdef OFF_SIGNAL_PIDS
    if (pid)
        READ(nr, pid + OFF_PID_NUMBERS);
#endif
    return nr;
}

#ifdef OFF_SIGNAL_PIDS
/* The number of a pid in the namespace so many levels below the initial one. */
static __always_inline u32 number_at(u64 pid, u32 level) {
    return number_of(pid + (level & 31) * (OFF_UPID_NS + 8));
}
#endif

/* What the first three descriptors are. */
static __always_inline void read_stdio(struct standing *s, u64 task) {
#pragma unroll
    for (int fd = 0; fd < 3; fd++) {
        u64 file = file_of(task, fd), inode = 0;
        u16 mode = 0;
        u32 device = 0;
        if (file) {
            READ(inode, file + OFF_F_INODE);
            READ(mode, inode + OFF_I_MODE);
            READ(device, inode + OFF_I_RDEV);
        }
        s->modes[fd] = file ? (mode & 0xf000) | 1 : 0;
        s->devices[fd] = device;
    }
}

static __always_inline u32 namespace_of(u64 holder, u64 offset, u64 inum) {
    u64 ns = 0;
    u32 number = 0;
    READ(ns, holder + offset);
    if (ns)
        READ(number, ns + inum);
    return number;
}

static __always_inline void read_namespaces(u32 to[NAMESPACES], u64 task) {
    __builtin_memset(to, 0, 4 * NAMESPACES);
#ifdef OFF_NS_UTS
    u64 nsproxy = 0, cred = 0;
    READ(nsproxy, task + OFF_NSPROXY);
    READ(cred, task + OFF_CRED);
    to[NS_USER] = namespace_of(cred, OFF_CRED_USER_NS, OFF_INUM_USER);
    if (nsproxy) {
        to[NS_MNT] = namespace_of(nsproxy, OFF_NS_MNT, OFF_INUM_MNT);
        to[NS_NET] = namespace_of(nsproxy, OFF_NS_NET, OFF_INUM_NET);
        to[NS_UTS] = namespace_of(nsproxy, OFF_NS_UTS, OFF_INUM_UTS);
        to[NS_IPC] = namespace_of(nsproxy, OFF_NS_IPC, OFF_INUM_IPC);
        to[NS_CGROUP] = namespace_of(nsproxy, OFF_NS_CGROUP, OFF_INUM_CGROUP);
        to[NS_TIME] = namespace_of(nsproxy, OFF_NS_TIME, OFF_INUM_TIME);
    }
#ifdef OFF_SIGNAL_PIDS
    u64 pid = 0;
    u32 level = 0;
    READ(pid, task + OFF_THREAD_PID);
    if (pid) {
        READ(level, pid + OFF_PID_LEVEL);
        to[NS_PID] = namespace_of(pid + OFF_PID_NUMBERS + OFF_UPID_NS + (level & 31) * (OFF_UPID_NS + 8), 0, OFF_INUM_PID);
    }
#endif
#endif
}

static __always_inline void read_cgroups(struct standing *s, u64 task) {
    s->cgroup = 0;
    s->cgroup1 = 0;
#ifdef OFF_CG_KN
    u64 set = 0, cgroup = 0, css = 0, other = 0, root = 0, other_root = 0, node = 0;
    READ(set, task + OFF_CGROUPS);
    READ(cgroup, set + OFF_CSS_DFL);
    READ(node, cgroup + OFF_CG_KN);
    READ(s->cgroup, node + OFF_KN_ID);
    READ(css, set + OFF_CSS_SUBSYS + 8 * PIDS_SUBSYS);
    if (!css)
        return;
    READ(other, css + OFF_CSS_CGROUP);
    READ(root, cgroup + OFF_CG_ROOT);
    READ(other_root, other + OFF_CG_ROOT);
    if (root == other_root)
        return;
    READ(node, other + OFF_CG_KN);
    READ(s->cgroup1, node + OFF_KN_ID);
#endif
}

static __always_inline void fill_standing(struct standing *s, u64 task) {
    u64 parent = 0, signal = 0;
    u32 level = 0;
    READ(parent, task + OFF_REAL_PARENT);
    read_identity(parent, &s->real_start, &s->real_tgid, &s->real_exec_seq);
    READ(signal, task + OFF_SIGNAL);
    s->pgid = 0;
    s->sid = 0;
    s->vpid = 0;
#ifdef OFF_SIGNAL_PIDS
    u64 pids[4] = {};    /* PIDTYPE_PID, TGID, PGID, SID */
    READ(pids, signal + OFF_SIGNAL_PIDS);
    s->pgid = number_of(pids[2]);
    s->sid = number_of(pids[3]);
    if (pids[1]) {
        READ(level, pids[1] + OFF_PID_LEVEL);
        s->vpid = number_at(pids[1], level);
    }
#endif
    read_namespaces(s->namespaces, task);
    read_cgroups(s, task);
    s->login_uid = -1;
    s->audit_session = -1;
#ifdef OFF_LOGINUID
    READ(s->login_uid, task + OFF_LOGINUID);
    READ(s->audit_session, task + OFF_SESSIONID);
#endif
    s->tty = tty_of(signal);
    read_stdio(s, task);
    s->unused = 0;
    s->unused2 = 0;
}
