/* What is done to files by name and by descriptor. */

#define AT_FDCWD -100

static __always_inline u64 argument(u64 a[4], u8 which) {
    return which == 0 ? a[0] : which == 1 ? a[1] : which == 2 ? a[2] : which == 3 ? a[3] : 0;
}

/* The arguments of a call by what they are, into the map: the verifier would follow which of them there are. */
static __always_inline void call_args(struct scratch *s, struct named_call *n, u64 regs, u32 compat) {
    volatile struct call_args *c = &s->args;
    u64 a[4] = {};
    read_args(regs, compat, a);
    c->dirfd[0] = n->dirfd[0] == NO_ARGUMENT ? AT_FDCWD : argument(a, n->dirfd[0]);
    c->dirfd[1] = n->dirfd[1] == NO_ARGUMENT ? AT_FDCWD : argument(a, n->dirfd[1]);
    c->path[0] = argument(a, n->path[0]);
    c->path[1] = argument(a, n->path[1]);
    c->fd = n->fd == NO_ARGUMENT ? -1 : argument(a, n->fd);
    c->text = argument(a, n->text);
    c->type = argument(a, n->type);
    c->numbers[0] = argument(a, n->number[0]);
    c->numbers[1] = argument(a, n->number[1]);
    c->present = (n->number[0] == NO_ARGUMENT ? 0 : FILE_HAS_FIRST) | (n->number[1] == NO_ARGUMENT ? 0 : FILE_HAS_SECOND);
}

/* Address of the struct path a relative name starts from, and the dentry it names now. */
static __always_inline u64 base_path(u64 task, s32 dirfd) {
    u64 from = 0;
    if (dirfd == AT_FDCWD) {
        READ(from, task + OFF_FS);
        return from ? from + OFF_PWD : 0;
    }
    from = file_of(task, dirfd);
    return from ? from + OFF_F_PATH : 0;
}

static __always_inline u64 base_dentry(u64 path) {
    u64 dentry = 0;
    if (path)
        READ(dentry, path + 8);
    return dentry;
}

static __always_inline void read_entry(struct name_slot *slot, struct scratch *s, u64 task, u64 user, s32 dirfd,
                                       u64 which) {
    long len = bpf_probe_read_user_str(slot->name[which], 4096, (void *)user);
    u64 path = base_path(task, dirfd), n = 0, pos;
    slot->name_len[which] = len > 0 ? len - 1 : 0;
    slot->base[which] = base_dentry(path);
    slot->dir_len[which] = 0;
    if ((len > 0 && slot->name[which][0] == '/') || !path)
        return;
    n = walk(s, path);
    if (s->truncated)
        slot->flags |= FLAG_TRUNCATED_PATH;
    slot->dir_len[which] = n;
    pos = PATH_END - n;
    asm volatile("%0 &= 4095" : "+r"(n));
    asm volatile("%0 &= 4095" : "+r"(pos));
    bpf_probe_read_kernel(slot->dir[which], n, &s->path[pos]);
}

/* 1 where the name in scratch differs from the one in the slot. Lengths are equal; bytes past them are stale. */
static __always_inline int differs(struct scratch *s, struct name_slot *slot, int which, u32 len) {
    u64 *a = (u64 *)s->path, *b = (u64 *)slot->name[which];
    for (int i = 0; i < 512; i++) {
        u64 diff;
        if (i * 8 >= len)
            return 0;
        diff = a[i] ^ b[i];
        if (len - i * 8 < 8)
            diff <<= 8 * (8 - (len - i * 8));
        if (diff)
            return 1;
    }
    return 0;
}

/* Read name and base again and compare. An entry that could not be read (page not present) takes this reading. */
static __always_inline void read_again(struct name_slot *slot, struct scratch *s, u64 task, u64 user, s32 dirfd,
                                       int which) {
    long len = bpf_probe_read_user_str(s->path, 4096, (void *)user);
    u64 n;
    if (len <= 1)
        return;
    if (!slot->name_len[which]) {
        slot->name_len[which] = len - 1;
        n = len;
        asm volatile("%0 &= 4095" : "+r"(n));
        bpf_probe_read_kernel(slot->name[which], n, s->path);
        if (s->path[0] == '/')
            slot->dir_len[which] = 0;
    } else if (slot->name_len[which] != len - 1 || differs(s, slot, which, len - 1)) {
        slot->flags |= FLAG_RACED;
    }
    if (slot->dir_len[which] && base_dentry(base_path(task, dirfd)) != slot->base[which])
        slot->flags |= FLAG_RACED;
}

static __always_inline u64 pack_bytes(struct scratch *s, u64 at, u32 len, char *from) {
    u64 n = len, to = at;
    asm volatile("%0 &= 4095" : "+r"(n));
    asm volatile("%0 &= 16383" : "+r"(to));
    bpf_probe_read_kernel(&s->pack[to], n, from);
    return at + n;
}

static __always_inline void fill_file(struct file_head *f, int source, struct file_parts *p) {
    fill_place(&f->head, source, p->action, p->ts, p->seq);
    fill_who(&f->head.who, p->task);
    f->head.flags = p->flags;
    f->inode = p->inode;
    f->dev = p->dev;
    f->open_flags = p->open_flags;
    f->present = p->present;
    f->ret = p->ret;
    f->numbers[0] = p->numbers[0];
    f->numbers[1] = p->numbers[1];
    f->lens[0] = p->lens[0];
    f->lens[1] = p->lens[1];
    f->lens[2] = p->lens[2];
    f->lens[3] = p->lens[3];
}

#define REACHED (1ULL << ACT_CREATION | 1ULL << ACT_OPEN | 1ULL << ACT_OPEN_READ | 1ULL << ACT_MODIFICATION)

/* Whether a filter takes away what is done to the file at a path. Only of one that was reached and walked to its end:
 * a name as it was given may lead anywhere. */
static __always_inline int path_unwanted(struct file_parts *p, char *from) {
    struct settings *set = settings();
    int zero = 0;
    u64 n = p->text_len;
    struct path_key *key;
    if (!set || !(set->filters & BY_PATH) || !n || p->ret || p->lens[0] != n || p->flags & FLAG_TRUNCATED_PATH)
        return 0;
    if (!(p->present & FILE_HAS_INODE) || !(REACHED >> p->action & 1))
        return 0;
    key = path_keys.lookup(&zero);
    if (!key)
        return 0;
    n = n > 255 ? 255 : n;
    asm volatile("%0 &= 255" : "+r"(n));
    key->bits = n * 8;
    bpf_probe_read_kernel(key->text, n, from);
    return drops(filter_paths.lookup(key), set->filters, BY_PATH);
}

/* `from` is map memory with at least FILE_TEXT1 bytes after it; `small` the program's source of short texts, after
 * which that of long ones comes. */
static __always_inline int send_file(struct file_parts *p, char *from, int small) {
    int source = p->text_len <= FILE_TEXT0 ? small : small + 1;
    struct counts *c = counts_of(source);
    u64 n = p->text_len;
    if (!c)
        return 0;
    if (path_unwanted(p, from))
        return count_filtered(source);
    p->seq = next_seq(c);
    p->ts = bpf_ktime_get_boot_ns();
    asm volatile("%0 &= 16383" : "+r"(n));
    if (source == small) {
        struct file0_rec *r = ring_file0.ringbuf_reserve(sizeof(*r));
        if (!r) {
            c->lost++;
            return 0;
        }
        fill_file(&r->file, source, p);
        if (n <= FILE_TEXT0)
            bpf_probe_read_kernel(r->text, n, from);
        ring_file0.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    } else {
        struct file1_rec *r = ring_file1.ringbuf_reserve(sizeof(*r));
        if (!r) {
            c->lost++;
            return 0;
        }
        fill_file(&r->file, source, p);
        bpf_probe_read_kernel(r->text, n, from);
        ring_file1.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    }
    return 0;
}

/* The recorder's own file acts are filtered: they would feed on themselves. */
static __always_inline int unwanted(struct settings *set, u32 action, int source) {
    struct counts *c;
    if (filtered_out(set, action, source))
        return 1;
    if (bpf_get_current_pid_tgid() >> 32 != set->own_tgid)
        return 0;
    c = counts_of(source);
    if (c) {
        c->seen++;
        c->filtered++;
    }
    return 1;
}

/* What an event needs of a struct file and its inode, each in one read where it lies within one span. */
struct opened_file { u32 mode, flags; u64 inode, mnt, dentry; };

static __always_inline void read_file(struct opened_file *f, u64 file) {
#if FILE_SPAN <= 256
    char near[FILE_SPAN] __attribute__((aligned(8)));
    READ(near, file);
    f->mode = AT(u32, near, OFF_F_MODE);
    f->flags = AT(u32, near, OFF_F_FLAGS);
    f->inode = AT(u64, near, OFF_F_INODE);
    f->mnt = AT(u64, near, OFF_F_PATH);
    f->dentry = AT(u64, near, OFF_F_PATH + 8);
#else
    READ(f->mode, file + OFF_F_MODE);
    READ(f->flags, file + OFF_F_FLAGS);
    READ(f->inode, file + OFF_F_INODE);
    READ(f->mnt, file + OFF_F_PATH);
    READ(f->dentry, file + OFF_F_PATH + 8);
#endif
}

static __always_inline void read_inode(struct file_parts *p, u64 inode) {
    u64 sb = 0;
    READ(p->inode, inode + OFF_I_INO);
    READ(sb, inode + OFF_I_SB);
    READ(p->dev, sb + OFF_S_DEV);
    p->present |= FILE_HAS_INODE;
}

struct dirtied_key { u64 start, inode; u32 tgid, exec_seq, device, generation; };
BPF_TABLE("lru_hash", struct dirtied_key, u8, dirtied, 65536);

/* Whether this is the first change by this image; what is told to a map that forgets the oldest. */
static __always_inline int first_change(u64 task, u64 inode, struct file_parts *p) {
    struct dirtied_key key = {};
    u8 one = 1;
    read_identity(task, &key.start, &key.tgid, &key.exec_seq);
    key.inode = p->inode;
    key.device = p->dev;
    READ(key.generation, inode + OFF_I_GENERATION);
    if (dirtied.lookup(&key))
        return 0;
    dirtied.update(&key, &one);
    return 1;
}

static __always_inline int is_regular(u64 inode) {
    u16 mode = 0;
    READ(mode, inode + OFF_I_MODE);
    return (mode & 0xf000) == 0x8000;
}

#define FMODE_WRITE 2
#define FMODE_CREATED 0x100000

#define O_WRONLY 1
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000

/* The flags that a call to open asked with; of openat2 they lie in its struct open_how. */
static __always_inline u32 asked_flags(volatile struct call_args *a, u32 op) {
    u64 flags = a->numbers[0];
    if (op == OP_CREAT)
        return O_WRONLY | O_CREAT | O_TRUNC;
    if (op == OP_OPENAT2)
        bpf_probe_read_user(&flags, sizeof(flags), (void *)a->numbers[0]);
    return flags;
}

/* What a call to open reached, or else the name that led nowhere. It all goes through the map, where the verifier
 * follows no values: the walk after it is verified once, not once for every way here. Returns whether to go on. */
static __always_inline int opening(struct settings *set, struct scratch *s, u64 task, u32 op, u64 regs, u32 compat,
                                   long ret) {
    volatile struct file_parts *p = &s->parts;
    struct opened_file f = {};
    struct file_parts found = {};
    volatile struct call_args *args = &s->args;
    struct named_call *call;
    u64 ends[2] = {}, base, file;
    u32 action = ACT_OPEN, asked;
    char first = 0;
    if (ret >= 0) {
        file = file_of(task, ret);
        if (!file)
            return 0;
        read_file(&f, file);
        action = f.mode & FMODE_CREATED ? ACT_CREATION : f.mode & FMODE_WRITE ? ACT_OPEN : ACT_OPEN_READ;
        if (action == ACT_OPEN_READ && !(set->actions >> ACT_OPEN_READ & 1))
            return 0;                /* most of all calls: left out on purpose, not filtered */
    }
    call = named_calls.lookup(&op);
    if (!call)
        return 0;
    call_args(s, call, regs, compat);
    asked = asked_flags(args, op);
    if (ret < 0) {
        f.flags = asked;
        action = asked & 3 ? ACT_OPEN : ACT_OPEN_READ;
    }
    f.flags |= asked & (O_CREAT | O_EXCL | O_TRUNC);     /* which the file does not keep */
    if (action == ACT_OPEN_READ && !(set->actions >> ACT_OPEN_READ & 1))
        return 0;
    if (!in_scope(set) || unwanted(set, action, SRC_FILE0))
        return 0;
    if (ret >= 0) {
        read_inode(&found, f.inode);
        s->mnt = f.mnt;
        s->dentry = f.dentry;
        s->name = 0;
    } else {
        bpf_probe_read_user(&first, 1, (void *)args->path[0]);
        base = first == '/' ? 0 : base_path(task, args->dirfd[0]);
        if (base)
            READ(ends, base);
        s->mnt = ends[0];
        s->dentry = ends[1];
        s->name = args->path[0];
    }
    p->action = action;
    p->ret = ret < 0 ? ret : 0;
    p->inode = found.inode;
    p->dev = found.dev;
    p->open_flags = f.flags;
    s->inode = action == ACT_OPEN && f.flags & O_TRUNC && is_regular(f.inode) ? f.inode : 0;
    p->present = found.present | FILE_HAS_FLAGS;
    return 1;
}

/* What was there is gone, in a file system that did not say so: one in memory. */
static __always_inline int truncated(struct settings *set, struct file_parts *p, u64 inode, char *path) {
    if (!first_change(p->task, inode, p))
        return 0;
    p->action = ACT_MODIFICATION;
    return unwanted(set, p->action, SRC_FILE0) ? 0 : send_file(p, path, SRC_FILE0);
}

/* What was found before a walk, back out of the map. */
static __always_inline void take_parts(struct file_parts *p, struct scratch *s, u64 task) {
    volatile struct file_parts *given = &s->parts;
    p->task = task;
    p->action = given->action;
    p->ret = given->ret;
    p->inode = given->inode;
    p->dev = given->dev;
    p->open_flags = given->open_flags;
    p->present = given->present;
}

/* At the exit of a call to open. */
static __always_inline int opened(struct settings *set, struct scratch *s, u64 task, u32 op, u64 regs, u32 compat,
                                  long ret) {
    struct file_parts p = {};
    volatile u64 *name = &s->name, *emptied = &s->inode;
    u64 pos, at;
    long len;
    if (!opening(set, s, task, op, regs, compat, ret))
        return 0;
    at = walk_from(s, s->mnt, s->dentry);
    take_parts(&p, s, task);
    p.flags = s->truncated ? FLAG_TRUNCATED_PATH : 0;
    p.lens[0] = at;
    p.text_len = at;
    if (!*name) {
        pos = PATH_END - at;
        asm volatile("%0 &= 4095" : "+r"(pos));
        send_file(&p, &s->path[pos], SRC_FILE0);
        return *emptied ? truncated(set, &p, *emptied, &s->path[pos]) : 0;
    }
    pack_walk(s, 0, at);
    asm volatile("%0 &= 4095" : "+r"(at));
    len = bpf_probe_read_user_str(&s->pack[at], 4096, (void *)*name);
    p.lens[1] = len > 0 ? len - 1 : 0;
    p.text_len += p.lens[1];
    return send_file(&p, s->pack, SRC_FILE0);
}

/* Which file a descriptor is; its path was read at entry, as that of a directory is. */
static __always_inline void read_descriptor(struct file_parts *p, u64 task, s32 fd) {
    u64 file = file_of(task, fd), inode = 0;
    if (!file)
        return;
    READ(inode, file + OFF_F_INODE);
    read_inode(p, inode);
}

static __always_inline void read_string(struct name_slot *slot, u64 user, int which) {
    long len = bpf_probe_read_user_str(slot->name[which], 4096, (void *)user);
    slot->name_len[which] = len > 0 ? len - 1 : 0;
    slot->dir_len[which] = 0;
}

/* Of a mount: the text of its source ends here at the latest, that of its type follows. */
#define SOURCE_MOST 2047
#define TYPE_MOST 256

static __always_inline u64 end_of_source(struct name_slot *slot) {
    u64 at = slot->name_len[0];
    if (at > SOURCE_MOST) {
        at = SOURCE_MOST;
        slot->flags |= FLAG_TRUNCATED_PATH;
    }
    asm volatile("%0 &= 2047" : "+r"(at));
    slot->name[0][at] = 0;
    return at + 1;
}

static __always_inline void append_type(struct name_slot *slot, u64 user) {
    u64 at = end_of_source(slot);
    long len = bpf_probe_read_user_str(&slot->name[0][at], TYPE_MOST, (void *)user);
    slot->name_len[0] = at + (len > 0 ? len - 1 : 0);
}

/* Of a mount that has no place yet: its device and its file system's type. */
static __always_inline void read_detached(struct name_slot *slot, u64 task, s32 fd) {
    u64 file = file_of(task, fd), mnt = 0, name = 0, at;
    long len;
    if (!file)
        return;
    READ(mnt, file + OFF_F_PATH);
    READ(name, mnt - OFF_MNT + OFF_MNT_DEVNAME);
    len = bpf_probe_read_kernel_str(slot->name[0], SOURCE_MOST, (void *)name);
    slot->name_len[0] = len > 0 ? len - 1 : 0;
    slot->dir_len[0] = 0;
    READ(name, mnt + OFF_MNT_SB);
    READ(name, name + OFF_S_TYPE);
    READ(name, name + OFF_FS_NAME);
    at = end_of_source(slot);
    len = bpf_probe_read_kernel_str(&slot->name[0][at], TYPE_MOST, (void *)name);
    slot->name_len[0] = at + (len > 0 ? len - 1 : 0);
}

static __always_inline int named(struct settings *set, struct scratch *s, u64 task, struct named_call *call, u64 regs,
                                 u32 compat, long ret) {
    u64 id = bpf_get_current_pid_tgid(), n = 0;
    int at = id & (SLOTS - 1);
    struct name_slot *slot = slots.lookup(&at);
    struct file_parts p = {};
    volatile struct call_args *args = &s->args;
    if (!slot || !in_scope(set))
        return 0;
    p.action = call->action;
    if (unwanted(set, p.action, SRC_FILE0))
        return 0;
    call_args(s, call, regs, compat);
    p.present = args->present;
    if (slot->owner != id) {         /* taken by another thread, or the call began before the hooks were attached */
        slot->owner = id;
        slot->flags = FLAG_RACED;
        slot->dir_len[0] = slot->dir_len[1] = slot->name_len[0] = slot->name_len[1] = 0;
    }
    if (args->path[0])
        read_again(slot, s, task, args->path[0], args->dirfd[0], 0);
    else if (args->fd >= 0)
        read_descriptor(&p, task, args->fd);
    if (args->path[1])
        read_again(slot, s, task, args->path[1], args->dirfd[1], 1);
    if (args->text && call->text_at)
        read_string(slot, args->text, 1);
    else if (args->text)
        read_string(slot, args->text, 0);
    if (call->detached && !slot->name_len[0])
        read_detached(slot, task, args->dirfd[0]);
    if (call->type != NO_ARGUMENT)
        append_type(slot, args->type);
    p.task = task;
    p.ret = ret;
    p.flags = slot->flags;
    p.numbers[0] = args->numbers[0];
    p.numbers[1] = args->numbers[1];
    p.lens[0] = slot->dir_len[0];
    p.lens[1] = slot->name_len[0];
    n = pack_bytes(s, n, p.lens[0], slot->dir[0]);
    n = pack_bytes(s, n, p.lens[1], slot->name[0]);
    if (args->path[1] || args->text) {
        p.lens[2] = slot->dir_len[1];
        p.lens[3] = slot->name_len[1];
        n = pack_bytes(s, n, p.lens[2], slot->dir[1]);
        n = pack_bytes(s, n, p.lens[3], slot->name[1]);
    }
    p.text_len = n;
    slot->owner = 0;
    return send_file(&p, s->pack, SRC_FILE0);
}
