/* fork, exec, exit, and the start state. */

static __always_inline struct proc_rec *reserve_proc(void) {
    return ring_proc.ringbuf_reserve(sizeof(struct proc_rec));
}

/* sched_process_fork(parent, child) */
int on_fork(struct bpf_raw_tracepoint_args *ctx) {
    u64 parent = ctx->args[0], child = ctx->args[1], ts;
    u32 pid = 0, tgid = 0;
    struct settings *set = settings();
    struct counts *c;
    struct proc_rec *r;
    READ(pid, child + OFF_PID);
    READ(tgid, child + OFF_TGID);
    if (pid != tgid || !set || !in_scope(set))
        return 0;
    c = counts_of(SRC_FORK);
    if (!c)
        return 0;
    u64 seq = next_seq(c);
    ts = bpf_ktime_get_boot_ns();
    r = reserve_proc();
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_place(&r->head, SRC_FORK, ACT_FORK, ts, seq);
    fill_who(&r->head.who, child);
    fill_standing(&r->standing, child);
    read_identity(parent, &r->creator_start, &r->creator_tgid, &r->creator_exec_seq);
    r->status = 0;
    r->unused = 0;
    ring_proc.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* The status that wait() will give for the group. */
static __always_inline u32 group_status(u64 task) {
    u64 signal = 0, leader = 0;
    u32 flags = 0, status = 0;
    READ(signal, task + OFF_SIGNAL);
    READ(flags, signal + OFF_SIGNAL_FLAGS);
    if (flags & 4) {     /* SIGNAL_GROUP_EXIT */
        READ(status, signal + OFF_GROUP_EXIT_CODE);
        return status;
    }
    READ(leader, task + OFF_LEADER);
    READ(status, leader + OFF_EXIT_CODE);
    return status;
}

static __always_inline int group_dead(struct bpf_raw_tracepoint_args *ctx) {
#if EXIT_HAS_GROUP_DEAD
    return ctx->args[1] & 1;
#else
    u64 signal = 0;
    u32 live = 1;
    READ(signal, ctx->args[0] + OFF_SIGNAL);
    READ(live, signal + OFF_SIGNAL_LIVE);
    return live == 0;
#endif
}

/* sched_process_exit(task, group_dead) */
int on_exit(struct bpf_raw_tracepoint_args *ctx) {
    u64 task = ctx->args[0], ts;
    struct settings *set = settings();
    struct counts *c;
    struct proc_rec *r;
    if (!group_dead(ctx) || !set || !in_scope(set))
        return 0;
    c = counts_of(SRC_EXIT);
    if (!c)
        return 0;
    u64 seq = next_seq(c);
    ts = bpf_ktime_get_boot_ns();
    r = reserve_proc();
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_place(&r->head, SRC_EXIT, ACT_END, ts, seq);
    fill_who(&r->head.who, task);
    __builtin_memset(&r->standing, 0, sizeof(r->standing));
    r->creator_start = 0;
    r->creator_tgid = 0;
    r->creator_exec_seq = 0;
    r->status = group_status(task);
    r->unused = 0;
    ring_proc.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

struct exec_parts {
    u64 task, args, args_size, env_size, ts, seq, bprm, file;
    u32 exe_len, cwd_len, filename_len, interp_len, flags, text_len;
};

/* The address at the other end of the socket that a descriptor is: a shell may stand on one. */
static __always_inline void fill_peer(struct exec_head *e, u64 task) {
    u64 sk = socket_of_file(file_of(task, 0));
    u16 port = 0;
    __builtin_memset(e->peer, 0, 16);
    e->peer_port = 0;
    e->peer_family = 0;
#if OFF_SK_DPORT
    if (!sk)
        return;
    READ(e->peer_family, sk + OFF_SK_FAMILY);
    if (e->peer_family == 10)
        bpf_probe_read_kernel(e->peer, 16, (void *)(sk + OFF_SK_V6_REMOTE));
    else if (e->peer_family == 2)
        bpf_probe_read_kernel(e->peer, 4, (void *)(sk + OFF_SK_REMOTE));
    else
        return;
    READ(port, sk + OFF_SK_DPORT);
    e->peer_port = port >> 8 | port << 8;
#endif
}

/* Which file the executable is. */
static __always_inline void fill_executable(struct exec_head *e, u64 file, u64 bprm) {
    u64 inode = 0, sb = 0;
    u8 bits = 0;
    e->inode = e->changed = 0;
    e->changed_ns = e->device = e->links = 0;
    e->mode = 0;
    if (file)
        READ(inode, file + OFF_F_INODE);
    if (inode) {
        READ(e->inode, inode + OFF_I_INO);
        READ(e->mode, inode + OFF_I_MODE);
#ifdef OFF_EXE_LINKS
        READ(e->links, inode + OFF_EXE_LINKS);
        READ(e->changed, inode + OFF_EXE_CTIME);
        READ(e->changed_ns, inode + OFF_EXE_CTIME_NSEC);
        e->changed_ns &= 0x7fffffff;    /* the top bit says that somebody asked for it */
#endif
        READ(sb, inode + OFF_I_SB);
        READ(e->device, sb + OFF_S_DEV);
    }
#ifdef BIT_SECUREEXEC
    READ(bits, bprm + BIT_SECUREEXEC / 8);
#else
#define BIT_SECUREEXEC 0
#endif
    e->secure = bits >> (BIT_SECUREEXEC % 8) & 1;
}

static __always_inline void fill_exec(struct exec_head *e, int source, struct exec_parts *p) {
    fill_place(&e->head, source, ACT_EXEC, p->ts, p->seq);
    fill_who(&e->head.who, p->task);
    e->head.flags = p->flags;
    fill_standing(&e->standing, p->task);
    fill_executable(e, p->file, p->bprm);
    fill_peer(e, p->task);
    e->args_size = p->args_size;
    e->env_size = p->env_size;
    e->args_len = 0;
    e->exe_len = p->exe_len;
    e->cwd_len = p->cwd_len;
    e->filename_len = p->filename_len;
    e->interp_len = p->interp_len;
}

static __always_inline void gather(struct scratch *s, u64 mm, struct exec_parts *p) {
    u64 file = 0, fs = 0, name = 0, interp = 0, at;
    long len;
    volatile u64 *length = &s->name;     /* through the map: the verifier follows no values there */
    READ(file, mm + OFF_EXE_FILE);
    s->truncated = 0;
    *length = file ? walk(s, file + OFF_F_PATH) : 0;
    p->exe_len = *length;
    p->flags |= (s->truncated & 1) * FLAG_TRUNCATED_PATH;
    pack_walk(s, 0, p->exe_len);
    READ(fs, p->task + OFF_FS);
    s->truncated = 0;
    *length = fs ? walk(s, fs + OFF_PWD) : 0;
    p->cwd_len = *length;
    p->flags |= (s->truncated & 1) * FLAG_TRUNCATED_PATH;
    pack_walk(s, p->exe_len, p->cwd_len);
    READ(name, p->bprm + OFF_BPRM_FILENAME);
    at = p->exe_len + p->cwd_len;
    asm volatile("%0 &= 8191" : "+r"(at));
    len = bpf_probe_read_kernel_str(&s->pack[at], 4096, (void *)name);
    p->filename_len = len > 0 ? len - 1 : 0;
    READ(interp, p->bprm + OFF_BPRM_INTERP);
    if (interp != name) {
        at += p->filename_len;
        asm volatile("%0 &= 16383" : "+r"(at));
        len = bpf_probe_read_kernel_str(&s->pack[at], 256, (void *)interp);
        p->interp_len = len > 0 ? len - 1 : 0;
    }
    p->text_len = p->exe_len + p->cwd_len + p->filename_len + p->interp_len;
}

static __always_inline int send_exec0(struct scratch *s, struct exec_parts *p) {
    struct counts *c = counts_of(SRC_EXEC0);
    struct exec0_rec *r;
    u64 n = p->args_size + p->env_size, t = p->text_len;
    if (!c)
        return 0;
    p->seq = next_seq(c);
    p->ts = bpf_ktime_get_boot_ns();
    r = ring_exec0.ringbuf_reserve(sizeof(*r));
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_exec(&r->exec, SRC_EXEC0, p);
    asm volatile("%0 &= 1023" : "+r"(n));
    if (!bpf_probe_read_user(r->args, n, (void *)p->args))
        r->exec.args_len = n;
    asm volatile("%0 &= 1023" : "+r"(t));
    if (t <= EXEC_TEXT0)
        bpf_probe_read_kernel(r->text, t, s->pack);
    ring_exec0.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

static __always_inline int send_exec1(struct scratch *s, struct exec_parts *p) {
    struct counts *c = counts_of(SRC_EXEC1);
    struct exec1_rec *r;
    u64 n = p->args_size + p->env_size, t = p->text_len;
    if (!c)
        return 0;
    p->seq = next_seq(c);
    p->ts = bpf_ktime_get_boot_ns();
    r = ring_exec1.ringbuf_reserve(sizeof(*r));
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_exec(&r->exec, SRC_EXEC1, p);
    asm volatile("%0 &= 8191" : "+r"(n));
    if (!bpf_probe_read_user(r->args, n, (void *)p->args))
        r->exec.args_len = n;
    asm volatile("%0 &= 16383" : "+r"(t));
    if (t <= EXEC_TEXT)
        bpf_probe_read_kernel(r->text, t, s->pack);
    ring_exec1.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

static __always_inline int send_exec2(struct scratch *s, struct exec_parts *p) {
    struct counts *c = counts_of(SRC_EXEC2);
    struct exec2_rec *r;
    u64 n = p->args_size + p->env_size, t = p->text_len;
    if (!c)
        return 0;
    p->seq = next_seq(c);
    p->ts = bpf_ktime_get_boot_ns();
    r = ring_exec2.ringbuf_reserve(sizeof(*r));
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_exec(&r->exec, SRC_EXEC2, p);
    if (n > EXEC_ARGS2) {
        n = EXEC_ARGS2;
        r->exec.head.flags |= p->args_size > n ? FLAG_TRUNCATED_ARGS | FLAG_TRUNCATED_ENV : FLAG_TRUNCATED_ENV;
        if (!p->env_size)
            r->exec.head.flags &= ~FLAG_TRUNCATED_ENV;
    }
    asm volatile("%0 &= 65535" : "+r"(n));
    if (n <= EXEC_ARGS2 && !bpf_probe_read_user(r->args, n, (void *)p->args))
        r->exec.args_len = n;
    asm volatile("%0 &= 16383" : "+r"(t));
    if (t <= EXEC_TEXT)
        bpf_probe_read_kernel(r->text, t, s->pack);
    ring_exec2.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* sched_process_exec(task, old_pid, bprm): the new image stands, argv lies in its own memory, the environment behind. */
int on_exec(struct bpf_raw_tracepoint_args *ctx) {
    int zero = 0;
    u64 mm = 0, end = 0, env = 0, env_end = 0, size;
    struct settings *set = settings();
    struct scratch *s = exec_scratch.lookup(&zero);
    struct exec_parts p = {};
    if (!set || !s || !in_scope(set))
        return 0;
    p.task = ctx->args[0];
    p.bprm = ctx->args[2];
    READ(mm, p.task + OFF_MM);
    READ(p.args, mm + OFF_ARG_START);
    READ(end, mm + OFF_ARG_END);
    p.args_size = end - p.args;
    gather(s, mm, &p);   /* before what differs: the verifier follows the walks once for every way to them */
    READ(p.file, mm + OFF_EXE_FILE);
    if (set->flags & WITH_ENV) {
        READ(env, mm + OFF_ENV_START);
        READ(env_end, mm + OFF_ENV_END);
        if (env == end && env_end > env)
            p.env_size = env_end - env;
    }
    size = p.args_size + p.env_size;
    if (size <= EXEC_ARGS0 && p.text_len <= EXEC_TEXT0)
        return send_exec0(s, &p);
    if (size <= EXEC_ARGS1)
        return send_exec1(s, &p);
    return send_exec2(s, &p);
}

struct task_iteration { struct iter_meta *meta; void *task; };
struct iter_meta { struct seq_file *seq; u64 session_id, seq_num; };

/* The start state: one row a process, with its exact start time. */
int bpf_iter__task(struct task_iteration *ctx) {
    u64 task = (u64)ctx->task;
    struct seq_file *seq = ctx->meta->seq;
    struct task_row row = {};
    u32 pid = 0;
    if (!task)
        return 0;
    READ(pid, task + OFF_PID);
    fill_who(&row.who, task);
    if (pid != row.who.tgid)
        return 0;
    fill_standing(&row.standing, task);
    bpf_seq_write(seq, &row, sizeof(row));
    return 0;
}
