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

struct counts { u64 seen, filtered, seq, lost; };
BPF_PERCPU_ARRAY(counters, struct counts, SOURCES);

struct settings {
    u64 actions;         /* bit per action code; fork, exec and end are not asked */
    u64 scope_id;        /* cgroup v2 id, 0 for the whole machine */
    u32 scope_level;
    u32 own_tgid;        /* the recorder */
};
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

/* A source belongs to one program, and a program never nests in itself on a CPU (the kernel counts that as a
 * recursion miss), so plain increments are exact. */
static __always_inline int filtered_out(struct settings *set, u32 action, int source) {
    struct counts *c;
    if (set->actions >> action & 1)
        return 0;
    c = counts_of(source);
    if (c) {
        c->seen++;
        c->filtered++;
    }
    return 1;
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

static __always_inline void fill_who(struct who *w, u64 task) {
    u64 leader = 0, cred = 0;
    u32 tid = 0, tgid = 0, ids[6] = {};      /* uid, gid, suid, sgid, euid, egid */
    read_ids(task, &tid, &tgid, &leader);
    w->tid = tid;
    w->tgid = tgid;
    READ(w->start, leader + OFF_START);
    READ(w->exec_seq, task + OFF_EXEC_ID);
    read_cred(task, &cred, w->comm);
    READ(ids, cred + OFF_UID);
    w->ruid = ids[0];
    w->rgid = ids[1];
    w->euid = ids[4];
    w->egid = ids[5];
    w->unused = 0;
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

/* Paths: built backwards into `path`, then packed one after the other into `pack`. One scratch per program. */
#define PATH_END 4095
struct scratch {
    u64 pos;
    u32 truncated, unused;
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
    if (pos == PATH_END) {
        pos = PATH_END - 1;
        *at = pos;
        s->path[PATH_END - 1] = '/';
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
