/* io_uring: what its requests do to files and sockets without a system call. Names are the kernel's own copies, read
 * when a request is submitted; what became of it is known when it completes, in some thread of the process. */

enum uring_op { IO_ACCEPT = 13, IO_CONNECT = 16, IO_OPENAT = 18, IO_OPENAT2 = 28, IO_RENAMEAT = 35, IO_UNLINKAT = 36,
                IO_SYMLINKAT = 38, IO_LINKAT = 39, IO_FSETXATTR = 41, IO_SETXATTR = 42, IO_SOCKET = 45,
                IO_FTRUNCATE = 55, IO_BIND = 56, IO_LISTEN = 57 };

/* A slot is a request's from submission to completion; `owner` tells if another has taken it. */
struct request_slot {
    u64 owner, base[2], asked;
    s32 dirfd[2];
    u32 name_len[2];
    char name[2][4096];
};
BPF_ARRAY(requests, struct request_slot, SLOTS);
BPF_PERCPU_ARRAY(uring_scratch, struct scratch, 1);

static __always_inline u8 opcode_of(u64 req) {
    u8 op = 0;
    READ(op, req + OFF_IO_OPCODE);
    return op;
}

static __always_inline u32 action_of_request(u8 op) {
    switch (op) {
    case IO_OPENAT:
    case IO_OPENAT2: return ACT_OPEN;
    case IO_RENAMEAT: return ACT_RENAME;
    case IO_UNLINKAT: return ACT_DELETION;
    case IO_SYMLINKAT: return ACT_SYMLINK;
    case IO_LINKAT: return ACT_LINK;
    case IO_FSETXATTR:
    case IO_SETXATTR: return ACT_SETXATTR;
    case IO_FTRUNCATE: return ACT_TRUNCATE;
    }
    return 0;
}

static __always_inline void read_name(struct request_slot *slot, u64 holder, int which) {
    u64 filename = 0, name = 0;
    long len;
    READ(filename, holder);
    if (!filename)
        return;
    READ(name, filename + OFF_FILENAME_NAME);
    len = bpf_probe_read_kernel_str(slot->name[which], 4096, (void *)name);
    slot->name_len[which] = len > 0 ? len - 1 : 0;
}

static __always_inline void read_base(struct request_slot *slot, u64 task, s32 dirfd, int which) {
    slot->dirfd[which] = dirfd;
    slot->base[which] = base_dentry(base_path(task, dirfd));
}

/* io_uring_submit_req(req) */
int on_io_submit(struct bpf_raw_tracepoint_args *ctx) {
    u64 req = ctx->args[0], cmd = req + OFF_IO_CMD, task;
    u8 op = opcode_of(req);
    int at = req >> 8 & (SLOTS - 1);
    s32 dirfd[2] = { AT_FDCWD, AT_FDCWD };
    struct settings *set;
    struct request_slot *slot;
    if (!action_of_request(op) || op == IO_FTRUNCATE)
        return 0;
    set = settings();
    slot = requests.lookup(&at);
    if (!set || !slot || !in_scope(set) || bpf_get_current_pid_tgid() >> 32 == set->own_tgid)
        return 0;
    task = bpf_get_current_task();
    slot->owner = req;
    slot->asked = 0;
    slot->name_len[0] = slot->name_len[1] = 0;
    if (op == IO_OPENAT || op == IO_OPENAT2) {
        READ(dirfd[0], cmd + OFF_IO_OPEN_DFD);
        READ(slot->asked, cmd + OFF_IO_OPEN_FLAGS);
        read_name(slot, cmd + OFF_IO_OPEN_NAME, 0);
    } else if (op == IO_UNLINKAT) {
        READ(dirfd[0], cmd + OFF_IO_UNLINK_DFD);
        read_name(slot, cmd + OFF_IO_UNLINK_NAME, 0);
    } else if (op == IO_SETXATTR || op == IO_FSETXATTR) {
        if (op == IO_SETXATTR)
            read_name(slot, cmd + OFF_IO_XATTR_NAME, 0);
        u64 kname = 0;
        long len;
        READ(kname, cmd + OFF_IO_XATTR_KNAME);
        len = bpf_probe_read_kernel_str(slot->name[1], 256, (void *)kname);
        slot->name_len[1] = len > 0 ? len - 1 : 0;
    } else {
        READ(dirfd[0], cmd + OFF_IO_RENAME_OLD_DFD);
        READ(dirfd[1], cmd + OFF_IO_RENAME_NEW_DFD);
        read_name(slot, cmd + OFF_IO_RENAME_OLD, 0);
        read_name(slot, cmd + OFF_IO_RENAME_NEW, 1);
    }
    read_base(slot, task, dirfd[0], 0);
    read_base(slot, task, dirfd[1], 1);
    return 0;
}

/* Where a walk is to begin: at the directory that a name starts from, or nowhere. */
static __always_inline void set_start(struct scratch *s, struct request_slot *slot, u64 task, int which) {
    volatile struct scratch *to = s;
    u64 ends[2] = {}, base = 0;
    if (slot->name_len[which] && slot->name[which][0] != '/')
        base = base_path(task, slot->dirfd[which]);
    if (base)
        READ(ends, base);
    to->mnt = ends[0];
    to->dentry = ends[1];
    if (ends[1] && ends[1] != slot->base[which])
        to->parts.flags |= FLAG_RACED;
}

/* What a request was about, into the map: a file that was reached, or names. Returns whether to go on. */
static __always_inline int of_request(struct settings *set, struct scratch *s, struct request_slot *slot, u64 req,
                                      u64 task, u8 op, s32 res) {
    volatile struct file_parts *p = &s->parts;
    struct opened_file f = {};
    struct file_parts found = {};
    u64 file = 0;
    u32 action = action_of_request(op), opens = op == IO_OPENAT || op == IO_OPENAT2;
    if (res < 0 && !opens)
        return 0;
    if (opens && res >= 0)
        file = file_of(task, res);
    else if (op == IO_FTRUNCATE || op == IO_FSETXATTR)
        READ(file, req + OFF_IO_FILE);
    if (file)
        read_file(&f, file);
    else
        f.flags = slot->asked;
    if (opens && file)
        action = f.mode & FMODE_CREATED ? ACT_CREATION : f.mode & FMODE_WRITE ? ACT_OPEN : ACT_OPEN_READ;
    else if (opens)
        action = slot->asked & 3 ? ACT_OPEN : ACT_OPEN_READ;
    if (action == ACT_OPEN_READ && !(set->actions >> ACT_OPEN_READ & 1))
        return 0;
    if (unwanted(set, action, SRC_IO0))
        return 0;
    p->flags = 0;
    if (file) {
        read_inode(&found, f.inode);
        s->mnt = f.mnt;
        s->dentry = f.dentry;
    } else if (op == IO_SYMLINKAT) {
        s->mnt = s->dentry = 0;      /* a text, no name */
    } else {
        set_start(s, slot, task, 0);
    }
    s->name = !file;
    p->action = action;
    p->ret = res < 0 ? res : 0;
    p->inode = found.inode;
    p->dev = found.dev;
    p->open_flags = f.flags | (slot->asked & (O_CREAT | O_EXCL | O_TRUNC));
    p->present = found.present | (opens ? FILE_HAS_FLAGS : op == IO_FTRUNCATE ? FILE_HAS_FIRST : 0);
    return 1;
}

/* Append a name; lengths stay in the map, where the verifier follows no values. */
static __always_inline void pack_name(struct scratch *s, struct request_slot *slot, int which) {
    volatile struct file_parts *p = &s->parts;
    u32 len = slot->name_len[which];
    u64 at = p->text_len;
    p->lens[2 * which + 1] = len;
    p->text_len = at + len;
    pack_bytes(s, at, len, slot->name[which]);
}

static __always_inline void pack_folder(struct scratch *s, int which) {
    volatile struct file_parts *p = &s->parts;
    u32 len = walk_from(s, s->mnt, s->dentry);
    u64 at = p->text_len;
    if (s->truncated)
        p->flags |= FLAG_TRUNCATED_PATH;
    p->lens[2 * which] = len;
    p->text_len = at + len;
    pack_walk(s, at, len);
}

static __always_inline int file_request(struct settings *set, struct scratch *s, struct request_slot *slot, u64 req,
                                        u64 task, u8 op, s32 res) {
    volatile struct file_parts *given = &s->parts;
    volatile u64 *named = &s->name;
    struct file_parts p = {};
    given->text_len = 0;
    given->lens[0] = given->lens[1] = given->lens[2] = given->lens[3] = 0;
    if (!of_request(set, s, slot, req, task, op, res))
        return 0;
    pack_folder(s, 0);
    if (*named)
        pack_name(s, slot, 0);
    op = opcode_of(req);             /* again: the verifier had followed each of its values */
    if (op == IO_RENAMEAT || op == IO_LINKAT || op == IO_SYMLINKAT) {
        set_start(s, slot, task, 1);
        pack_folder(s, 1);
    }
    pack_name(s, slot, 1);
    op = opcode_of(req);
    take_parts(&p, s, task);
    p.text_len = given->text_len;
    p.lens[0] = given->lens[0];
    p.lens[1] = given->lens[1];
    p.lens[2] = given->lens[2];
    p.lens[3] = given->lens[3];
    p.flags = given->flags;
    if (op == IO_FTRUNCATE)
        READ(p.numbers[0], req + OFF_IO_CMD + OFF_IO_FTRUNC_LEN);
    return send_file(&p, s->pack, SRC_IO0);
}

static __always_inline int socket_request(struct settings *set, u64 req, u64 task, u8 op, s32 res) {
    u64 a[3] = {}, file = 0, cmd = req + OFF_IO_CMD;
    u32 number = 0;
    if (op == IO_ACCEPT)
        return res >= 0 ? accepted(set, task, socket_of(task, res), SRC_IO_NET) : 0;
    if (op == IO_SOCKET) {
        READ(number, cmd + OFF_IO_SOCKET_DOMAIN);
        a[0] = number;
        READ(number, cmd + OFF_IO_SOCKET_TYPE);
        a[1] = number;
        READ(number, cmd + OFF_IO_SOCKET_PROTOCOL);
        a[2] = number;
        return raw_socket(set, task, a, res, SRC_IO_NET);
    }
    READ(file, req + OFF_IO_FILE);
    number = op == IO_BIND ? OP_BIND : op == IO_LISTEN ? OP_LISTEN : OP_CONNECT;
    return addressed(set, task, number, socket_of_file(file), 0, 0, res, SRC_IO_NET);
}

BPF_PROG_ARRAY(completions, 1);

/* io_uring_complete(ring, req, cqe), before 6.8 (ring, req, user_data, res, ...) */
static __always_inline s32 result_of(struct bpf_raw_tracepoint_args *ctx) {
#if IO_COMPLETE_HAS_CQE
    s32 res = 0;
    READ(res, ctx->args[2] + OFF_CQE_RES);
    return res;
#else
    return ctx->args[3];
#endif
}

int done_file(struct bpf_raw_tracepoint_args *ctx) {
    u64 req = ctx->args[1];
    int at = req >> 8 & (SLOTS - 1), zero = 0;
    u8 op = opcode_of(req);
    struct settings *set = settings();
    struct scratch *s = uring_scratch.lookup(&zero);
    struct request_slot *slot = requests.lookup(&at);
    if (!set || !s || !slot || !in_scope(set))
        return 0;
    if (slot->owner != req) {        /* taken by another request, or submitted before the hooks were attached */
        slot->asked = 0;
        slot->name_len[0] = slot->name_len[1] = 0;
    }
    slot->owner = 0;
    return file_request(set, s, slot, req, bpf_get_current_task(), op, result_of(ctx));
}

int on_io_done(struct bpf_raw_tracepoint_args *ctx) {
    u64 req = ctx->args[1];
    u8 op;
    struct settings *set;
    if (!req)
        return 0;
    op = opcode_of(req);
    if (action_of_request(op)) {
        completions.call(ctx, 0);
        return 0;
    }
    if (op != IO_ACCEPT && op != IO_CONNECT && op != IO_SOCKET && op != IO_BIND && op != IO_LISTEN)
        return 0;
    set = settings();
    return set ? socket_request(set, req, bpf_get_current_task(), op, result_of(ctx)) : 0;
}
